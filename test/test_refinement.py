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
    OUTPUTS,
    SIDE,
    Proposal,
    cut_out,
    refined,
    refined_heads,
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

    def __call__(self, image, boxes):
        rows = [
            told(box, rotation, tile, presence)
            for (box, rotation), presence, tile in zip(
                self.heads, self.presences, squares(boxes), strict=True
            )
        ]
        return refined(rows, squares(boxes))

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
