# SPDX-License-Identifier: Apache-2.0
"""Heads in the frame of the camera that took the picture, not of the one the model takes it for."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.geometry import CameraIntrinsics, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, seen_by
from hpe_vlm_ros.rays import ray_to, usual_camera

SIZE = (640, 480)
WIDE = CameraIntrinsics(268.5, 268.5, 320, 240)  # 100 degrees across


def head(x, y, yaw=0.0):
    rotation = rotation_from_angles(yaw, 0, 0)
    box = (x - 20.0, y - 25.0, x + 20.0, y + 25.0)
    covariance = np.diag([1.0, 2.0, 3.0])
    return HeadEstimate(box, yaw, 0.0, 0.0, rotation, 0.5, covariance)


def test_without_a_calibration_heads_are_as_the_model_told_them():
    answer = head(500, 100, 20)
    assert seen_by(None, [answer], SIZE) == [answer]


@given(st.floats(-80, 80), st.floats(20, 620), st.floats(25, 455))
def test_the_usual_camera_turns_nothing(yaw, x, y):
    answer, camera = head(x, y, yaw), usual_camera(SIZE[::-1])
    usual = CameraIntrinsics(camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2])
    (turned,) = seen_by(usual, [answer], SIZE)
    np.testing.assert_allclose(turned.rotation, answer.rotation, atol=1e-12)
    np.testing.assert_allclose(turned.yaw, yaw, atol=1e-9)


def test_a_face_that_looks_into_a_wide_lens_at_its_border():
    """It stands 45 degrees from the middle, before the usual camera it would be 25.8."""
    x = 320 + 268.5 * np.tan(np.radians(45))
    narrow = np.degrees(np.arctan((x - 320) / 554.256))
    answer = head(x, 240, narrow)  # turned back towards the lens: the nose to the image's left
    (turned,) = seen_by(WIDE, [answer], SIZE)
    np.testing.assert_allclose(turned.yaw, 45, atol=1e-3)
    nose, ray = turned.rotation[:, 2], ray_to(WIDE.matrix, turned.box)
    np.testing.assert_allclose(np.abs(nose @ ray), np.linalg.norm(ray), atol=1e-4)


@given(st.floats(-80, 80), st.floats(20, 620), st.floats(25, 455))
def test_what_a_head_looks_like_along_its_ray_stays(yaw, x, y):
    answer = head(x, y, yaw)
    (turned,) = seen_by(WIDE, [answer], SIZE)
    rays = (usual_camera(SIZE[::-1]), answer), (WIDE.matrix, turned)
    towards = [h.rotation.T @ (r / np.linalg.norm(r)) for c, h in rays for r in [ray_to(c, h.box)]]
    np.testing.assert_allclose(towards[0], towards[1], atol=1e-9)
    spread = [np.linalg.eigvalsh(h.rotation_covariance) for h in (answer, turned)]
    np.testing.assert_allclose(spread[0], spread[1], atol=1e-9)
    assert (turned.box, turned.score) == (answer.box, answer.score)


def test_an_invalid_answer_stays_what_it_is():
    lost = replace(head(600, 240), rotation=np.full((3, 3), np.nan), yaw=float("nan"))
    (turned,) = seen_by(WIDE, [lost], SIZE)
    assert turned is lost
