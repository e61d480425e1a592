# SPDX-License-Identifier: Apache-2.0
"""Keypoints through the whole of a model: questions, answers and what they become in the image."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, SEEN, body_around
from hpe_vlm_ros.tasks.keypoints import LABELS, TASK
from hpe_vlm_ros.vlm.decoding.constrained import Answer, Decision
from hpe_vlm_ros.vlm.decoding.grammar import Choice, Kind
from hpe_vlm_ros.vlm.decoding.points import number_weights, point_of

IMAGE = np.random.default_rng(2).integers(0, 256, (70, 110, 3), dtype=np.uint8)
BODIES = [(20.0, 5.0, 60.0, 65.0), (70.0, 30.0, 100.0, 70.0)]


@pytest.fixture(scope="module")
def taught(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> HeadPerceiver:
    """Random weights that claim to know keypoints."""
    folder = tmp_path_factory.mktemp("taught") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tasks": ["keypoints"]}))
    return HeadPerceiver.load(folder, "cpu")


def test_a_model_that_has_not_learnt_keypoints_says_so(tiny_model: Path) -> None:
    perceiver = HeadPerceiver.load(tiny_model, "cpu")
    assert not perceiver.has_learnt(TASK)
    with pytest.raises(ValueError, match="has not learnt the question 'keypoints'"):
        perceiver.keypoints(IMAGE, BODIES)


def test_every_point_has_a_place_in_the_image_or_none(taught: HeadPerceiver) -> None:
    for closer in (True, False):
        for body, one in zip(BODIES, taught.keypoints(IMAGE, BODIES, closer=closer), strict=True):
            there = one.visibility != ABSENT
            assert one.box == body and one.names == KEYPOINTS
            assert one.points.shape == (17, 2) and one.visibility.max() <= SEEN
            assert (one.points[there] >= 0).all() and (one.points[there] <= (110, 70)).all()
            assert np.isnan(one.points[~there]).all() and (one.scores[~there] == 0).all()
            assert ((one.scores >= 0) & (one.scores <= 1)).all()
            assert (np.linalg.eigvalsh(one.covariances[there]) > 0).all()
            assert np.isnan(one.covariances[~there]).all()


def test_one_point_answers_as_among_all(taught: HeadPerceiver) -> None:
    (every,) = taught.keypoints(IMAGE, BODIES[:1])
    (one,) = taught.keypoints(IMAGE, BODIES[:1], ["left knee"])
    number = KEYPOINTS.index("left knee")
    assert one.visibility[0] == every.visibility[number]
    np.testing.assert_array_equal(one.points[0], every.points[number])
    np.testing.assert_allclose(one.scores[0], every.scores[number], atol=1e-5)


def test_weights_of_their_own_leave_heads_as_they_are(
    taught: HeadPerceiver, tiny_model: Path, tmp_path: Path
) -> None:
    """Byte for byte, before and after a question about bodies."""
    folder = shutil.copytree(tiny_model, tmp_path / "both")
    alone = HeadPerceiver.load(folder, "cpu", threads=1)
    before = told(alone)
    assert before and not alone.has_learnt(TASK)
    assert taught.folder is not None
    shutil.copytree(taught.folder, folder / "experts" / "keypoints")
    both = HeadPerceiver.load(folder, "cpu", threads=1)
    assert told(both) == before and both.model_id == alone.model_id
    assert both.has_learnt(TASK)
    (skeleton,) = both.keypoints(IMAGE, BODIES[:1], ["nose"])
    (same,) = taught.keypoints(IMAGE, BODIES[:1], ["nose"])
    np.testing.assert_array_equal(skeleton.points, same.points)
    assert told(both) == before


def told(perceiver: HeadPerceiver) -> list[bytes]:
    """All numbers about the heads of IMAGE."""
    return [
        np.concatenate([np.ravel(v) for v in (h.box, h.rotation, h.score, h.yaw)]).tobytes()
        for h in perceiver(IMAGE)
    ]


def test_unknown_points_and_boxes_elsewhere_are_refused(taught: HeadPerceiver) -> None:
    with pytest.raises(ValueError, match="'left tail' is no keypoint.*left ankle"):
        taught.keypoints(IMAGE, BODIES, ["left tail"])
    with pytest.raises(ValueError, match="outside the image"):
        taught.keypoints(IMAGE, [(200.0, 0.0, 220.0, 9.0)])
    assert taught.keypoints(IMAGE, []) == []


def test_a_box_ends_where_the_image_does(taught: HeadPerceiver) -> None:
    (inside,) = taught.keypoints(IMAGE, [(60.0, 20.0, 110.0, 70.0)], ["nose"])
    (beyond,) = taught.keypoints(IMAGE, [(60.0, 20.0, 1e9, np.inf)], ["nose"])
    assert taught.has_learnt(TASK) and beyond.box == inside.box
    np.testing.assert_array_equal(beyond.points, inside.points)


def whole(weights: np.ndarray, taken: int, low: int = 0) -> Decision:
    return Decision(Choice(Kind.NUMBER, np.arange(len(weights)), low), weights, taken)


def test_the_spread_of_an_answer_is_that_of_its_numbers() -> None:
    """Column 400 +- 10 with equal chances, row certain; visible with a chance of 0.6."""
    across, down = np.zeros(1000), np.zeros(1000)
    across[[390, 410]], down[250] = 0.5, 1.0
    word = Decision(Choice(Kind.WORD, np.arange(3)), np.array([0.1, 0.3, 0.6]), 2)
    answer = Answer([], [word, whole(across, 400), whole(down, 250)])
    near = point_of((400, 250, 2), answer, sides=(120, 5))
    far = point_of((400, 250, 2), answer, sides=(90, 900))
    assert near.deviations == pytest.approx((np.hypot(10, 12**-0.5), 12**-0.5))
    assert near.score == pytest.approx(0.6) and far.score == 0
    gone = point_of((0, 0, ABSENT), Answer([], [word]), sides=(120, 120))
    assert gone.score == 0 and np.isnan(gone.deviations).all()


@given(st.integers(0, 999), st.integers(0, 2**32 - 1))
def test_digits_give_the_chances_of_numbers(number: int, seed: int) -> None:
    """What was decided digit by digit sums to one, and has the chance of the number written."""
    rng, decisions = np.random.default_rng(seed), []
    for digit in f"{number:03d}":
        chances = rng.dirichlet(np.ones(10))
        decisions.append(Decision(Choice(Kind.DIGIT, np.arange(10)), chances, int(digit)))
    weights = number_weights(decisions)
    assert weights.sum() == pytest.approx(1)
    expected = np.prod([d.probabilities[d.taken] for d in decisions])
    assert weights[number] == pytest.approx(expected)
    other = (number // 100 + 1) % 10 * 100
    share = decisions[0].probabilities[other // 100] / 100
    np.testing.assert_allclose(weights[other : other + 100], share)


def test_a_body_lies_below_its_head() -> None:
    assert body_around((50, 10, 60, 20), 400, 300) == (30, 10, 80, 90)
    assert body_around((0, 10, 60, 110), 300, 200) == (0, 10, 280, 200)


def test_labels_have_the_numbers_of_visibilities() -> None:
    assert LABELS[ABSENT] == "absent" and LABELS[SEEN] == "visible"
