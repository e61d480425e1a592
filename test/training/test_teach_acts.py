# SPDX-License-Identifier: Apache-2.0
"""Teaching acts: bodies that the rules can tell, their questions, and a run that goes on."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from hpe_vlm_ros.skeleton import SEEN
from hpe_vlm_ros.tasks import act, gesture, yes_no
from hpe_vlm_ros.vlm.experts import FOLDER, signals_in
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer
from training import teach_acts, teach_gestures
from training.data.acts import arms_of, posture_of
from training.synthetic.stick_figures import figures


@pytest.fixture(scope="module")
def drawn():
    return list(islice(figures(np.random.default_rng(0)), 400))


def test_figures_hold_all_acts(drawn):
    arms = Counter(arms_of(figure.points) for figure in drawn)
    postures = Counter(posture_of(figure.points) for figure in drawn)
    assert set(arms) == {None, *act.ARMS} and min(arms.values()) >= 3
    assert min(postures[name] for name in act.POSTURES) >= 60
    for figure in drawn:
        there = figure.points[:, 2] == SEEN
        off = np.abs(figure.found - figure.points)[there, :2]
        assert off.max() < 0.12 * np.ptp(figure.points[there, 1])
        assert (figure.found[:, 2] == figure.points[:, 2]).all()


def test_only_what_is_certain_is_learnt(drawn):
    packer, tokenizer, kinds = teach_acts.ActPacker(), build_tokenizer(), Counter()
    for figure in drawn[:60]:
        row = packer.act(figure)
        posture, arms = posture_of(figure.points), arms_of(figure.points)
        kinds[posture is None, arms is None] += 1
        if row is None:
            assert posture is None and arms is None
            continue
        ids, targets = row
        asked = len(tokenizer.encode(act.question(figure.found), add_special_tokens=False))
        answer = tokenizer.decode([i for i in ids[asked:] if i != tokenizer.eos_token_id])
        said = [i for i in targets if i != teach_acts.UNTOLD and i != tokenizer.eos_token_id]
        learnt = tokenizer.decode(said)
        value = act.parse(answer).value.split(", ")
        assert (posture in (None, value[0])) and (arms in (None, value[1]))
        assert (value[0] in learnt) == (posture is not None)
        assert (value[1] in learnt) == (arms is not None)
    assert len(kinds) == 4  # both known, one of them, none


def test_yes_and_no_are_asked_equally_often(drawn):
    packer, tokenizer = teach_acts.ActPacker(), build_tokenizer()
    rng, said = np.random.default_rng(1), Counter()
    for figure in drawn[:120]:
        row = packer.yes_no(figure, rng)
        if row is not None:
            text = tokenizer.decode([i for i in row[1] if i != teach_acts.UNTOLD][:-1])
            said[yes_no.TASK.parse(text).value] += 1
    assert set(said) == {"yes", "no"} and min(said.values()) > 0.3 * said.total()


def test_a_run_that_was_stopped_goes_on_and_answers_all_tasks(tmp_path):
    base, out = tmp_path / "base", tmp_path / FOLDER / "signals"
    teach_gestures.save(teach_gestures.new_model(), base)

    def run(steps):
        arguments = [str(out), "--base", str(base), "--steps", str(steps)]
        teach_acts.train(teach_acts.parse([*arguments, "--batch", "3", "--every", "1"]))
        return torch.load(out / teach_gestures.STATE, weights_only=True)["step"]

    assert (run(1), run(2)) == (1, 2)
    body = next(figures(np.random.default_rng(5))).points
    body[:, 2] = SEEN
    for task, question in (
        (act.TASK, act.question(body)),
        (yes_no.TASK, yes_no.question("standing", body)),
        (gesture.TASK, gesture.question(np.zeros((20, 5)))),
    ):
        (odds,) = signals_in(tmp_path, task).labels(task, [question])
        assert set(odds) == set(task.examples) and sum(odds.values()) == pytest.approx(1)
