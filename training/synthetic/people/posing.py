# SPDX-License-Identifier: Apache-2.0
"""Random poses and forward kinematics.

Every bone carries a rotation about its joint, in the axes of the resting body (x subject's left,
y back, z up). A resting head is exactly frontal, so the head bone's accumulated rotation is the
head's rotation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import rotation_from_vector

from .. import Array
from ..drawing.raster import jit
from .bodies import Rig

NECK = ("neck01", "neck02", "neck03", "head")
NECK_SHARES = (0.15, 0.2, 0.25, 0.4)
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")

# Directions of upper arm and forearm for the left side: x outwards, y back, z up.
ARMS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "down": ((0.16, 0.0, -1.0), (0.08, -0.25, -1.0)),
    "bent": ((0.15, 0.1, -1.0), (-0.35, -0.8, -0.1)),
    "hip": ((0.6, 0.35, -0.7), (-0.6, -0.45, -0.5)),
    "face": ((0.1, -0.75, -0.5), (-0.25, 0.1, 0.9)),
    "ear": ((0.55, -0.5, -0.5), (-0.3, 0.15, 0.9)),
    "wave": ((0.9, -0.2, -0.1), (0.25, -0.25, 1.0)),
    "reach": ((0.15, -1.0, -0.25), (-0.05, -1.0, 0.15)),
    "up": ((0.4, -0.2, 1.0), (0.0, -0.1, 1.0)),
}
ARM_ODDS = (0.52, 0.17, 0.07, 0.07, 0.05, 0.05, 0.05, 0.02)


@jit
def forward_kinematics(parents, joints, rotations):  # type: ignore[no-untyped-def]
    """Bone transforms x -> linear @ x + shift; parents come before their children."""
    count = parents.shape[0]
    linear = np.zeros((count, 3, 3), np.float32)
    shift = np.zeros((count, 3), np.float32)
    for b in range(count):
        p = parents[b]
        for i in range(3):
            base = joints[b, i] if p < 0 else shift[p, i]
            for j in range(3):
                total = np.float32(0.0)
                if p < 0:
                    total = rotations[b, i, j]
                else:
                    for k in range(3):
                        total += linear[p, i, k] * rotations[b, k, j]
                    base += linear[p, i, j] * joints[b, j]
                linear[b, i, j] = total
                base -= total * joints[b, j]
            shift[b, i] = base
    return linear, shift


def between(source: Array, target: Array) -> Array:
    """Shortest rotation (3, 3) that turns one direction into another."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis, cosine = np.cross(a, b), float(a @ b)
    if np.linalg.norm(axis) < 1e-6:
        if cosine > 0:
            return np.eye(3)
        # opposite: half a turn about any normal
        axis = np.array([-a[1], a[0], 0.0]) if abs(a[2]) < 0.9 else np.array([0.0, -a[2], a[1]])
        return rotation_from_vector(axis * (math.pi / np.linalg.norm(axis)))
    sine = float(np.linalg.norm(axis))
    return rotation_from_vector(axis * (math.atan2(sine, cosine) / sine))


def head_turn(yaw: float, pitch: float, roll: float) -> Array:
    """Head against torso: yaw > 0 to the subject's left, pitch > 0 up, roll > 0 to the left ear.

    Degrees to a rotation vector in resting axes: the subject looks along -y.
    """
    # a right-handed turn about z takes -y (forwards) to +x (left); about x it takes -y down
    turn = Rotation.from_euler("ZXY", [yaw, -pitch, roll], degrees=True)
    return turn.as_rotvec()


def random_head_turn(rng: np.random.Generator) -> Array:
    """How people hold their heads, relative to the torso: a rotation vector as of `head_turn`."""
    yaw = np.clip(rng.normal(0, 28), -70, 70)
    pitch = np.clip(rng.normal(-3, 14) + (rng.random() < 0.12) * rng.normal(-14, 12), -42, 38)
    roll = np.clip(rng.normal(0, 8), -25, 25)
    return head_turn(yaw, pitch, roll)


def steep_head_turn(rng: np.random.Generator) -> Array:
    """Heads bent over books and telephones, thrown back or laid aside, as a rotation vector.

    Necks bend forwards by some 50 degrees, backwards by 60 and to each side by 45.
    """
    yaw = np.clip(rng.normal(0, 25), -65, 65)
    pitch = np.clip(rng.normal(-8, 24), -50, 42)
    roll = np.clip(rng.normal(0, 18), -40, 40)
    return head_turn(yaw, pitch, roll)


def turn_head(rig: Rig, pose: Array, turn: Array) -> None:
    """Turn the head against the trunk by a rotation vector, shared by the bones of the neck."""
    for name, share in zip(NECK, NECK_SHARES, strict=True):
        pose[rig.labels.index(name)] = rotation_from_vector(turn * share)


def random_pose(
    rig: Rig, joints: Array, body_yaw: float, seated: bool, rng: np.random.Generator
) -> Array:
    """Rotations (J, 3, 3) of all bones; `body_yaw` in degrees about z (0 looks along -y)."""
    index = {label: i for i, label in enumerate(rig.labels)}
    out = np.zeros((len(rig.labels), 3, 3))
    out[:] = np.eye(3)
    lean = np.radians(rng.normal(0, [6, 4, 7]))
    for name in SPINE:
        out[index[name]] = rotation_from_vector(lean / len(SPINE))
    turn_head(rig, out, random_head_turn(rng))
    gaze = head_turn(np.clip(rng.normal(0, 12), -28, 28), np.clip(rng.normal(-2, 6), -15, 12), 0)
    for name in ("eye.L", "eye.R"):
        out[index[name]] = rotation_from_vector(gaze)
    kinds = rng.choice(len(ARMS), 2, p=ARM_ODDS)
    if rng.random() < 0.4:
        kinds[1] = kinds[0]
    for side, sign, kind in (("L", 1.0, kinds[0]), ("R", -1.0, kinds[1])):
        upper, lower = ARMS[tuple(ARMS)[kind]]
        names = (f"upperarm01.{side}", f"lowerarm01.{side}", f"wrist.{side}")
        _limb(out, joints, [index[n] for n in names], upper, lower, sign, 0.1, rng)
    _legs(out, joints, index, seated, rng)
    out[0] = rotation_from_vector(np.array([0.0, 0.0, np.radians(body_yaw)]))
    return out.astype(np.float32)


def _legs(
    out: Array, joints: Array, index: dict[str, int], seated: bool, rng: np.random.Generator
) -> None:
    stride = rng.normal(0, 0.22) if rng.random() < 0.6 else 0.0
    for side, sign in (("L", 1.0), ("R", -1.0)):
        if seated:
            upper, lower = (0.15, -1.0, -0.08), (0.05, -0.1, -1.0)
        else:
            upper, lower = (0.1, stride * sign, -1.0), (0.03, stride * sign + 0.1, -1.0)
        names = (f"upperleg02.{side}", f"lowerleg01.{side}", f"foot.{side}")
        _limb(out, joints, [index[n] for n in names], upper, lower, sign, 0.05, rng)


def _limb(
    out: Array,
    joints: Array,
    bones: list[int],
    upper: tuple[float, ...],
    lower: tuple[float, ...],
    sign: float,
    noise: float,
    rng: np.random.Generator,
) -> None:
    """`bend_limb` with noise on both directions."""
    mirror = np.array([sign, 1.0, 1.0])
    first = np.array(upper) * mirror + rng.normal(0, noise, 3)
    second = np.array(lower) * mirror + rng.normal(0, noise, 3)
    bend_limb(out, joints, bones, first * mirror, second * mirror, sign)


def bend_limb(
    out: Array,
    joints: Array,
    bones: list[int],
    upper: Sequence[float] | Array,
    lower: Sequence[float] | Array,
    sign: float,
) -> None:
    """Turn a two-part limb so that its parts point along directions given for the left side
    (x outwards); `sign` is -1 for the right one. `bones`: upper, lower and end, rows of joints
    (J, 3) and of `out` (J, 3, 3), which gets the rotations of the first two."""
    first, second, end = bones
    mirror = np.array([sign, 1.0, 1.0])
    target = np.array(upper) * mirror
    out[first] = between((joints[second] - joints[first]).astype(np.float64), target)
    target = np.array(lower) * mirror
    out[second] = between((joints[end] - joints[second]).astype(np.float64), out[first].T @ target)
