# SPDX-License-Identifier: Apache-2.0
"""A closer look at heads: what a network says of squares, as heads of the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import angles_from_rotation, geodesic_degrees, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera
from hpe_vlm_ros.refinement import (
    MIRRORED,
    OUTPUTS,
    SIDE,
    Proposal,
    cut_out,
    looked_twice,
    refined,
    refined_heads,
    refined_poses,
    squares,
    with_answers,
)
from hpe_vlm_ros.spread import Calibration

SIZE = (480, 640)  # height, width
turns = st.tuples(st.floats(-179, 179), st.floats(-80, 80), st.floats(-170, 170))
corners = st.tuples(st.floats(0, 600), st.floats(0, 440), st.floats(8, 200), st.floats(8, 200)).map(
    lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3])
)


def told(box, rotation, tile, presence=5.0, deviation=0.1):
    """What a perfect network says of a head in `box` in the square `tile`."""
    x0, y0, x1, y1 = box
    row = np.zeros(OUTPUTS)
    row[0] = presence
    row[1] = ((x0 + x1) / 2 - tile.x) / tile.width - 0.5
    row[2] = ((y0 + y1) / 2 - tile.y) / tile.width - 0.5
    row[3:5] = np.log([(x1 - x0) / tile.width, (y1 - y0) / tile.width])
    row[5:11] = 2.5 * rotation[:, :2].T.ravel()  # of any length
    row[11:] = np.log(deviation)
    return row


class Perfect:
    """Knows the heads of a picture: (box, rotation along the ray), and is asked about proposals."""

    min_score = 0.5

    def __init__(self, heads, presences):
        self.heads, self.presences = heads, presences

    def __call__(self, image, boxes, mirrored=False):
        rows = [self.row(tile) for tile in squares(boxes)]
        return refined(np.array(rows) * (MIRRORED if mirrored else 1), squares(boxes), mirrored)

    def row(self, tile):
        """About the head whose middle is nearest to that of the square."""
        middle = tile.x + tile.width / 2, tile.y + tile.width / 2
        far = [
            np.hypot((x0 + x1) / 2 - middle[0], (y0 + y1) / 2 - middle[1])
            for (x0, y0, x1, y1), _ in self.heads
        ]
        nearest = int(np.argmin(far))
        return told(*self.heads[nearest], tile, self.presences[nearest])

    def scores(self, said, proposals, size):
        return 1 / (1 + np.exp(-said.presence))


@given(corners, corners, turns)
def test_what_is_said_of_a_square_is_where_it_is_in_the_picture(asked, box, turn):
    rotation = Rotation.from_euler("yxz", turn, degrees=True).as_matrix()
    (tile,) = squares([asked])
    inside = (box[2] - box[0]) < 2.7 * tile.width and (box[3] - box[1]) < 2.7 * tile.width
    output = refined([told(box, rotation, tile)], [tile])
    if inside:
        np.testing.assert_allclose(output.boxes[0], box, atol=1e-6)
    np.testing.assert_allclose(output.rotations[0], rotation, atol=1e-9)
    np.testing.assert_allclose(output.deviations[0], 0.1)


@given(st.lists(st.lists(st.floats(-1e4, 1e4), min_size=OUTPUTS, max_size=OUTPUTS), max_size=3))
def test_whatever_is_said_is_a_box_and_a_rotation_or_none(rows):
    output = refined(rows, squares([(10, 10, 30, 40)] * len(rows)))
    assert output.boxes.shape == (len(rows), 4) and output.rotations.shape == (len(rows), 3, 3)
    assert np.isfinite(output.boxes).all() and np.isfinite(output.deviations).all()
    for rotation in output.rotations:
        if not np.isnan(rotation).all():
            np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-6)
    assert (output.boxes[:, 2:] > output.boxes[:, :2]).all()


def test_a_square_shows_its_box_in_the_middle():
    image = np.zeros((*SIZE, 3), np.uint8)
    image[100:180, 300:360] = 255
    (tile,) = squares([(300, 100, 360, 180)])
    square = cut_out(image, tile)
    assert square.shape == (SIDE, SIDE, 3)
    rows, columns = np.nonzero(square[..., 0] > 127)
    assert abs(rows.mean() - SIDE / 2) < 1.5 and abs(columns.mean() - SIDE / 2) < 1.5
    assert (np.ptp(rows) + 1) / SIDE == pytest.approx(80 / tile.width, abs=0.03)


def test_a_square_that_sticks_out_is_black_there():
    square = cut_out(np.full((*SIZE, 3), 200, np.uint8), squares([(-20, 0, 40, 60)])[0])
    assert (square[:10, :10] == 0).all() and (square[-10:, -10:] == 200).all()


@given(corners, turns)
def test_heads_are_in_the_frame_of_the_usual_camera(box, turn):
    along = rotation_from_angles(*turn)
    image = np.zeros((*SIZE, 3), np.uint8)
    heads, left = refined_heads(image, [Proposal(box, 0.5)], Perfect([(box, along)], [4.0]), 5)
    if not heads:
        return  # nothing of it is in the picture
    ray = rotation_to_ray(usual_camera(SIZE), box)
    (head,) = heads
    assert left == 0
    assert geodesic_degrees(head.rotation, ray @ along) < 1e-3
    if np.isfinite(head.yaw):
        named = rotation_from_angles(head.yaw, head.pitch, head.roll)
        assert geodesic_degrees(named, head.rotation) < 1e-3
    np.testing.assert_allclose(np.linalg.eigvalsh(head.rotation_covariance), 0.01, rtol=1e-6)


def test_what_is_no_head_is_dropped_and_two_boxes_of_one_are_one():
    image = np.zeros((*SIZE, 3), np.uint8)
    front = rotation_from_angles(0, 0, 0)
    boxes = [(100, 100, 160, 180), (104, 98, 166, 182), (300, 100, 360, 180), (500, 100, 590, 200)]
    refiner = Perfect([(box, front) for box in boxes], [2.0, 4.0, -3.0, 1.0])
    heads, left = refined_heads(image, [Proposal(b, 0.5) for b in boxes], refiner, 5)
    assert {tuple(np.round(head.box)) for head in heads} == {boxes[1], boxes[3]}
    heads, left = refined_heads(image, [Proposal(b, 0.5) for b in boxes], refiner, 1)
    assert left == 1 and tuple(np.round(heads[0].box)) == boxes[3]


class Biased(Perfect):
    """Errs alike in a square and in its mirror image: by as many degrees of yaw, to the right."""

    def __init__(self, heads, presences, degrees=0.0, right=0.0, unknown=False):
        super().__init__(heads, presences)
        self.looks, self.degrees, self.right, self.unknown = [], degrees, right, unknown

    def __call__(self, image, boxes, mirrored=False):
        self.looks.append((list(boxes), mirrored))
        rows = np.array([self.row(tile) for tile in squares(boxes)])
        rows = rows * (MIRRORED if mirrored else 1)
        turn = Rotation.from_euler("y", self.degrees, degrees=True).as_matrix()
        rows[:, 5:11] = (rows[:, 5:11].reshape(-1, 2, 3) @ turn.T).reshape(-1, 6)
        rows[:, 1] += self.right
        if self.unknown and not mirrored:
            rows[:, 5:11] = 0.0
        return refined(rows, squares(boxes), mirrored)


@given(st.floats(-40, 40), st.floats(-0.02, 0.02), turns)
def test_what_is_said_of_a_square_and_of_its_mirror_image_is_averaged(degrees, right, turn):
    box, along = (300, 100, 360, 180), rotation_from_angles(*turn)
    refiner = Biased([(box, along), ((0, 0, 9, 9), along)], [4.0, -3.0], degrees, right)
    output = looked_twice(np.zeros((*SIZE, 3), np.uint8), [box, (1, 1, 8, 8)], refiner)
    assert geodesic_degrees(output.rotations[0], along) < 1e-3
    np.testing.assert_allclose(output.boxes[0], box, atol=0.2)
    (_, mirrored), (again, second) = refiner.looks
    assert not mirrored and second and len(again) == 1  # what is no head is seen once


def test_where_a_box_moved_far_the_second_look_alone_counts():
    box, front = (300, 100, 360, 180), rotation_from_angles(0, 0, 0)
    refiner = Biased([(box, front)], [4.0], degrees=20.0)
    output = looked_twice(np.zeros((*SIZE, 3), np.uint8), [(260, 60, 340, 160)], refiner)
    assert geodesic_degrees(output.rotations[0], front) == pytest.approx(20.0)
    np.testing.assert_allclose(refiner.looks[1][0], [box], atol=1e-6)


def test_a_rotation_that_one_look_does_not_tell_is_the_others():
    box, front = (300, 100, 360, 180), rotation_from_angles(0, 0, 0)
    image, refiner = np.zeros((*SIZE, 3), np.uint8), Biased([(box, front)], [4.0], unknown=True)
    assert geodesic_degrees(looked_twice(image, [box], refiner).rotations[0], front) < 1e-3
    (pose,) = refined_poses(image, [box], refiner)
    assert pose.box == box and np.isfinite(pose.rotation).all()


def estimate(rotation, deviation, covariance=True):
    known = np.diag([deviation**2] * 3) if covariance else None
    return HeadEstimate((10, 10, 40, 50), 0.0, 0.0, 0.0, rotation, 0.8, known)


def aside(degrees, ray):
    """A turn about the y axis of the frame along a ray."""
    return ray @ Rotation.from_euler("y", degrees, degrees=True).as_matrix() @ ray.T


@given(turns, st.floats(-30, 30), st.floats(0.05, 0.3), st.floats(0.05, 0.3))
def test_a_joined_pose_lies_between_both_nearer_to_the_surer(turn, apart, one, other):
    box, ones = (10, 10, 40, 50), (1.0, 1.0, 1.0)
    ray = rotation_to_ray(usual_camera(SIZE), box)
    # no nearer to the profile than 10 degrees, so that yaw, pitch and roll name the first
    first = ray @ rotation_from_angles(turn[0] / 4, turn[1] / 4, turn[2] / 4)
    second = aside(apart, ray) @ first
    heads, answers = [estimate(first, one)], [estimate(second, other)]
    (joined,) = with_answers(heads, answers, SIZE, ones, Calibration())
    share = other**-2 / (one**-2 + other**-2)
    assume(angles_from_rotation(aside(apart * share, ray) @ first) is not None)
    assert geodesic_degrees(joined.rotation, first) == pytest.approx(abs(apart) * share, abs=1e-3)
    # about the axis of yaw alone the answer's variance is said to be larger
    (doubted,) = with_answers(heads, answers, SIZE, (1.0, 1e6, 1.0), Calibration())
    assert geodesic_degrees(doubted.rotation, first) == pytest.approx(0, abs=1e-2)
    assert joined.box == heads[0].box and joined.score == heads[0].score
    doubled, *_ = with_answers(heads, answers, SIZE, ones, Calibration(rotation_scale=2.0))
    np.testing.assert_allclose(doubled.rotation_covariance, 4 * joined.rotation_covariance)


def test_what_no_angles_name_is_as_the_answer_says():
    upside_down = estimate(np.diag([-1.0, -1.0, 1.0]), 0.01)
    answer = estimate(rotation_from_angles(20, 0, 0), 0.3)
    (joined,) = with_answers([upside_down], [answer], SIZE, (1.0, 1.0, 1.0), Calibration())
    assert joined.rotation is answer.rotation and joined.box == upside_down.box


def test_what_tells_no_covariance_leaves_the_head_as_it_is():
    front = rotation_from_angles(0, 0, 0)
    plain, unsure = estimate(front, 0.1), estimate(front, 0.1, covariance=False)
    for heads, answers in (([plain], [unsure]), ([unsure], [plain]), ([], [])):
        assert with_answers(heads, answers, SIZE, (1.0, 1.0, 1.0), Calibration()) == heads


def test_boxes_end_at_the_border_and_none_lies_outside():
    image = np.zeros((*SIZE, 3), np.uint8)
    front, boxes = rotation_from_angles(0, 0, 0), [(-20, 100, 60, 180), (700, 100, 760, 180)]
    refiner = Perfect([(box, front) for box in boxes], [4.0, 4.0])
    heads, _ = refined_heads(image, [Proposal(b, 0.5) for b in boxes], refiner, 5)
    assert [tuple(np.round(head.box)) for head in heads] == [(0, 100, 60, 180)]


def test_no_proposals_are_no_heads():
    image = np.zeros((*SIZE, 3), np.uint8)
    assert refined_heads(image, [], Perfect([], []), 5) == ([], 0)
