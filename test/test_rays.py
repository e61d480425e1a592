# SPDX-License-Identifier: Apache-2.0
"""Rays: rotations onto them, and the camera that is assumed where none is known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.rays import ray_rotation, ray_to, rotation_to_ray, usual_camera

directions = st.tuples(*[st.floats(-5, 5)] * 2, st.floats(0.1, 5)).map(np.array)


@given(directions)
def test_ray_rotation_is_a_rotation_onto_the_ray(ray):
    turn = ray_rotation(ray)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(turn[:, 2], ray / np.linalg.norm(ray), atol=1e-9)
    assert np.linalg.det(turn) > 0


@given(directions)
def test_the_turn_onto_a_ray_is_the_smallest_there_is(ray):
    """Its angle is that between the axis and the ray: nothing turns about the ray itself."""
    cosine = (np.trace(ray_rotation(ray)) - 1) / 2
    np.testing.assert_allclose(cosine, ray[2] / np.linalg.norm(ray), atol=1e-9)


def test_the_usual_camera_sees_sixty_degrees_across():
    camera = usual_camera((240, 320))
    left, right = ray_to(camera, (0, 100, 0, 140)), ray_to(camera, (320, 100, 320, 140))
    cosine = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
    np.testing.assert_allclose(np.degrees(np.arccos(cosine)), 60)


def test_a_picture_made_narrower_shows_the_same_rays():
    wide = rotation_to_ray(usual_camera((240, 320)), np.array([200, 60, 260, 120.0]))
    narrow = rotation_to_ray(usual_camera((240, 240), 0.75), np.array([150, 60, 195, 120.0]))
    np.testing.assert_allclose(wide, narrow, atol=1e-12)
