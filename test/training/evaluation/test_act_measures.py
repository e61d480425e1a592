# SPDX-License-Identifier: Apache-2.0
"""Scores of acts, with experts that are right, wrong in a known way, or silent."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from hpe_vlm_ros.tasks import act, yes_no
from training.data.acts import arms_of, facts_of, posture_of
from training.data.sample import Head, Sample
from training.evaluation import senses
from training.evaluation.act_measures import WORDS, act_scores, bodies_of, yes_no_accuracy
from training.synthetic.stick_figures import figures


@pytest.fixture(scope="module")
def bodies():
    drawn = [figure.points for figure in islice(figures(np.random.default_rng(2)), 150)]
    heads = [Head(np.array([0.0, 0, 9, 9]), None) for _ in drawn]
    for head, points in zip(heads, drawn, strict=True):
        head.keypoints = points
    heads.append(Head(np.array([0.0, 0, 9, 9]), None))  # nobody marked its keypoints
    return bodies_of([Sample(None, 9, 9, None, heads)], 1000)


class Experts:
    """Answers each question by `tell(task, question)`, a label or None."""

    name = "made up"

    def __init__(self, tell):
        self._tell = tell

    def labels(self, task, questions):
        told = [self._tell(task, question) for question in questions]
        return [None if one is None else dict.fromkeys(task.examples, 0.0) | {one: 1.0}
                for one in told]  # fmt: skip


def knowing(bodies):
    """Experts that are always right."""
    acts = {act.question(b): (posture_of(b), arms_of(b)) for b in bodies}
    facts = {yes_no.question(n, b): v for b in bodies for n, v in facts_of(b).items()}

    def tell(task, question):
        if task is yes_no.TASK:
            return "yes" if facts[question] else "no"
        posture, arms = acts[question]
        return f"{posture or 'standing'}, {arms or 'arms down'}"

    return Experts(tell)


def test_right_answers_score_one(bodies):
    assert 100 < len(bodies) <= 150
    scores = act_scores(knowing(bodies), bodies)
    assert set(scores) == set(WORDS) and set(scores.values()) == {1.0}
    accuracy, count = yes_no_accuracy(knowing(bodies), bodies)
    assert accuracy == 1.0 and count > len(bodies)


def test_always_the_same_answer_scores_by_its_share(bodies):
    scores = act_scores(Experts(lambda *_: "standing, arms down"), bodies)
    told = [posture_of(b) for b in bodies if posture_of(b)]
    share = told.count("standing") / len(told)
    assert scores["standing"] == pytest.approx(2 * share / (1 + share)) and scores["sitting"] == 0
    assert yes_no_accuracy(Experts(lambda task, _: "no"), bodies)[0] == 0.5


def test_no_answer_is_a_wrong_one(bodies):
    assert yes_no_accuracy(Experts(lambda *_: None), bodies)[0] == 0.0


def test_senses_name_what_is_not_learnt(bodies, monkeypatch, capsys):
    assert senses.acts(SimpleNamespace(signals=lambda task: None), [], 9) == {}
    assert "not learnt: act, yes_no" in capsys.readouterr().out
    monkeypatch.setattr(senses.act_measures, "bodies_of", lambda samples, most: bodies[:most])
    experts = knowing(bodies)
    one = SimpleNamespace(signals=lambda task: experts if task is act.TASK else None)
    assert senses.acts(one, [], 50) == {"act_f1": 1.0}
    assert senses.acts(SimpleNamespace(signals=lambda task: experts), [], 50)["yesno"] == 1.0
