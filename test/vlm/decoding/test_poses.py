# SPDX-License-Identifier: Apache-2.0
"""From the probabilities in an answer to an estimate with its covariance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from hpe_vlm_ros.answers import pixel_box
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.spread import Calibration, turn_covariance
from hpe_vlm_ros.vlm.decoding.constrained import Answer, Decision, expected, most_likely
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.decoding.grammar import Choice, Kind
from hpe_vlm_ros.vlm.decoding.poses import pose_of

BOXES = [(10, 20, 300, 400), (500, 100, 700, 900)]
ANGLE = Choice(Kind.NUMBER, np.arange(360), circular=True)


def answer(*weights: dict[int, float]) -> Answer:
    """An answer with three angles whose probabilities are these, and some text between."""
    made = []
    for mass in weights:
        probabilities = np.zeros(360)
        probabilities[list(mass)] = list(mass.values())
        made.append(Decision(Choice(Kind.TEXT, np.array([4])), np.ones(1), 0))
        made.append(Decision(ANGLE, probabilities, int(probabilities.argmax())))
    return Answer([], made)


def test_means_are_finer_than_what_is_written() -> None:
    said = answer({10: 0.5, 11: 0.5}, {359: 0.5, 0: 0.5}, {180: 0.5, 181: 0.25, 179: 0.25})
    pose = pose_of((10.0, 0.0, 180.0), said)
    assert pose.written == (10.0, 0.0, 180.0) and pose.probabilities.shape == (3, 360)
    assert pose.angles == pytest.approx((10.5, -0.5, 180.0), abs=1e-6)
    assert pose.deviations == pytest.approx((0.58, 0.58, 0.76), abs=0.01)


def test_the_mean_does_not_contradict_what_is_written() -> None:
    torn = {0: 0.4, 90: 0.2, 100: 0.2, 110: 0.2}  # mean 63, deviation 53
    pose = pose_of((0.0, 0.0, 110.0), answer(torn, {0: 1.0}, torn))
    assert pose.angles[0] == pytest.approx(pose.deviations[0]) and 45 < pose.angles[0] < 55
    assert pose.angles[2] == pytest.approx(63.1, abs=0.1)  # near enough


@pytest.mark.parametrize("pick", [most_likely, expected])
def test_no_estimate_contradicts_its_answer(
    tiny_engine: Callable[..., Engine], picture: NDArray[np.uint8], pick: Callable
) -> None:
    for seed in range(3):
        engine = tiny_engine(seed)
        look = engine.look(engine.processor.pixels(picture), pick=pick)
        for pose, written in zip(look.estimates(BOXES), look.poses(BOXES), strict=True):
            assert pose.written == written
            for mean, number, sure in zip(pose.angles, written, pose.deviations, strict=True):
                assert -180 < mean <= 180
                limit = sure if pick is most_likely else 0.5
                assert abs((mean - number + 180) % 360 - 180) <= limit + 1e-6


def test_estimates_state_a_calibrated_covariance(
    tiny_engine: Callable[..., Engine], picture: NDArray[np.uint8]
) -> None:
    fitted = {"rotation_scale": 0.5, "rotation_floor": 3.0, "score_offset": -1.0}
    raw = HeadPerceiver(tiny_engine(2))
    calibrated = HeadPerceiver(tiny_engine(2, calibration=fitted))
    height, width = picture.shape[:2]
    boxes = [pixel_box(box, width, height) for box in BOXES]
    answers = raw.look(picture).estimates(BOXES)
    heads = zip(answers, raw.poses(picture, boxes), calibrated.poses(picture, boxes), strict=True)
    for pose, plain, honest in heads:
        stated = turn_covariance(pose.angles, pose.deviations)
        np.testing.assert_allclose(plain.rotation, rotation_from_angles(*pose.angles), atol=1e-6)
        np.testing.assert_allclose(plain.rotation_covariance, stated, atol=1e-6)
        stated = 0.25 * stated + np.radians(3) ** 2 * np.eye(3)
        np.testing.assert_allclose(honest.rotation_covariance, stated, atol=1e-6)
        assert honest.spread == pytest.approx(np.degrees(np.sqrt(np.diag(stated))), abs=1e-3)
    scores = [[h.score for h in p(picture)] for p in (raw, calibrated)]
    assert scores[1] == pytest.approx([Calibration(score_offset=-1.0).score(s) for s in scores[0]])


def test_a_bad_calibration_is_refused(tiny_engine: Callable[..., Engine]) -> None:
    with pytest.raises(ValueError, match="rotation_floor.*training.release.calibrate"):
        HeadPerceiver(tiny_engine(0, calibration={"rotation_floor": -2}))
