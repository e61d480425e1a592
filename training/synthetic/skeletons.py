# SPDX-License-Identifier: Apache-2.0
"""Exact labels of rendered bodies: where the 17 keypoints are and which of them are seen.

Limbs have their keypoints at the rig's joints, inside the body, as people mark them in photographs.
Nose and ears lie on the skin.
"""

from __future__ import annotations

import numpy as np

from hpe_vlm_ros.skeleton import ABSENT, COVERED, KEYPOINTS, SEEN

from . import Array, Integers
from .drawing.compose import Canvas
from .people.bodies import Rig
from .people.person import Person
from .scene.camera import Camera

FACE = ("nose", "left ear", "right ear")  # in the order of `Person.face`
BONES = {
    "eye": "eye",
    "shoulder": "upperarm01",
    "elbow": "lowerarm01",
    "wrist": "wrist",
    "hip": "upperleg01",  # of MakeHuman's two it lies at the joint, the other below it
    "knee": "lowerleg01",
    "ankle": "foot",
}
BEHIND = 0.06  # metres behind the surface that is seen; with what covers it, a joint is hidden
BEHIND_FACE = 0.03  # the same for eyes, ears and nose
NEAREST = 0.08  # metres before the camera


def resting_keypoints(person: Person, rig: Rig) -> tuple[Array, Integers]:
    """Places (17, 3) of the keypoints of a resting person, and the bones (17,) they move with."""
    places, bones = np.empty((len(KEYPOINTS), 3)), np.empty(len(KEYPOINTS), int)
    for number, name in enumerate(KEYPOINTS):
        if name in FACE:
            bones[number] = rig.labels.index("head")
            places[number] = person.face[FACE.index(name)]
        else:
            side, part = name.split()
            bones[number] = rig.labels.index(f"{BONES[part]}.{side[0].upper()}")
            places[number] = person.joints[bones[number]]
    return places, bones


def posed_keypoints(person: Person, rig: Rig, linear: Array, shift: Array) -> tuple[Array, Array]:
    """Places (17, 3) of the keypoints in the world, bones going x -> linear @ x + shift, and how
    deep (17,) each lies behind a surface that covers it no more than the own skin does, metres."""
    places, bones = resting_keypoints(person, rig)
    world = np.einsum("nij,nj->ni", linear[bones], places) + shift[bones]
    squared = (
        (places**2).sum(1)[:, None]
        - 2 * places @ person.rest.T.astype(np.float64)
        + (person.rest**2).sum(1)[None]
    )
    skin = np.sqrt(np.maximum(squared.min(1), 0))
    return world, skin + np.where(np.arange(len(places)) < 5, BEHIND_FACE, BEHIND)


def keypoint_label(world: Array, deep: Array, owner: int, canvas: Canvas, camera: Camera) -> Array:
    """Keypoints (17, 3) of a drawn person: x and y in pixels and how they are seen.

    `world`, `deep` as of `posed_keypoints`; the person was drawn as `owner` and the next. A point
    outside the picture has x = y = 0.
    """
    label = np.full((len(world), 3), float(ABSENT))
    for number, point in enumerate(world):
        u, v, depth = camera.pixel(point)
        if depth > NEAREST and 0 <= u < canvas.width and 0 <= v < canvas.height:
            limit = 1 / (depth - deep[number]) if depth > deep[number] else np.inf
            seen = _is_seen(u, v, limit, owner, canvas)
            label[number] = u, v, SEEN if seen else COVERED
    return label


def _is_seen(u: float, v: float, limit: float, owner: int, canvas: Canvas) -> bool:
    """Whether of the drawn pixels around a place one is this person's and near enough: its inverse
    depth at most `limit`."""
    column, row = int(u * canvas.scale), int(v * canvas.scale)
    around = (slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2))
    owners = canvas.owner_of[around]
    own = (owners == owner) | (owners == owner + 1)
    return bool((own & (canvas.depth[around] <= limit)).any())
