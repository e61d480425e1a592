# SPDX-License-Identifier: Apache-2.0
"""Book, laptop and potted plant; left and right are those of the picture."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .shape import SEEN, Assembly, Category, descriptions


def book(rng: np.random.Generator) -> Assembly:
    """Open, its pages up and its lower edge to the front."""
    thing = Assembly()
    wide, half = rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.15)
    lift, thick = rng.uniform(0.01, 0.06), rng.uniform(0.008, 0.025)
    for side, x in SEEN:
        cover = [(0, 0), (x * wide * 1.03, lift), (x * wide * 1.03, lift - 0.004), (0, -0.004)]
        thing.slab("one", 1, cover, -half * 1.04, half * 1.04)
        pages = [(0, 0), (0, thick * 0.6), (x * wide * 0.3, thick + lift * 0.3),
                 (x * wide, thick * 0.8 + lift), (x * wide, lift)]  # fmt: skip
        thing.slab("white", 1, pages, -half, half)
        top = thick * 0.8 + lift
        for row in np.linspace(0.7, -0.7, int(rng.integers(3, 9))):
            start = np.array([x * wide * 0.4, row * half, thick + lift * 0.4 - 0.001])
            end = np.array([x * wide * 0.9, row * half, thick * 0.83 + lift * 0.9 + 0.0005])
            thing.bar("dark", start, end, 0.003, 0.005)
        thing.mark(f"upper {side} corner", x * wide, half, top)
        thing.mark(f"lower {side} corner", x * wide, -half, top)
        thing.mark(f"middle of the {side} page", x * wide * 0.62, 0, thick * 0.92 + lift * 0.62)
    thing.mark("upper end of the fold", 0, half, thick * 0.6)
    thing.mark("lower end of the fold", 0, -half, thick * 0.6)
    return thing


def laptop(rng: np.random.Generator) -> Assembly:
    """Open towards -y, where its user is."""
    thing = Assembly()
    half, deep, thick = rng.uniform(0.14, 0.19), rng.uniform(0.1, 0.13), rng.uniform(0.012, 0.022)
    lean = np.radians(rng.uniform(0, 40))
    tall = 2 * deep * rng.uniform(0.92, 1.0)
    thing.box("one", (0, 0, thick / 2), (2 * half, 2 * deep, thick))
    keys = deep * rng.uniform(0.15, 0.3)  # the middle of the keyboard
    thing.box("dark", (0, keys, thick), (2 * half * 0.88, deep * 0.95, 0.003))
    for row in np.linspace(-0.36, 0.36, 4):
        for x in np.linspace(-0.8, 0.8, 11):
            thing.box(
                "two",
                (x * half, keys + row * deep, thick + 0.003),
                (half * 0.11, deep * 0.17, 0.003),
            )
    pad = -deep * 0.66
    thing.box("two", (0, pad, thick + 0.001), (half * 0.62, deep * 0.4, 0.002))
    up = np.array([0, np.sin(lean), np.cos(lean)])
    turn = Rotation.from_euler("x", -np.degrees(lean), degrees=True).as_matrix()
    hinge = np.array([0, deep, thick])
    thing.box("one", hinge + up * tall / 2, (2 * half, 0.01, tall), turn)
    face = np.array([0, -np.cos(lean), np.sin(lean)]) * 0.0055
    thing.box(
        "screen", hinge + up * tall * 0.52 + face, (2 * half * 0.92, 0.002, tall * 0.86), turn
    )
    for side, x in SEEN:
        edge = np.array([x * half, 0, 0])
        thing.mark(f"upper {side} corner of the screen", *(edge + hinge + up * tall))
        thing.mark(f"{side} end of the hinge", *(edge + hinge))
        thing.mark(f"front {side} corner", x * half, -deep, thick)
    thing.mark("middle of the screen", *(hinge + up * tall * 0.52 + face))
    thing.mark("middle of the keyboard", 0, keys, thick + 0.004)
    thing.mark("touchpad", 0, pad, thick + 0.003)
    return thing


def plant(rng: np.random.Generator) -> Assembly:
    """Round pot, an upright stem and leaves to either side."""
    thing = Assembly()
    low, high, pot = rng.uniform(0.06, 0.09), rng.uniform(0.09, 0.13), rng.uniform(0.12, 0.2)
    profile = [(0, pot * 0.92), (high * 0.92, pot * 0.92), (high, pot), (low, 0), (0, 0)]
    thing.lathe("one", (0, 0, 0), profile)
    thing.lathe("earth", (0, 0, 0), [(0, pot * 0.94), (high * 0.94, pot * 0.94)])
    stem = rng.uniform(0.25, 0.6)
    crown = pot + stem
    thing.rod("leaf", (0, 0, pot * 0.9), (0, 0, crown), 0.011, 0.006)
    wide = rng.uniform(0.025, 0.05)
    for level, share in (("lower", rng.uniform(0.2, 0.4)), ("upper", rng.uniform(0.55, 0.8))):
        for side, x in SEEN:
            z = pot + stem * (share + rng.uniform(-0.05, 0.05))
            long, rise = rng.uniform(0.11, 0.19), np.radians(rng.uniform(-5, 45))
            way = np.array([x * np.cos(rise), rng.uniform(-0.3, 0.3), np.sin(rise)])
            _leaf(thing, np.array([0, 0, z]), way, long, wide)
            thing.mark(f"tip of the {level} {side} leaf", *(np.array([0, 0, z]) + way * long))
    long = rng.uniform(0.1, 0.16)
    _leaf(thing, np.array([0, 0, crown]), np.array([0, 0.0, 1.0]), long, wide)
    thing.mark("tip of the top leaf", 0, 0, crown + long)
    thing.mark("foot of the stem", 0, -0.01, pot * 0.96)
    for side, x in SEEN:
        thing.mark(f"{side} rim of the pot", x * high, 0, pot)
        thing.mark(f"{side} base of the pot", x * low, 0, 0)
    return thing


def _leaf(thing: Assembly, root: np.ndarray, way: np.ndarray, long: float, wide: float) -> None:
    """A flat pointed oval from `root` along the direction `way`, its face to the front."""
    across = np.cross(way, (0, 1.0, 0.35))
    across /= np.linalg.norm(across)
    shares = ((0, 0.1), (0.25, 0.8), (0.5, 1.0), (0.75, 0.7), (1, 0))
    rows = [root + way * long * s + sign * across * wide * w for sign in (1, -1) for s, w in shares]
    points = np.array(rows, np.float32)
    triangles = [t for i in range(4) for t in ((i, i + 1, i + 5), (i + 1, i + 6, i + 5))]
    uv = np.array([(s, (1 + sign * w) / 2) for sign in (1, -1) for s, w in shares], np.float32)
    thing.put("leaf", (points, uv, np.array(triangles, np.int32)), (0, 0, 0))


CATEGORIES = (
    Category(
        "book",
        book,
        descriptions(
            "upper end of the fold: where the two pages meet at the upper edge",
            "lower end of the fold: where the two pages meet at the lower edge",
            "upper {side} corner: where the upper edge of the {side} page ends",
            "lower {side} corner: where the lower edge of the {side} page ends",
            "middle of the {side} page: the middle of the page on the {side} of the fold",
        ),
        turn=35,
        tilt=(-75, -22),
    ),
    Category(
        "laptop",
        laptop,
        descriptions(
            "middle of the screen: the middle of the upright picture",
            "upper {side} corner of the screen: the upper {side} corner of the lid",
            "{side} end of the hinge: the {side} end of the line where the lid meets the keyboard",
            "front {side} corner: the {side} end of the edge below the touchpad",
            "middle of the keyboard: the middle of the block of keys, between screen and touchpad",
            "touchpad: the middle of the flat plate before the keys",
        ),
        turn=60,
        tilt=(-50, -8),
    ),
    Category(
        "plant",
        plant,
        descriptions(
            "{side} rim of the pot: the {side} end of the upper edge of the pot",
            "{side} base of the pot: the {side} end of the lower edge of the pot",
            "foot of the stem: where the stem leaves the earth",
            "tip of the lower {side} leaf: the outer end of the lower leaf on the {side}",
            "tip of the upper {side} leaf: the outer end of the upper leaf on the {side}",
            "tip of the top leaf: the upper end of the leaf above the stem",
        ),
        turn=0,
        tilt=(-30, 8),
    ),
)
