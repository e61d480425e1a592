# SPDX-License-Identifier: Apache-2.0
"""Joints of rigged people, named as Mixamo does, on the bones that pose everybody."""

from __future__ import annotations

import numpy as np

from .. import Array, Integers
from .bodies import Rig
from .gltf import Part, Rigged
from .posing import NECK, SPINE

# Joints to bones; all others move with the nearest joint above them that is named here
BONES = {"Head": NECK[-1]}
BONES |= {f"Spine{n or ''}": SPINE[2 * n] for n in range(3)}
for _side in ("Left", "Right"):
    for _joint, _limb in (
        ("Eye", "eye"),
        ("Arm", "upperarm01"),
        ("ForeArm", "lowerarm01"),
        ("Hand", "wrist"),
        ("UpLeg", "upperleg02"),
        ("Leg", "lowerleg01"),
        ("Foot", "foot"),
    ):
        BONES[_side + _joint] = f"{_limb}.{_side[0]}"
ROOT, NECK_JOINT = "Hips", "Neck"


def missing_joints(file: Rigged) -> list[str]:
    """Names of joints that a file must have and has not."""
    return sorted({*BONES, ROOT, NECK_JOINT} - set(file.names))


def joints_of(file: Rigged, rig: Rig) -> Array:
    """Where the rig's bones turn in this body (J, 3); most of those that never turn are at 0."""
    at = dict(zip(file.names, file.joints, strict=True))
    out = np.zeros((len(rig.labels), 3))
    out[0] = at[ROOT]
    for joint, bone in BONES.items():
        out[rig.labels.index(bone)] = at[joint]
    for side in "LR":  # never turns by itself; the hip's keypoint is there
        upper, lower = (rig.labels.index(f"upperleg0{n}.{side}") for n in (1, 2))
        out[upper] = out[lower]
    spine = [rig.labels.index(name) for name in SPINE]
    for between in (1, 3):
        out[spine[between]] = (out[spine[between - 1]] + out[spine[between + 1]]) / 2
    for k, name in enumerate(NECK):
        share = k / (len(NECK) - 1)
        out[rig.labels.index(name)] = (1 - share) * at[NECK_JOINT] + share * at["Head"]
    return out.astype(np.float32)


def skinning(piece: Part, file: Rigged, rig: Rig) -> tuple[Integers, Array]:
    """Bones and weights (N, 4) in the rig for those of a part's joints.

    The neck's one joint becomes the rig's three bones, of which a point follows the nearest two.
    """
    rows = np.arange(len(piece.points))
    dense = np.zeros((len(rows), len(rig.labels)), np.float32)
    bones = [_bone(file, joint, rig) for joint in range(len(file.names))]
    neck = [rig.labels.index(name) for name in NECK[:-1]]
    at = dict(zip(file.names, file.joints, strict=True))
    way = at["Head"] - at[NECK_JOINT]
    place = (piece.points - at[NECK_JOINT]) @ way / (way @ way)
    place = place.clip(0, 1) * (len(neck) - 1)
    lower = np.minimum(place.astype(int), len(neck) - 2)
    for k in range(4):
        weight, of_neck = piece.weights[:, k], np.array(bones)[piece.joints[:, k]] < 0
        bone = np.array(bones)[piece.joints[:, k]]
        np.add.at(dense, (rows[~of_neck], bone[~of_neck]), weight[~of_neck])
        for step, share in ((0, 1 - (place - lower)), (1, place - lower)):
            bone = np.array(neck)[lower + step]
            np.add.at(dense, (rows[of_neck], bone[of_neck]), (weight * share)[of_neck])
    top = np.argsort(-dense, axis=1)[:, :4]
    value = np.take_along_axis(dense, top, 1)
    return top.astype(np.int16), value / np.maximum(value.sum(1, keepdims=True), 1e-9)


def _bone(file: Rigged, joint: int, rig: Rig) -> int:
    """The bone that a joint moves with; -1: the neck's."""
    while joint >= 0:
        name = file.names[joint]
        if name == NECK_JOINT:
            return -1
        if name in BONES:
            return rig.labels.index(BONES[name])
        joint = int(file.parents[joint])
    return 0


def swapped(rig: Rig) -> Integers:
    """Each bone's mirror image (J,)."""
    other = {".L": ".R", ".R": ".L"}
    names = [name[:-2] + other.get(name[-2:], name[-2:]) for name in rig.labels]
    return np.array([rig.labels.index(n) if n in rig.labels else i for i, n in enumerate(names)])
