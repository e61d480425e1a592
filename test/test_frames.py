# SPDX-License-Identifier: Apache-2.0
"""Frames, quaternions and positions: REP-155 axes and a sphere seen by a pinhole camera."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import (
    FACE_FROM_GAZE,
    CameraIntrinsics,
    HeadShape,
    face_rotation,
    gaze_rotation,
    head_position,
    matrix_from_quaternion,
    quaternion_from_matrix,
    rotation_from_angles,
    rotation_from_face,
)

CAMERA = CameraIntrinsics(fx=600.0, fy=580.0, cx=322.0, cy=239.0)
RANDOM = Rotation.random(10_000, np.random.default_rng(5))


def test_frontal_face_axes() -> None:
    forward, left, up = face_rotation(np.eye(3)).T
    assert forward.tolist() == [0, 0, -1]  # out of the face, towards the camera
    assert left.tolist() == [1, 0, 0]  # the subject's left is the image's right
    assert up.tolist() == [0, -1, 0]


def test_frontal_gaze_axes() -> None:
    right, down, ahead = gaze_rotation(np.eye(3)).T
    assert ahead.tolist() == [0, 0, -1]
    assert right.tolist() == [-1, 0, 0]
    assert down.tolist() == [0, 1, 0]


def test_gaze_is_the_face_turned_as_rep_155_says() -> None:
    turn = Rotation.from_euler("xyz", [-90, 0, -90], degrees=True).as_matrix()
    assert pytest.approx(turn) == FACE_FROM_GAZE


def test_face_axes_of_angles_as_turns_about_the_face() -> None:
    rng = np.random.default_rng(2)
    yaw, pitch, roll = rng.uniform((-180, -90, -90), (180, 90, 90), (10_000, 3)).T
    about_face = Rotation.from_euler("YZX", -np.stack([pitch, yaw, roll], 1), degrees=True)
    frontal = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    found = face_rotation(rotation_from_angles(yaw, pitch, roll))
    assert np.abs(found - frontal @ about_face.as_matrix()).max() < 1e-12


def test_ten_thousand_rotations_through_the_frames() -> None:
    rotations = RANDOM.as_matrix()
    faces, gazes = face_rotation(rotations), gaze_rotation(rotations)
    assert np.abs(rotation_from_face(faces) - rotations).max() < 1e-12
    for frame in (faces, gazes):
        assert np.abs(frame @ frame.transpose(0, 2, 1) - np.eye(3)).max() < 1e-12
        assert np.linalg.det(frame) == pytest.approx(np.ones(len(frame)))
    assert gazes[:, :, 2] == pytest.approx(faces[:, :, 0])  # gaze z is face x
    assert gazes[:, :, 1] == pytest.approx(-faces[:, :, 2])  # gaze y is down


def test_quaternions_are_those_of_scipy() -> None:
    rotations, expected = RANDOM[:2000].as_matrix(), RANDOM[:2000].as_quat(canonical=True)
    found = np.array([quaternion_from_matrix(m) for m in rotations])
    assert np.abs(found - expected).max() < 1e-12
    back = np.array([matrix_from_quaternion(q) for q in found])
    assert np.abs(back - rotations).max() < 1e-12


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (-1, 2, 0.5)])
def test_quaternions_of_half_turns(axis: tuple[float, float, float]) -> None:
    half = Rotation.from_rotvec(np.pi * np.array(axis) / np.linalg.norm(axis)).as_matrix()
    assert matrix_from_quaternion(quaternion_from_matrix(half)) == pytest.approx(half, abs=1e-12)


def test_quaternions_of_any_length_but_zero() -> None:
    assert matrix_from_quaternion((0, 0, 0, -3)) == pytest.approx(np.eye(3))
    for impossible in ((0, 0, 0, 0), (0, 0, np.nan, 1), (1, 0, 0)):
        with pytest.raises(ValueError, match="x, y, z, w"):
            matrix_from_quaternion(impossible)


def sphere_box(centre: np.ndarray, diameter: float) -> np.ndarray:
    """Box round the image of many points of a sphere."""
    directions = np.random.default_rng(0).normal(size=(200_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x, y, z = (centre + diameter / 2 * directions).T
    u, v = CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy
    return np.array([u.min(), v.min(), u.max(), v.max()])


@pytest.mark.parametrize("centre", [(0, 0, 2), (-0.7, 0.5, 1.5), (1.2, -0.8, 2.0), (0.1, 0, 0.4)])
def test_position_of_a_sphere_is_exact_off_the_axis_too(centre: tuple[float, ...]) -> None:
    rotation = rotation_from_angles(40, 20, 10)
    shape = HeadShape(diameter=0.3, offset=(0.0, -0.02, -0.09))
    sellion = head_position(sphere_box(np.array(centre), 0.3), CAMERA, rotation, shape)
    assert sellion == pytest.approx(np.array(centre) + rotation @ shape.offset, abs=2e-3)


def test_the_offset_turns_with_the_head() -> None:
    box, shape = (300, 200, 344, 278), HeadShape(diameter=0.3, offset=(0.0, 0.0, -0.09))
    front = head_position(box, CAMERA, np.eye(3), shape)
    back = head_position(box, CAMERA, rotation_from_angles(180, 0, 0), shape)
    assert back - front == pytest.approx([0, 0, 0.18])


def test_impossible_cameras_and_boxes_are_refused() -> None:
    for fx, fy in ((0, 580), (600, -1), (np.nan, 580)):
        with pytest.raises(ValueError, match="focal lengths must be positive"):
            CameraIntrinsics(fx, fy, 320, 240)
    with pytest.raises(ValueError, match="x0 < x1"):
        head_position((5, 5, 5, 9), CAMERA, np.eye(3), HeadShape(0.3, (0, 0, 0)))
