# SPDX-License-Identifier: Apache-2.0
"""The word for where a head faces, and how sure it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpe_vlm_ros.facing import facing_of, facing_probabilities
from hpe_vlm_ros.geometry import rotation_from_angles, rotation_from_vector
from hpe_vlm_ros.tasks.facing import LABELS


def word(yaw, pitch, roll=0.0):
    return LABELS[int(facing_of(rotation_from_angles(yaw, pitch, roll)[None])[0])]


@pytest.mark.parametrize(
    ("yaw", "pitch", "expected"),
    [
        (0, 0, "frontal"), (44, 0, "frontal"), (-44, 0, "frontal"), (0, 29, "frontal"),
        (46, 0, "left"), (89, 0, "left"), (-46, 0, "right"), (-60, 0, "right"),
        (0, 31, "up"), (0, -31, "down"), (20, 40, "up"), (-10, -50, "down"),
        (91, 0, "extreme"), (180, 0, "extreme"), (-170, 10, "extreme"), (135, 0, "extreme"),
    ],
)  # fmt: skip
def test_the_word_for_a_pose(yaw, pitch, expected):
    assert word(yaw, pitch) == expected
    assert word(yaw, pitch, roll=25.0) == expected  # the nose stays where it is


def from_nose(heading, elevation):
    """A head whose nose points there, in degrees, by its definition in HeadPose.msg."""
    h, e = np.radians([heading, elevation])
    nose = np.array([-np.sin(h) * np.cos(e), -np.sin(e), -np.cos(h) * np.cos(e)])
    left = np.cross([0.0, 1.0, 0.0], -nose)
    left /= np.linalg.norm(left)
    return np.stack([left, np.cross(-nose, left), -nose], 1)


@given(st.floats(-179, 179), st.floats(-80, 80))
def test_the_rule_on_a_grid_of_noses(heading, elevation):
    """EFHQ's rule in front of 90 degrees; extreme behind, as the study's prompt says."""
    if min(abs(abs(heading) - 45), abs(abs(elevation) - 30), abs(abs(heading) - 90)) < 1e-3:
        return
    if abs(heading) > 90 or (abs(heading) > 45 and abs(elevation) > 30):
        expected = "extreme"
    elif abs(heading) > 45:
        expected = "left" if heading > 0 else "right"
    elif abs(elevation) > 30:
        expected = "up" if elevation > 0 else "down"
    else:
        expected = "frontal"
    assert LABELS[int(facing_of(from_nose(heading, elevation)[None])[0])] == expected


def test_a_certain_pose_is_certain():
    for yaw, pitch in ((0, 0), (60, 0), (0, -50), (150, 0)):
        probabilities = facing_probabilities(rotation_from_angles(yaw, pitch, 0), np.zeros((3, 3)))
        assert probabilities.sum() == pytest.approx(1)
        assert LABELS[int(probabilities.argmax())] == word(yaw, pitch)
        assert probabilities.max() == 1


def test_on_a_border_both_are_as_likely():
    probabilities = facing_probabilities(
        rotation_from_angles(45, 0, 0), np.eye(3) * np.radians(5) ** 2
    )
    assert probabilities[LABELS.index("frontal")] == pytest.approx(0.5, abs=0.05)
    assert probabilities[LABELS.index("left")] == pytest.approx(0.5, abs=0.05)


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(0.5, 30))
def test_probabilities_are_those_of_drawn_rotations(yaw, pitch, deviation):
    """Against plain sampling, with other numbers and matrices instead of Rodrigues' formula."""
    rotation = rotation_from_angles(yaw, pitch, 0)
    covariance = np.diag(np.radians([deviation, 2 * deviation, deviation / 2]) ** 2)
    probabilities = facing_probabilities(rotation, covariance)
    turns = np.random.default_rng(1).multivariate_normal(np.zeros(3), covariance, 400)
    drawn = np.stack([rotation_from_vector(turn) @ rotation for turn in turns])
    shares = np.bincount(facing_of(drawn), minlength=6) / len(drawn)
    assert np.abs(shares - probabilities).max() < 0.15
