# SPDX-License-Identifier: Apache-2.0
"""Exact labels of rendered bodies: where the 17 keypoints are and which of them are seen.

Limbs have their keypoints at the rig's joints, inside the body, as people mark them in photographs.
Nose and ears lie on the skin.
"""

from __future__ import annotations

import numpy as np

from hpe_vlm_ros.skeleton import KEYPOINTS

from . import Array, Integers
from .people.bodies import Rig
from .people.person import Person

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
