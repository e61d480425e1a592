# SPDX-License-Identifier: Apache-2.0
"""The second look, at the mirror image: put back exactly, and joined fairly."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpe_vlm_ros.geometry import (
    geodesic_degrees,
    mean_rotations,
    mirror_rotation,
    rotation_from_angles,
)
from hpe_vlm_ros.mirror import ALONE, Mirrored, joined_boxes, joined_poses, swapped
from hpe_vlm_ros.spread import turn_covariance
from hpe_vlm_ros.vlm.decoding.engine import Detection
from hpe_vlm_ros.vlm.decoding.numbers import circular_mean
from hpe_vlm_ros.vlm.decoding.poses import Pose

BOX = (100, 200, 300, 450)
CELLS = st.lists(st.integers(0, 999), min_size=4, max_size=4).map(
    lambda v: (*sorted(v[:2]), *sorted(v[2:]))
)
GRID_BOXES = CELLS.map(lambda v: (v[0], v[2], v[1], v[3]))
ANGLES = st.tuples(st.floats(-179, 179), st.floats(-60, 60), st.floats(-60, 60))


def pose(angles, deviations=(5.0, 6.0, 7.0)):
    weights = np.zeros((3, 360))
    for row, angle in zip(weights, angles, strict=True):
        row[round(angle) % 360] = 1.0
    return Pose(tuple(map(float, map(round, angles))), angles, deviations, weights)


class Looks:
    """A look that answers as it is told and keeps what it was asked."""

    def __init__(self, found=(), poses=()):
        self.found, self.poses = list(found), list(poses)

    def detect(self, max_heads, draft=None, slack=0):
        self.asked = max_heads, draft, slack
        return self.found

    def estimates(self, boxes):
        self.boxes = boxes
        return self.poses


@given(GRID_BOXES)
def test_a_box_mirrored_twice_is_itself(box):
    x0, y0, x1, y1 = swapped(box)
    assert swapped((x0, y0, x1, y1)) == box
    assert 0 <= x0 <= x1 <= 999 and (y0, y1) == box[1::2]


@given(ANGLES)
def test_a_mirrored_pose_is_that_of_the_mirrored_head(angles):
    mirrored = pose(angles).mirrored()
    np.testing.assert_allclose(
        rotation_from_angles(*mirrored.angles),
        mirror_rotation(rotation_from_angles(*angles)),
        atol=1e-9,
    )
    for written, weights in zip(mirrored.written, mirrored.probabilities, strict=True):
        assert circular_mean(weights) % 360 == pytest.approx(written % 360, abs=1e-6)
    again = mirrored.mirrored()
    assert again.angles == pytest.approx(angles)
    assert (again.probabilities == pose(angles).probabilities).all()


@given(ANGLES)
def test_its_covariance_is_the_mirrored_one(angles):
    """A turn is an axial vector: about the mirror's normal it stays, about the others it flips."""
    axial = np.diag([1.0, -1.0, -1.0])
    first, second = pose(angles), pose(angles).mirrored()
    np.testing.assert_allclose(
        turn_covariance(second.angles, second.deviations),
        axial @ turn_covariance(first.angles, first.deviations) @ axial,
        atol=1e-9,
    )


def test_the_mirror_image_is_asked_about_what_it_shows():
    look = Looks([Detection((699, 200, 899, 450), 0.8)], [pose((30.0, 5.0, -2.0))])
    mirrored = Mirrored(look)
    other = (500, 0, 600, 100)
    assert mirrored.detect(7, [BOX, other], 3) == [Detection(BOX, 0.8)]
    assert look.asked == (7, [swapped(other), swapped(BOX)], 3), "not from left to right"
    assert mirrored.estimates([BOX])[0].angles == (-30.0, 5.0, 2.0)
    assert look.boxes == [(699, 200, 899, 450)]
    mirrored.detect(7)
    assert look.asked == (7, None, 0)


def test_a_head_that_both_looks_name_is_one():
    first, second = Detection(BOX, 0.9), Detection((110, 200, 310, 450), 0.3)
    (head,) = joined_boxes([first], [second])
    assert head.score == pytest.approx(0.6)
    assert head.box == (102, 200, 302, 450), "the surer box counts for more"


def test_a_head_that_one_look_names_keeps_part_of_its_score():
    other = Detection((600, 200, 700, 300), 0.5)
    heads = joined_boxes([Detection(BOX, 0.8)], [other])
    assert [h.box for h in heads] == [BOX, other.box]
    assert [h.score for h in heads] == pytest.approx([0.8 * ALONE, 0.5 * ALONE])
    assert joined_boxes([], []) == []


@given(ANGLES, ANGLES, st.floats(1, 30), st.floats(1, 30))
def test_two_poses_meet_between_them(first, second, sure, unsure):
    rotations = rotation_from_angles(*np.array([[first], [second]]).transpose(2, 0, 1))
    apart = float(geodesic_degrees(*rotations[:, 0]))
    assume(0.5 < apart < 170)
    deviations = np.radians([sure, unsure])
    covariances = deviations[:, None, None, None] ** 2 * np.eye(3)
    mean, covariance = joined_poses(rotations, covariances[:, [0]])
    near, far = (float(geodesic_degrees(mean[0], r[0])) for r in rotations)
    assert near + far == pytest.approx(apart, abs=1e-4)
    assert (near - far) * (sure - unsure) >= -1e-6, "the surer one counts for more"
    # a mixture spreads as its parts do, and along the turn between them
    share = unsure**2 / (sure**2 + unsure**2)
    expected = np.trace((share * covariances[0] + (1 - share) * covariances[1])[0])
    expected += share * (1 - share) * np.radians(apart) ** 2
    assert np.trace(covariance[0]) == pytest.approx(expected, rel=1e-6)


def test_equal_answers_stay_as_they_are():
    rotation = rotation_from_angles(150, 10, -5)
    covariance = np.diag([0.1, 0.2, 0.3])
    mean, spread = joined_poses(
        np.array([[rotation], [rotation]]), np.array([[covariance], [covariance]])
    )
    np.testing.assert_allclose(mean[0], rotation, atol=1e-12)
    np.testing.assert_allclose(spread[0], covariance, atol=1e-12)


@given(ANGLES, st.floats(0, 170), st.floats(0, 1))
def test_means_of_rotations_about_one_axis_are_means_of_angles(base, apart, share):
    first = rotation_from_angles(*base)
    turn = rotation_from_angles(apart, 0, 0)
    half = mean_rotations([[first], [turn @ first]])[0]
    np.testing.assert_allclose(half, rotation_from_angles(apart / 2, 0, 0) @ first, atol=1e-7)
    weighted = mean_rotations([[first], [turn @ first]], [[1.0], [share + 1e-9]])[0]
    assert geodesic_degrees(weighted, first) <= apart / 2 + 1e-4
