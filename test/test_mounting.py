# SPDX-License-Identifier: Apache-2.0
"""Pictures turned upright, and boxes turned back into them."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, seen_by
from hpe_vlm_ros.lens import LensCamera, quarter_turn
from hpe_vlm_ros.mounting import TURNS, Mounting, upright
from hpe_vlm_ros.people.distance import Source
from hpe_vlm_ros.people.people import People, View

CODES = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
WIDTH, HEIGHT = 64, 48


@pytest.mark.parametrize("degrees", TURNS)
def test_pictures_are_turned_clockwise_and_boxes_back(degrees):
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[5:12, 40:60] = (1, 2, 3)
    turned = upright(image, degrees)
    expected = image if degrees == 0 else cv2.rotate(image, CODES[degrees])
    np.testing.assert_array_equal(turned, expected)
    assert turned.flags.c_contiguous
    mounting = Mounting(degrees, (WIDTH, HEIGHT))
    assert mounting.upright_size == turned.shape[1::-1]
    rows, columns = np.nonzero(turned[..., 0])
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert mounting.box(box) == (40, 5, 60, 12)


@given(st.integers(0, 3), st.floats(0, WIDTH), st.floats(0, HEIGHT))
def test_a_ray_of_the_upright_picture_is_that_of_the_camera_as_mounted(quarters, x, y):
    """Without and with a lens, whose tangential part knows up from sideways."""
    mounting = Mounting(90 * quarters, (WIDTH, HEIGHT))
    for mounted in (
        CameraIntrinsics(50.0, 55.0, 30.0, 26.0),
        LensCamera(50.0, 55.0, 30.0, 26.0, (-0.1, 0.02, 0.01, -0.02)),
        LensCamera(50.0, 55.0, 30.0, 26.0, (0.01, 0.02, 0.0, 0.0), True),
    ):
        camera = mounting.camera(mounted)
        across, down = mounting.upright_size
        # clockwise: what is at the right comes to be at the bottom
        px, py = {0: (x, y), 1: (HEIGHT - y, x), 2: (WIDTH - x, HEIGHT - y), 3: (y, WIDTH - x)}[
            quarters
        ]
        assert 0 <= px <= across and 0 <= py <= down
        one = camera.ray((px - 1, py - 1, px + 1, py + 1))
        other = mounted.ray((x - 1, y - 1, x + 1, y + 1))
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_up_in_the_upright_picture():
    """Turned by 90 degrees clockwise: its up, -y, was the left of the picture as mounted, -x."""
    np.testing.assert_array_equal(quarter_turn(1) @ [0, -1, 0], [-1, 0, 0])
    np.testing.assert_array_equal(quarter_turn(1) @ [1, 0, 0], [0, -1, 0])


@pytest.mark.parametrize("degrees", TURNS)
@pytest.mark.parametrize("calibrated", [True, False])
def test_people_are_in_the_frame_of_the_camera_as_mounted(degrees, calibrated):
    """A face straight before the camera: box, crown and gaze are told as that camera sees them."""
    mounting = Mounting(degrees, (WIDTH, HEIGHT))
    camera = mounting.camera(CameraIntrinsics(50.0, 50.0, 32.0, 24.0) if calibrated else None)
    across, down = mounting.upright_size
    box = (across / 2 - 4, down / 2 - 5, across / 2 + 4, down / 2 + 5)
    answer = HeadEstimate(box, 0.0, 0.0, 0.0, rotation_from_angles(0, 0, 0), 0.9)
    people = People()
    people.tracking = False
    depth = np.full((down, across), 1.5, np.float32)
    shape = HeadShape(0.25, (0.0, 0.0, -0.09))
    view = View((across, down), camera, shape, depth, mounting=mounting)
    (person,) = people.see(0, seen_by(camera, [answer], view.size, mounting.turn), view)
    half = (4, 5) if degrees % 180 == 0 else (5, 4)
    assert person.box == (32 - half[0], 24 - half[1], 32 + half[0], 24 + half[1])
    crown = {0: (0, -1, 0), 90: (-1, 0, 0), 180: (0, 1, 0), 270: (1, 0, 0)}[degrees]
    np.testing.assert_allclose(-person.rotation[:, 1], crown, atol=1e-12)
    np.testing.assert_allclose(person.rotation[:, 2], [0, 0, 1], atol=1e-12)
    assert np.isnan(person.yaw) == (degrees != 0), (
        "no triple names a head that lies or stands on it"
    )
    assert person.position.source is (Source.DEPTH if calibrated else Source.NONE)
    if calibrated:
        np.testing.assert_allclose(person.position.point, [0, 0, 1.5], atol=1e-9)
        assert person.gazes["robot"].angle == pytest.approx(0, abs=1e-9)


def test_people_of_a_turned_camera_are_from_left_to_right_as_it_sees_them():
    mounting = Mounting(180, (WIDTH, HEIGHT))
    heads = [
        HeadEstimate((x, 10.0, x + 8, 20.0), 0.0, 0.0, 0.0, np.eye(3), 0.9) for x in (5.0, 40.0)
    ]
    view = View(mounting.upright_size, mounting=mounting)
    people = People().see(0, seen_by(None, heads, view.size, mounting.turn), view)
    assert [p.box[0] for p in people] == [WIDTH - 48, WIDTH - 13]
