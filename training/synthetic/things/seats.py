# SPDX-License-Identifier: Apache-2.0
"""Chair, stool, sofa and bed; left and right are those of somebody who sits or lies on them."""

from __future__ import annotations

import numpy as np

from .shape import ENDS, SEEN, SIDES, Assembly, Category, arc, descriptions


def chair(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    half, deep = rng.uniform(0.19, 0.25), rng.uniform(0.18, 0.25)
    seat, top = rng.uniform(0.4, 0.5), rng.uniform(0.75, 1.1)
    thick, leg, lean = rng.uniform(0.02, 0.06), rng.uniform(0.03, 0.05), rng.uniform(0, 0.1)
    thing.box("one", (0, 0, seat - thick / 2), (2 * half, 2 * deep, thick))
    for side, sign in SIDES:
        x, edge = sign * (half - leg / 2), sign * half
        thing.bar("two", (x, -deep + leg / 2, seat - thick), (x, -deep + leg / 2, 0), leg, leg)
        thing.bar("two", (x, deep - leg / 2, seat - thick), (x, deep - leg / 2, 0), leg, leg)
        thing.bar("two", (x, deep - leg / 2, seat), (x, deep + lean, top), leg, leg)
        thing.mark(f"front {side} seat corner", edge, -deep, seat)
        thing.mark(f"rear {side} seat corner", edge, deep, seat)
        thing.mark(f"top {side} backrest corner", edge, deep + lean, top)
        thing.mark(f"front {side} foot", x, -deep + leg / 2, 0)
        thing.mark(f"rear {side} foot", x, deep - leg / 2, 0)
    slats = int(rng.integers(1, 4))
    for share in np.linspace(0.9, 0.3, slats) if slats > 1 else (0.65,):
        height = (top - seat) * (0.16 if slats > 1 else 0.6)
        at = (0, deep + lean * share, seat + (top - seat) * share)
        thing.box("one", at, (2 * half - leg, 0.025, height))
    return thing


def stool(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    wide, height, spread = rng.uniform(0.15, 0.2), rng.uniform(0.42, 0.8), rng.uniform(1.0, 1.4)
    thick, leg = rng.uniform(0.025, 0.06), rng.uniform(0.012, 0.022)
    profile = [(0, height), (wide, height), (wide, height - thick), (0, height - thick)]
    thing.lathe("one", (0, 0, 0), profile)
    ring = height * rng.uniform(0.3, 0.5)
    for name, y in ENDS:
        for side, x in SEEN:
            top = np.array([x, y, 0]) * wide * 0.6 + (0, 0, height - thick)
            foot = np.array([x, y, 0]) * wide * 0.6 * spread
            thing.rod("two", top, foot, leg)
            thing.mark(f"{name} {side} foot", *foot)
    share = ring / (height - thick)
    around = wide * 0.85 * (spread + (1 - spread) * share)
    thing.bow("two", arc((0, 0, ring), (around, 0, 0), (0, around, 0), 0, 360, 16), leg * 0.7)
    thing.mark("seat middle", 0, 0, height)
    thing.mark("front seat edge", 0, -wide, height)
    for side, x in SEEN:
        thing.mark(f"{side} seat edge", x * wide, 0, height)
    thing.mark("front ring middle", 0, -around, ring)
    return thing


def sofa(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    half, deep, arm = rng.uniform(0.7, 1.1), rng.uniform(0.4, 0.48), rng.uniform(0.12, 0.22)
    seat, side_top, top = rng.uniform(0.38, 0.46), rng.uniform(0.55, 0.66), rng.uniform(0.75, 0.95)
    back = rng.uniform(0.16, 0.25)
    thing.box("one", (0, 0, seat / 2 - 0.02), (2 * half, 2 * deep, seat - 0.12))
    thing.box("one", (0, deep - back / 2, (top + 0.08) / 2), (2 * half, back, top - 0.08))
    count = int(rng.integers(2, 4))
    inner = 2 * (half - arm)
    for x in (np.arange(count) + 0.5) / count * inner - inner / 2:
        at = (x, -back / 2, seat - 0.05)
        thing.box("two", at, (inner / count - 0.015, 2 * deep - back, 0.14))
    for side, sign in SIDES:
        x = sign * (half - arm / 2)
        thing.box("one", (x, 0, (side_top + 0.08) / 2), (arm, 2 * deep, side_top - 0.08))
        for y in (-deep + 0.06, deep - 0.06):
            thing.rod("wood", (sign * (half - 0.07), y, 0.1), (sign * (half - 0.07), y, 0), 0.025)
        thing.mark(f"front {side} armrest end", x, -deep, side_top)
        thing.mark(f"rear {side} armrest end", x, deep - back, side_top)
        thing.mark(f"top {side} backrest corner", sign * half, deep - back, top)
        thing.mark(f"front {side} foot", sign * (half - 0.07), -deep + 0.06, 0.02)
        thing.mark(f"front {side} seat corner", sign * (half - arm), -deep, seat + 0.01)
    thing.mark("top backrest middle", 0, deep - back, top)
    thing.mark("front seat middle", 0, -deep, seat + 0.01)
    return thing


def bed(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    half, long = rng.uniform(0.45, 0.9), rng.uniform(0.95, 1.05)
    low, mattress, head = rng.uniform(0.2, 0.3), rng.uniform(0.42, 0.55), rng.uniform(0.8, 1.1)
    foot = rng.uniform(0.5, 0.7)
    thing.box("wood", (0, 0, low), (2 * half, 2 * long, 0.14))
    thing.box(
        "white", (0, 0.01, (low + mattress) / 2), (2 * half - 0.04, 2 * long - 0.06, mattress - low)
    )
    thing.box("wood", (0, long, head / 2 + 0.05), (2 * half, 0.05, head - 0.1))
    thing.box("wood", (0, -long, foot / 2 + 0.05), (2 * half, 0.05, foot - 0.1))
    cover = rng.uniform(0.4, 0.65)
    at = (0, -long + 0.04 + cover * long, mattress - 0.04)
    thing.box("one", at, (2 * half + 0.01, 2 * long * cover, 0.13))
    pillow = (half * (0.4 if half > 0.65 else 0.7), 0.2, 0.08)
    for sign in (-1.0, 1.0) if half > 0.65 else (0,):
        thing.ball("two", (sign * half * 0.48, long - 0.28, mattress + 0.03), pillow)
    for side, sign in SIDES:
        edge = sign * half
        for y in (-long, long):
            thing.bar("wood", (edge * 0.96, y, 0.2), (edge * 0.96, y, 0), 0.06, 0.06)
        thing.mark(f"top {side} headboard corner", edge, long, head)
        thing.mark(f"top {side} footboard corner", edge, -long, foot)
        thing.mark(
            f"{side} cover corner beside the pillow", edge, at[1] + long * cover, at[2] + 0.065
        )
        thing.mark(f"{side} foot below the footboard", edge * 0.96, -long, 0.02)
        thing.mark(f"{side} foot below the headboard", edge * 0.96, long, 0.02)
    thing.mark("cover middle", 0, at[1], at[2] + 0.065)
    thing.mark("footboard middle", 0, -long - 0.025, (foot + 0.1) / 2)
    return thing


CATEGORIES = (
    Category(
        "chair",
        chair,
        descriptions(
            "front {side} seat corner: the {side} end of the front edge of the seat",
            "rear {side} seat corner: where the seat meets the {side} side of the backrest",
            "top {side} backrest corner: the upper {side} end of the backrest",
            "{end} {side} foot: where the {end} {side} leg stands on the ground",
        ),
    ),
    Category(
        "stool",
        stool,
        descriptions(
            "seat middle: the middle of the round top",
            "front seat edge: the part of the seat's edge that is nearest",
            "{side} seat edge: the {side} end of the round top",
            "front ring middle: the nearest part of the ring that joins the legs",
            "{end} {side} foot: where the {end} {side} leg stands on the ground",
        ),
        turn=12,
        tilt=(-40, -5),
    ),
    Category(
        "sofa",
        sofa,
        descriptions(
            "front {side} armrest end: the front of the {side} armrest, on top",
            "rear {side} armrest end: where the {side} armrest meets the backrest, on top",
            "top {side} backrest corner: the upper {side} end of the backrest",
            "top backrest middle: halfway between the upper corners of the backrest",
            "front {side} seat corner: where the front edge of the seat meets the {side} armrest",
            "front seat middle: halfway along the front edge of the seat",
            "front {side} foot: the short leg below the front of the {side} armrest",
        ),
        turn=70,
        tilt=(-40, 0),
    ),
    Category(
        "bed",
        bed,
        descriptions(
            "top {side} headboard corner: the {side} end of the high board behind the pillow",
            "top {side} footboard corner: the {side} end of the low board opposite the pillow",
            "{side} cover corner beside the pillow: the {side} end of the cover's edge that is "
            "nearest the pillow",
            "cover middle: the middle of the upper side of the cover",
            "footboard middle: the middle of the low board's outer side",
            "{side} foot below the footboard: where the {side} leg below the low board ends",
            "{side} foot below the headboard: where the {side} leg below the high board ends",
        ),
        turn=150,
        tilt=(-45, -12),
    ),
)
