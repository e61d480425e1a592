# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import angles_from_rotation, rotation_from_vector
from training.synthetic.labels import box_of, clip_box, head_rotation
from training.synthetic.people.posing import between, head_turn
from training.synthetic.scene.camera import Camera, tilted


def test_a_person_facing_a_level_camera_has_the_identity():
    """A resting body looks along -y; the untilted camera looks along +y, straight at its face."""
    np.testing.assert_allclose(head_rotation(tilted(0, 0), np.eye(3)), np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ((40, 0, 0), (-40, 0, 0)),  # to the subject's left, which is the image's right
        ((-90, 0, 0), (90, 0, 0)),
        ((0, 25, 0), (0, 25, 0)),  # up is up
        ((0, 0, 20), (0, 0, 20)),  # crown towards the subject's left: clockwise in the image
        ((180, 0, 0), (180, 0, 0)),
    ],
)
def test_turns_of_the_head_give_the_angles_of_the_convention(turn, expected):
    rotation = head_rotation(tilted(0, 0), rotation_from_vector(head_turn(*turn)))
    found = np.array(angles_from_rotation(rotation))
    assert np.allclose((found - expected + 180) % 360 - 180, 0, atol=1e-4)


def test_angles_are_the_ones_that_rebuild_the_rotation():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        yaw = rng.uniform(-179.9, 179.9)
        pitch, roll = rng.uniform(-89, 89, 2)
        if abs(abs(yaw) - 90) < 0.5:
            continue
        rotation = Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True).as_matrix()
        np.testing.assert_allclose(angles_from_rotation(rotation), (yaw, pitch, roll), atol=1e-6)


def test_half_of_all_rotations_have_no_angles():
    rotations = Rotation.random(4000, random_state=1).as_matrix()
    share = np.mean([angles_from_rotation(r) is None for r in rotations])
    assert 0.46 < share < 0.54
    upside_down = Rotation.from_euler("z", 180, degrees=True).as_matrix()
    assert angles_from_rotation(upside_down) is None


def test_the_nose_moves_to_the_image_left_for_positive_yaw():
    camera = Camera(320, 240, 280.0, tilted(-10, 3), np.array([0.3, -1.0, 1.4]))
    body = rotation_from_vector(np.array([0.0, 0.0, np.radians(-50.0)]))  # to the subject's right
    yaw = angles_from_rotation(head_rotation(camera.rotation, body))[0]
    sellion = camera.position + camera.ray(150, 120) * 1.5
    nose = sellion + body @ np.array([0.0, -0.1, 0.0])
    assert yaw > 0
    assert camera.pixel(nose)[0] < camera.pixel(sellion)[0]


def test_shortest_rotations_turn_one_direction_into_the_other():
    rng = np.random.default_rng(2)
    pairs = [rng.normal(size=(2, 3)) for _ in range(50)]
    pairs += [np.array([[0, 0, 1.0], [0, 0, -2.0]]), np.array([[1.0, 2, 3], [2.0, 4, 6]])]
    for a, b in pairs:
        r = between(a, b)
        np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-9)
        np.testing.assert_allclose(r @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-6)
        assert np.linalg.det(r) > 0


def test_boxes_are_clipped_to_the_image():
    assert clip_box(np.array([-5.0, 3, 20, 90]), 100, 80).tolist() == [0, 3, 20, 80]
    assert clip_box(np.array([-5.0, 3, -1, 90]), 100, 80) is None


def test_a_head_that_reaches_behind_the_camera_keeps_the_box_of_what_is_drawn():
    screen = np.array([[10, 20, 2.0], [300, -80, 9.0], [0, 0, 0.0], [50, 60, 3.0]])  # x, y, 1 / z
    np.testing.assert_allclose(box_of(screen, np.array([0, 1, 2])), [10, -80, 300, 20])
    np.testing.assert_allclose(box_of(screen, np.array([0, 3])), [10, 20, 50, 60])
    assert box_of(screen, np.array([2])) is None
