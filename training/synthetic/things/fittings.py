# SPDX-License-Identifier: Apache-2.0
"""Table, cabinet, door, ladder and lamp; left and right are those of the picture."""

from __future__ import annotations

import numpy as np

from .shape import ENDS, SEEN, Assembly, Category, descriptions


def table(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    half, deep, height = rng.uniform(0.5, 0.9), rng.uniform(0.3, 0.45), rng.uniform(0.45, 0.8)
    thick, leg, inset = rng.uniform(0.025, 0.05), rng.uniform(0.03, 0.07), rng.uniform(0.0, 0.1)
    thing.box("one", (0, 0, height - thick / 2), (2 * half, 2 * deep, thick))
    round_legs = rng.random() < 0.4
    for end, y in ENDS:
        for side, x in SEEN:
            at = np.array([x * (half - leg / 2 - inset), y * (deep - leg / 2 - inset / 2), 0])
            top = at + (0, 0, height - thick)
            if round_legs:
                thing.rod("two", top, at, leg / 2, leg / 3)
            else:
                thing.bar("two", top, at, leg, leg)
            thing.mark(f"{end} {side} corner", x * half, y * deep, height)
            thing.mark(f"{end} {side} foot", *at)
    return thing


def cabinet(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    half, deep, height = rng.uniform(0.35, 0.6), rng.uniform(0.18, 0.28), rng.uniform(0.7, 1.9)
    low = rng.uniform(0.05, 0.12)
    thing.box("one", (0, 0, (height + low) / 2), (2 * half, 2 * deep, height - low))
    leaf, gap = half - 0.02, 0.008
    knob = low + (height - low) * rng.uniform(0.45, 0.65)
    for side, x in SEEN:
        at = (x * (leaf + gap) / 2, -deep - 0.008, (height + low) / 2)
        thing.box("two", at, (leaf - gap, 0.016, height - low - 0.03))
        thing.ball("metal", (x * 0.05, -deep - 0.03, knob), (0.016, 0.016, 0.016))
        for y in (-deep + 0.03, deep - 0.03):
            thing.rod("dark", (x * (half - 0.03), y, low), (x * (half - 0.03), y, 0), 0.02)
        thing.mark(f"{side} knob", x * 0.05, -deep - 0.045, knob)
        thing.mark(f"front top {side} corner", x * half, -deep, height)
        thing.mark(f"rear top {side} corner", x * half, deep, height)
        thing.mark(f"front bottom {side} corner", x * half, -deep, low)
        thing.mark(f"front {side} foot", x * (half - 0.03), -deep + 0.03, 0)
    thing.mark("gap between the doors", 0, -deep - 0.01, (height + low) / 2)
    return thing


def door(rng: np.random.Generator) -> Assembly:
    """A closed door in its frame."""
    thing = Assembly()
    half, height = rng.uniform(0.36, 0.5), rng.uniform(1.9, 2.2)
    hinge = rng.choice([-1.0, 1.0])  # the side of the hinges
    frame = rng.uniform(0.06, 0.12)
    for sign in (-1.0, 1.0):
        at = (sign * (half + frame / 2), 0.0, (height + frame) / 2)
        thing.box("two", at, (frame, 0.12, height + frame))
    thing.box("two", (0, 0, height + frame / 2), (2 * half + 2 * frame, 0.12, frame))
    thing.box("one", (0, 0, height / 2), (2 * half - 0.01, 0.05, height - 0.01))
    rows = int(rng.integers(1, 4))
    for row in range(rows):
        at = (0, -0.026, height * (row + 0.5) / rows)
        thing.box("three", at, (half * 1.2, 0.012, height / rows * 0.7))
    level, x = rng.uniform(0.9, 1.1), -hinge * (half - 0.07)
    thing.rod("metal", (x, -0.02, level), (x, -0.075, level), 0.012)
    thing.rod("metal", (x, -0.075, level), (x + hinge * 0.12, -0.075, level), 0.011)
    thing.box("metal", (x, -0.028, level - 0.06), (0.045, 0.012, 0.2))
    thing.ball("dark", (x, -0.034, level - 0.11), (0.01, 0.006, 0.014))
    for name, share in (("upper", 0.85), ("lower", 0.13)):
        z = height * share
        thing.rod(
            "metal", (hinge * half, -0.035, z - 0.05), (hinge * half, -0.035, z + 0.05), 0.013
        )
        thing.mark(f"{name} hinge", hinge * half, -0.045, z)
    for name, sign in (("hinges", hinge), ("handle", -hinge)):
        thing.mark(f"top corner on the side of the {name}", sign * half, -0.025, height)
        thing.mark(f"bottom corner on the side of the {name}", sign * half, -0.025, 0)
    thing.mark("handle", x + hinge * 0.06, -0.085, level)
    thing.mark("keyhole", x, -0.04, level - 0.11)
    return thing


def ladder(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    low, high = rng.uniform(0.22, 0.35), rng.uniform(0.16, 0.22)
    height, lean = rng.uniform(1.8, 3.2), rng.uniform(0.0, 0.8)
    count, thick = int(rng.integers(5, 11)), rng.uniform(0.02, 0.035)
    for side, x in SEEN:
        foot, top = (x * low, 0, 0), (x * high, lean, height)
        thing.bar("one", foot, top, thick * 1.6, thick * 2.2)
        thing.mark(f"top {side} end", *top)
        thing.mark(f"bottom {side} end", *foot)
    shares = (np.arange(count) + 0.7) / (count + 0.4)
    for share in shares:
        half = low + (high - low) * share
        at = (lean * share, height * share)
        thing.rod("two", (-half, *at), (half, *at), thick * 0.7)
    for name, share in (("highest", shares[-1]), ("lowest", shares[0])):
        thing.mark(f"middle of the {name} rung", 0, lean * share, height * share)
    return thing


def lamp(rng: np.random.Generator) -> Assembly:
    """On a table or on the floor, round."""
    thing = Assembly()
    height, base = rng.uniform(0.35, 1.6), rng.uniform(0.07, 0.14)
    lower = rng.uniform(0.12, 0.2)
    upper, tall = lower * rng.uniform(0.4, 0.9), rng.uniform(0.14, 0.25)
    thing.lathe(
        "one", (0, 0, 0), [(0, 0.04), (base * 0.5, 0.035), (base, 0.015), (base, 0), (0, 0)]
    )
    thing.rod("metal", (0, 0, 0.03), (0, 0, height - tall * 0.3), rng.uniform(0.008, 0.02))
    thing.lathe("two", (0, 0, 0), [(upper, height), (lower, height - tall)])
    thing.mark("middle of the pole", 0, -0.01, (0.04 + height - tall) / 2)
    thing.mark("foot of the pole", 0, -0.015, 0.045)
    for side, x in SEEN:
        thing.mark(f"{side} base edge", x * base, 0, 0.008)
        thing.mark(f"lower {side} shade edge", x * lower, 0, height - tall)
        thing.mark(f"upper {side} shade edge", x * upper, 0, height)
    return thing


CATEGORIES = (
    Category(
        "table",
        table,
        descriptions(
            "{end} {side} corner: where the {end} edge of the top meets its {side} edge",
            "{end} {side} foot: where the {end} {side} leg stands on the ground",
        ),
        turn=38,
        tilt=(-45, -8),
    ),
    Category(
        "cabinet",
        cabinet,
        descriptions(
            "{side} knob: the small ball on the {side} door, beside the gap between the doors",
            "front top {side} corner: the upper {side} corner of the front",
            "rear top {side} corner: the {side} end of the rear edge of the top",
            "front bottom {side} corner: the lower {side} corner of the front, above the foot",
            "front {side} foot: where the short leg below the front {side} corner ends",
            "gap between the doors: the middle of the line where the two doors meet",
        ),
        turn=50,
        tilt=(-35, 5),
    ),
    Category(
        "door",
        door,
        descriptions(
            "handle: the middle of the grip that opens the door, above the keyhole",
            "keyhole: the small dark hole below the handle",
            "upper hinge: the upper of the joints opposite the handle",
            "lower hinge: the lower of the joints opposite the handle",
            "top corner on the side of the handle: where the upper edge of the door ends, above "
            "the handle",
            "bottom corner on the side of the handle: where the lower edge of the door ends, below "
            "the handle",
            "top corner on the side of the hinges: where the upper edge of the door ends, above "
            "the upper hinge",
            "bottom corner on the side of the hinges: where the lower edge of the door ends, below "
            "the lower hinge",
        ),
        turn=55,
        tilt=(-20, 12),
    ),
    Category(
        "ladder",
        ladder,
        descriptions(
            "top {side} end: the upper end of the {side} of the two long bars",
            "bottom {side} end: the lower end of the {side} of the two long bars, on the ground",
            "middle of the highest rung: halfway along the step that is nearest the top",
            "middle of the lowest rung: halfway along the step that is nearest the ground",
        ),
        turn=55,
        tilt=(-30, 15),
    ),
    Category(
        "lamp",
        lamp,
        descriptions(
            "middle of the pole: halfway between the base and the lower edge of the shade",
            "foot of the pole: where the pole stands on the base",
            "{side} base edge: the {side} end of the round plate on the ground",
            "lower {side} shade edge: the {side} end of the lower, wide edge of the shade",
            "upper {side} shade edge: the {side} end of the upper, narrow edge of the shade",
        ),
        turn=0,
        tilt=(-35, 5),
    ),
)
