# SPDX-License-Identifier: Apache-2.0
"""Keypoints of people who stand or sit and hold their arms in some way: no pictures.

What teaches acts needs no more than the places of joints, so these bodies have no skin. Axes are
those of `people.posing`: x to the subject's left, y back, z up, metres from the middle of the hips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.skeleton import ABSENT, COVERED, KEYPOINTS, SEEN

from .people.posing import ARM_ODDS, ARMS

Array = NDArray[np.float64]
CROSSED = ((-0.1, -0.45, -1.0), (-1.0, -0.15, 0.1)), 0.15  # an arm of two, and how many have both
UPPER_ARM, FOREARM, THIGH, SHIN = 0.29, 0.25, 0.43, 0.42
TRUNK = {  # of the left side
    "shoulder": (0.19, 0.0, 0.5),
    "hip": (0.09, 0.0, 0.0),
    "eye": (0.033, -0.09, 0.755),
    "ear": (0.075, 0.0, 0.735),
}
NOSE, NECK = (0.0, -0.12, 0.72), (0.0, 0.0, 0.6)
SEATED, LEGLESS = 0.4, 0.25  # shares of people who sit, and of whom the legs are not in the picture
FACING = 0.7  # share of people who stand more or less towards the camera
HIDDEN = 0.04  # share of keypoints that something covers
ERROR = 0.02  # most of the deviation of a keypoint that a model finds, of the body's height


@dataclass(frozen=True)
class Figure:
    """points (17, 3): exact, in pixels of some picture, with visibility; found (17, 3): the same as
    a model may find them."""

    points: Array
    found: Array


def figures(rng: np.random.Generator) -> Iterator[Figure]:
    """Endless people before cameras at the height of robots."""
    while True:
        body = _body(rng)
        turn = rng.normal(0, 40) if rng.random() < FACING else rng.uniform(-180, 180)
        world = body @ Rotation.from_euler("z", turn, degrees=True).as_matrix().T
        points = _projected(rng, world)
        yield Figure(points, _found(rng, points))


def _body(rng: np.random.Generator) -> Array:
    """Keypoints (17, 3) of a posed body."""
    places: dict[str, Array] = {"nose": np.array(NOSE)}
    crossed = rng.random() < CROSSED[1]
    kinds = rng.choice(len(ARMS), 2, p=ARM_ODDS)
    if rng.random() < 0.4:
        kinds[1] = kinds[0]
    seated = rng.random() < SEATED
    stride = rng.normal(0, 0.2) * (rng.random() < 0.6)
    for side, sign, kind in (("left", 1.0, kinds[0]), ("right", -1.0, kinds[1])):
        mirror = np.array([sign, 1, 1])
        for part, place in TRUNK.items():
            places[f"{side} {part}"] = np.array(place) * mirror
        arm = CROSSED[0] if crossed else ARMS[tuple(ARMS)[kind]]
        chain = zip(("elbow", "wrist"), arm, (UPPER_ARM, FOREARM), strict=True)
        _limb(places, f"{side} shoulder", side, list(chain), mirror, 0.12, rng)
        leg = ((0.15, -1.0, -0.08), (0.05, -0.1, -1.0))
        if not seated:
            leg = ((0.1, stride * sign, -1.0), (0.03, stride * sign + 0.1, -1.0))
        chain = zip(("knee", "ankle"), leg, (THIGH, SHIN), strict=True)
        _limb(places, f"{side} hip", side, list(chain), mirror, 0.06, rng)
    head = Rotation.from_euler("zx", rng.normal(0, (25, 12)), degrees=True)
    for name in ("nose", *(f"{s} {p}" for s in ("left", "right") for p in ("eye", "ear"))):
        places[name] = np.array(NECK) + head.apply(places[name] - NECK)
    return np.array([places[name] for name in KEYPOINTS]) * rng.normal(1, 0.06)


def _limb(
    places: dict[str, Array],
    start: str,
    side: str,
    chain: list[tuple[str, tuple[float, float, float], float]],
    mirror: Array,
    noise: float,
    rng: np.random.Generator,
) -> None:
    """Joints one behind the other: name, direction for the left side, length."""
    place = places[start]
    for part, direction, length in chain:
        way = (np.array(direction) + rng.normal(0, noise, 3)) * mirror
        place = place + way / np.linalg.norm(way) * length * rng.normal(1, 0.05)
        places[f"{side} {part}"] = place


def _projected(rng: np.random.Generator, world: Array) -> Array:
    """(17, 3) as a camera of 1000 pixels' focal length sees them."""
    tilt = Rotation.from_euler("x", rng.normal(0, 8), degrees=True)
    away = np.array([rng.normal(0, 0.4), rng.uniform(1.5, 4.5), rng.normal(0, 0.3)])
    x, depth, z = tilt.apply(world + away).T
    label = np.column_stack([1000 * x / depth, -1000 * z / depth, np.full(len(world), SEEN)])
    # who is seen from behind has no face, and from the side one ear
    face = {name: world[KEYPOINTS.index(name)] for name in KEYPOINTS[:5]}
    middle = (face["left ear"] + face["right ear"]) / 2
    for number, name in enumerate(KEYPOINTS[:5]):
        label[number, 2] = SEEN if (face[name] - middle)[1] < 0.03 else COVERED
    label[rng.random(len(label)) < HIDDEN, 2] = COVERED
    if rng.random() < LEGLESS:
        label[KEYPOINTS.index("left knee") :] = ABSENT
    return label


def _found(rng: np.random.Generator, points: Array) -> Array:
    there = points[:, 2] != ABSENT
    height = float(np.ptp(points[there, 1]))
    noise = rng.normal(0, height * rng.uniform(0, ERROR), (len(points), 2))
    return np.column_stack([points[:, :2] + noise * there[:, None], points[:, 2]])
