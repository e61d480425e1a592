# SPDX-License-Identifier: Apache-2.0
"""A toy person (a ball with a nose on a column) and a world full of it, without any body model."""

import numpy as np
import pytest

from training.synthetic.drawing.compose import Canvas
from training.synthetic.drawing.raster import vertex_normals
from training.synthetic.drawing.textures import TextureStore
from training.synthetic.people.bodies import Rig
from training.synthetic.people.person import Person
from training.synthetic.people.posing import NECK, SPINE
from training.synthetic.scene.clutter import ball, column
from training.synthetic.scene.world import ROOMS, World

# label: (parent, joint)
BONES = {"root": (None, (0, 0, 0.0))}
for number, name in enumerate(SPINE):
    BONES[name] = ("root" if number == 0 else SPINE[number - 1], (0, 0, 0.08 * number))
for number, name in enumerate(NECK):
    BONES[name] = (SPINE[-1] if number == 0 else NECK[number - 1], (0, 0, 0.55 + 0.03 * number))
for side, sign in (("L", 1), ("R", -1)):
    BONES[f"eye.{side}"] = ("head", (0.03 * sign, -0.09, 0.72))
    BONES[f"upperarm01.{side}"] = (SPINE[-1], (0.16 * sign, 0, 0.47))
    BONES[f"lowerarm01.{side}"] = (f"upperarm01.{side}", (0.33 * sign, 0, 0.28))
    BONES[f"wrist.{side}"] = (f"lowerarm01.{side}", (0.45 * sign, -0.1, 0.16))
    BONES[f"upperleg01.{side}"] = ("root", (0.1 * sign, 0, 0.0))
    BONES[f"upperleg02.{side}"] = (f"upperleg01.{side}", (0.1 * sign, 0, -0.05))
    BONES[f"lowerleg01.{side}"] = (f"upperleg02.{side}", (0.13 * sign, 0, -0.35))
    BONES[f"foot.{side}"] = (f"lowerleg01.{side}", (0.17 * sign, 0, -0.75))
LABELS = tuple(BONES)


@pytest.fixture(scope="session")
def rig():
    parents = np.array([-1 if p is None else LABELS.index(p) for p, _ in BONES.values()])
    empty = np.zeros((0, 4))
    return Rig(LABELS, parents, empty.astype(np.int16), empty.astype(np.float32), empty[:, :3])


@pytest.fixture(scope="session")
def toy_person(rig):
    skull, skull_uv, skull_triangles = ball()
    nose = skull * np.array([0.02, 0.04, 0.03]) + [0.0, -0.12, 0.70]
    skull = skull * np.array([0.08, 0.10, 0.12]) + [0.0, -0.03, 0.74]
    trunk, trunk_uv, trunk_triangles = column()
    trunk = trunk * np.array([0.2, 0.12, 0.65]) + [0.0, 0.0, -0.1]
    rest = np.concatenate([skull, nose, trunk]).astype(np.float32)
    n = len(skull)
    triangles = np.concatenate([skull_triangles, skull_triangles + n, trunk_triangles + 2 * n])
    triangles = triangles.astype(np.int32)
    bones = np.full((len(rest), 4), LABELS.index("root"), np.int16)
    bones[: 2 * n] = LABELS.index("head")
    weights = np.zeros((len(rest), 4), np.float32)
    weights[:, 0] = 1
    of_head = (np.arange(len(triangles)) < 2 * len(skull_triangles)).astype(np.uint8)
    return Person(
        rest,
        vertex_normals(rest, triangles),
        np.concatenate([skull_uv, skull_uv, trunk_uv]),
        bones,
        weights,
        triangles,
        (1 - of_head).astype(np.uint8),
        of_head,
        np.ones(len(rest), np.float32),
        np.array([joint for _, joint in BONES.values()], np.float32),
        np.array([0.0, -0.13, 0.73], np.float32),
        np.arange(2 * n),
        np.arange(2 * n),
        np.array([0, 0]),
        np.array([0, 0]),
        np.zeros(2, np.float32),
        ("body", "clothes"),
        ("body", "jacket"),
        "painted",
        0.7,
        np.array([[0.0, -0.16, 0.70], [0.08, -0.03, 0.72], [-0.08, -0.03, 0.72]], np.float32),
    )


@pytest.fixture(scope="session")
def toy_world(rig, toy_person):
    store = TextureStore()
    rooms = np.random.default_rng(0).random((ROOMS, 6, 8, 8, 3)).astype(np.float32)
    around = rooms.__getitem__, [], [], [0], store.means, "test", 11
    return World(*around, rig=rig, person=lambda i: toy_person, identities=5)


@pytest.fixture(scope="session")
def canvas():
    return Canvas(96, 72, 2, *TextureStore().arrays())
