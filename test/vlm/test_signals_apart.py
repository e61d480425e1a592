# SPDX-License-Identifier: Apache-2.0
"""Answers about heads are the same bit for bit, whatever else the model has learnt or is asked."""

from __future__ import annotations

import numpy as np
import pytest

from hpe_vlm_ros.facing import facing_probabilities
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.pictures import read_picture
from hpe_vlm_ros.remote.signals import PLAIN
from hpe_vlm_ros.tasks import facing, gesture
from hpe_vlm_ros.vlm.experts import FOLDER
from hpe_vlm_ros.vlm.model_folder import default_folder
from hpe_vlm_ros.vlm.refiner import NAME
from training.testsets import SCENES

PICTURES = [SCENES / "images" / f"{number:06d}.jpg" for number in (1, 5)]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The shipped model without its experts for signals."""
    folder = tmp_path_factory.mktemp("models") / "bare"
    folder.mkdir()
    (folder / FOLDER).mkdir()
    for part in default_folder().iterdir():
        if part.name != FOLDER:
            (folder / part.name).symlink_to(part)
    (folder / FOLDER / NAME).symlink_to(default_folder() / FOLDER / NAME)
    return folder


def bits(heads):
    """All that is told of heads, byte for byte."""
    return [
        (np.array([*h.box, h.yaw, h.pitch, h.roll, h.score]).tobytes(), h.rotation.tobytes())
        + (h.rotation_covariance.tobytes(),)
        for h in heads
    ]


def test_heads_are_the_same_with_and_without_signals(bare):
    alone, whole = HeadPerceiver.load(bare, threads=1), HeadPerceiver.load(threads=1)
    signals = whole.signals(gesture.TASK)
    assert alone.signals(gesture.TASK) is None and signals is not None
    questions = [gesture.question(window) for window in PLAIN.values()]
    count = 0
    for path in PICTURES:
        image = read_picture(path)
        found = alone(image)
        odds = signals.labels(gesture.TASK, questions)
        assert [max(one, key=one.get) for one in odds] == list(PLAIN)
        assert bits(whole(image)) == bits(found)
        boxes = [head.box for head in found]
        for head in found:
            assert facing_probabilities(head.rotation, head.rotation_covariance).max() > 0.1
        signals.labels(gesture.TASK, questions)
        assert bits(whole.poses(image, boxes)) == bits(alone.poses(image, boxes))
        count += len(found)
    assert count >= 2


def test_poses_are_the_same_after_a_question_in_words(tiny_model):
    """About one and the same picture, whose cache all questions share."""
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    look = HeadPerceiver.load(tiny_model, "cpu", threads=1).look(image)
    cells = [(100, 100, 200, 200), (300, 300, 400, 500)]
    before = [pose.probabilities.tobytes() for pose in look.estimates(cells)]
    for odds in look.labels(facing.TASK, [facing.question(cell) for cell in cells]):
        assert set(odds) == set(facing.LABELS) and sum(odds.values()) == pytest.approx(1)
    assert [pose.probabilities.tobytes() for pose in look.estimates(cells)] == before


def test_what_a_model_has_not_learnt_is_refused_by_name():
    perceiver = HeadPerceiver.load(threads=1)
    with pytest.raises(ValueError, match=r"embedded-.* has not learnt the question 'facing'"):
        perceiver.labels(read_picture(PICTURES[0]), [(10, 10, 60, 60)], facing.TASK)
