# SPDX-License-Identifier: Apache-2.0
"""The experts' training: what a window becomes, and a run that goes on where it was stopped."""

from itertools import islice

import numpy as np
import pytest
import torch

from hpe_vlm_ros.people.gestures.asking import judge_in
from hpe_vlm_ros.tasks import gesture
from hpe_vlm_ros.vlm.experts import FOLDER
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer
from training import teach_gestures
from training.synthetic.pose_windows import windows


@pytest.fixture(scope="module")
def drawn():
    return list(islice(windows(np.random.default_rng(0)), 6))


def test_a_window_becomes_its_question_and_answer(drawn):
    packer, tokenizer = teach_gestures.Packer(), build_tokenizer()
    ids, labels = packer(drawn)
    for row, window in zip(ids.tolist(), drawn, strict=True):
        question, answer = row[: packer.asked], row[packer.asked :]
        label = gesture.LABELS[window.labels[-1]]
        assert tokenizer.decode(question) == gesture.question(window.values)
        assert tokenizer.decode(answer[:-1]) == gesture.TASK.format(label)
        assert row[packer.word + 1] == int(packer.words[window.labels[-1]])
    assert labels.tolist() == [window.labels.tolist() for window in drawn]


def test_what_is_told_along_the_way_stands_behind_a_sample(drawn):
    packer = teach_gestures.Packer()
    ids, _ = packer(drawn)
    tokenizer = build_tokenizer()
    for place in packer.along.tolist():
        behind = tokenizer.decode([int(ids[0, place + 1])])
        assert behind in (";", "}")
    assert len(packer.along) == gesture.SAMPLES - teach_gestures.FIRST_TOLD


def run(out, steps):
    arguments = [str(out), "--steps", str(steps), "--batch", "4", "--every", "2"]
    teach_gestures.train(teach_gestures.parse(arguments), held=8)
    return torch.load(out / teach_gestures.STATE, weights_only=True)


def test_a_run_that_was_stopped_goes_on(tmp_path):
    out = tmp_path / FOLDER / "signals"
    assert run(out, 2)["step"] == 2
    state = run(out, 4)
    assert state["step"] == 4
    weights = state["model"]["model.embed_tokens.weight"]
    assert torch.isfinite(weights).all()
    judge = judge_in(tmp_path)
    (said,) = judge([np.zeros((20, 5))])
    assert said.sum() == pytest.approx(1.0)


def test_f1_of_labels():
    true, said = np.array([0, 1, 1, 2]), np.array([0, 1, 0, 2])
    scores = teach_gestures.f1(true, said)
    assert scores[:3] == pytest.approx([2 / 3, 2 / 3, 1.0])
