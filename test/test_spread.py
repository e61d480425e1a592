# SPDX-License-Identifier: Apache-2.0
"""A rotation's covariance from the spreads of its angles, against rotations drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import angles_from_rotations, circular_difference, rotation_from_angles
from hpe_vlm_ros.spread import Calibration, deviations_of, turn_covariance

DEGREE = np.radians(1.0)
POSES = [(0, 0, 0), (40, 20, 10), (75, 20, -15), (-60, -30, 25), (120, 25, 10), (170, -20, 5)]


def conditional_deviations(errors: np.ndarray) -> list[float]:
    """Of yaw, of pitch given yaw, of roll given both: by regression, on errors (N, 3)."""
    found = []
    for column in range(3):
        known = np.c_[errors[:, :column], np.ones(len(errors))]
        guess = known @ np.linalg.lstsq(known, errors[:, column], rcond=None)[0]
        found.append(float((errors[:, column] - guess).std()))
    return found


@pytest.mark.parametrize("angles", POSES)
def test_round_errors_come_back_round(angles: tuple[float, float, float]) -> None:
    """Truths are scattered by turns of 3 degrees about each axis and read as triples; from how
    the triples scatter, the covariance of the turns must follow."""
    rotation = rotation_from_angles(*angles)
    turns = np.random.default_rng(0).normal(0, 3 * DEGREE, (20000, 3))
    triples, valid = angles_from_rotations(Rotation.from_rotvec(turns).as_matrix() @ rotation)
    errors = circular_difference(triples[valid], np.array(angles))
    covariance = turn_covariance(angles, conditional_deviations(errors))
    np.testing.assert_allclose(covariance / (3 * DEGREE) ** 2, np.eye(3), atol=0.06)


def test_a_frontal_face_turns_about_the_camera_axes() -> None:
    assert deviations_of(turn_covariance((0, 0, 0), (5, 3, 2))) == pytest.approx((3, 5, 2))


def test_a_profile_whose_pitch_may_be_anything_is_still_known() -> None:
    """At yaw 90 pitch and roll turn about one axis: a pitch that is open, with the roll that goes
    with it, leaves the rotation as it is."""
    open_pitch = np.sqrt(np.linalg.eigvalsh(turn_covariance((90, 10, 20), (4, 60, 4)))) / DEGREE
    assert open_pitch == pytest.approx([0, 4, 4], abs=1e-6)
    beside = np.sqrt(np.linalg.eigvalsh(turn_covariance((88, 10, 20), (4, 60, 4)))) / DEGREE
    assert beside == pytest.approx([60 * np.cos(np.radians(88)), 4, 4], abs=1e-6)


@given(
    st.floats(-180, 180), st.floats(-89, 89), st.floats(-89, 89),
    st.lists(st.floats(0, 1e4), min_size=3, max_size=3),
)  # fmt: skip
def test_any_answer_has_a_covariance(
    yaw: float, pitch: float, roll: float, deviations: list[float]
) -> None:
    covariance = turn_covariance((yaw, pitch, roll), deviations)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    values = np.linalg.eigvalsh(covariance)
    assert values[0] > -1e-9 and values[-1] < 1.82**2  # 104 degrees: nothing known
    calibrated = Calibration(rotation_scale=0.5, rotation_floor=2.0).covariance(covariance)
    assert np.linalg.eigvalsh(calibrated)[0] > (1.99 * DEGREE) ** 2  # never singular
    np.testing.assert_allclose(calibrated, 0.25 * covariance + (2 * DEGREE) ** 2 * np.eye(3))


def test_scores_become_probabilities() -> None:
    same = Calibration()
    assert [same.score(p) for p in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9])
    modest = Calibration(score_slope=0.5, score_offset=-1.0)
    assert modest.score(0.5) == pytest.approx(1 / (1 + np.e))
    values = [modest.score(p) for p in (0.0, 0.01, 0.3, 0.99, 1.0)]
    assert values == sorted(values) and 0 <= values[0] and values[-1] <= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rotation_scale": -1}, "rotation_scale"),
        ({"rotation_floor": float("nan")}, "rotation_floor is nan"),
        ({"score_slope": 0}, "score_slope > 0"),
        ({"score_slope": "steep"}, "'steep'"),
        ({"temperature": 2.0}, "temperature"),
        ([1, 2], "training.release.calibrate"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration.read(content)  # type: ignore[arg-type]


def test_no_calibration_changes_nothing() -> None:
    assert Calibration.read(None) == Calibration() == Calibration.read(Calibration().as_dict())
