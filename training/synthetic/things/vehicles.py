# SPDX-License-Identifier: Apache-2.0
"""Bicycle, car, cart and aeroplane; left and right are the driver's."""

from __future__ import annotations

import numpy as np

from .shape import ENDS, SIDES, Assembly, Category, arc, descriptions


def bicycle(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    wheel, base = rng.uniform(0.3, 0.36), rng.uniform(0.48, 0.56)
    seat, stem = rng.uniform(0.85, 1.0), rng.uniform(0.9, 1.05)
    thick, grip = rng.uniform(0.014, 0.024), rng.uniform(0.2, 0.32)
    for name, sign in ENDS:
        hub = np.array([0, sign * base, wheel])
        ring = arc(hub, (0, wheel - 0.02, 0), (0, 0, wheel - 0.02), 0, 360, 25)
        thing.bow("dark", ring, rng.uniform(0.016, 0.03))
        for end in arc(hub, (0, wheel - 0.03, 0), (0, 0, wheel - 0.03), 0, 315, 8):
            thing.rod("metal", hub, end, 0.004)
        thing.rod("metal", hub - (0.05, 0, 0), hub + (0.05, 0, 0), 0.022)
        thing.mark(f"{name} hub", *hub)
        thing.mark(f"top of the {name} tyre", 0, sign * base, 2 * wheel)
    crank = np.array([0, 0.05, wheel * 0.85])
    saddle, head = np.array([0, 0.2, seat]), np.array([0, -base + 0.17, stem - 0.14])
    rear, front = np.array([0, base, wheel]), np.array([0, -base, wheel])
    for start, end in (
        (crank, saddle), (crank, head), (saddle * 0.9 + crank * 0.1, head), (crank, rear),
        (saddle * 0.8 + crank * 0.2, rear), (front, head), (head, head + (0, 0.04, 0.14)),
    ):  # fmt: skip
        thing.rod("one", start, end, thick)
    thing.ball("dark", saddle + (0, 0, 0.03), (0.07, 0.14, 0.03))
    thing.mark("saddle", *(saddle + (0, 0, 0.06)))
    bar = head + (0, 0.04, 0.14)
    thing.mark("middle of the handlebar", *bar)
    thing.mark("pedal axle", *crank)
    spin = rng.uniform(0, 2 * np.pi)
    for side, sign in SIDES:
        end = bar + (sign * grip, rng.uniform(0.0, 0.1), 0.02)
        thing.rod("metal", bar, end, 0.013)
        thing.rod("dark", end * 0.7 + bar * 0.3, end, 0.02)
        thing.mark(f"{side} grip", *end)
        turn = sign * np.array([0, np.cos(spin), np.sin(spin)]) * 0.17
        pedal = crank + turn + (sign * 0.13, 0, 0)
        thing.rod("metal", crank + (sign * 0.06, 0, 0), crank + turn + (sign * 0.06, 0, 0), 0.012)
        thing.rod("metal", crank, crank + (sign * 0.06, 0, 0), 0.012)
        thing.box("dark", pedal, (0.1, 0.08, 0.025))
        thing.mark(f"{side} pedal", *pedal)
    return thing


def car(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    half, long, wheel = rng.uniform(0.8, 0.95), rng.uniform(1.7, 2.4), rng.uniform(0.3, 0.38)
    low, belt, roof = 0.22, rng.uniform(0.8, 1.0), rng.uniform(1.35, 1.75)
    hood = -long * rng.uniform(0.35, 0.5)  # where the windscreen begins
    tail = long * rng.uniform(0.55, 0.95)  # where the rear window ends
    nose = rng.uniform(0.6, 0.78)
    body = [
        (-long, low),
        (-long, nose),
        (hood, belt),
        (tail, belt),
        (long, belt * 0.92),
        (long, low),
    ]
    thing.slab("one", 0, body, -half, half)
    start, end = hood + rng.uniform(0.4, 0.7), tail - rng.uniform(0.1, 0.5)
    inner = half - 0.1
    thing.slab(
        "window",
        0,
        [(hood, belt), (start, roof - 0.06), (end, roof - 0.06), (tail, belt)],
        -inner,
        inner,
    )
    thing.box(
        "one", (0, (start + end) / 2, roof - 0.03), (2 * inner + 0.02, end - start + 0.1, 0.07)
    )
    for y in (start, (start + end) / 2, end):
        bottom = y + 0.75 * ((hood - start) if y == start else (tail - end) if y == end else 0)
        for sign in (-1.0, 1.0):
            thing.bar("one", (sign * inner, bottom, belt), (sign * inner, y, roof), 0.05, 0.07)
    axles = {"front": -long * rng.uniform(0.58, 0.66), "rear": long * rng.uniform(0.55, 0.66)}
    for side, sign in SIDES:
        for name, y in axles.items():
            at = np.array([sign * (half - 0.08), y, wheel])
            across = np.array([sign * 0.1, 0, 0])
            thing.rod("dark", at - across, at + across, wheel)
            thing.rod("metal", at, at + across * 1.08, wheel * 0.55)
            thing.mark(f"{name} {side} wheel", *(at + across * 1.1))
        lamp = sign * (half - 0.18)
        thing.ball("white", (lamp, -long, nose - 0.12), (0.13, 0.04, 0.09))
        thing.box("red", (sign * (half - 0.1), long, belt * 0.8), (0.18, 0.04, 0.14))
        thing.mark(f"{side} headlight", lamp, -long - 0.04, nose - 0.12)
        thing.mark(f"{side} rear light", sign * (half - 0.1), long + 0.02, belt * 0.8)
        thing.mark(f"{side} corner of the windscreen", sign * inner, hood, belt)
        thing.box("one", (sign * (half + 0.06), hood + 0.25, belt + 0.06), (0.14, 0.06, 0.1))
        thing.mark(f"{side} mirror", sign * (half + 0.08), hood + 0.22, belt + 0.06)
    thing.box("white", (0, -long, 0.4), (0.5, 0.02, 0.12))
    thing.mark("front number plate", 0, -long - 0.02, 0.4)
    thing.mark("front end of the roof", 0, start, roof)
    thing.mark("rear end of the roof", 0, end, roof)
    return thing


def cart(rng: np.random.Generator) -> Assembly:
    """A hand cart that is pushed by a bar at its rear."""
    thing = Assembly()
    half, long, wheel = rng.uniform(0.22, 0.32), rng.uniform(0.35, 0.5), rng.uniform(0.05, 0.09)
    floor, top, bar = rng.uniform(0.2, 0.45), rng.uniform(0.6, 0.8), rng.uniform(0.9, 1.05)
    slim = rng.uniform(0.75, 1.0)  # of the front against the rear
    floor_at, wall = np.array([0, 0, floor]), 0.025
    thing.box("one", floor_at, (2 * half * slim, 2 * long, wall))
    for sign in (-1.0, 1.0):
        start, end = (sign * half * slim, -long), (sign * half, long)
        thing.slab(
            "one",
            2,
            [start, end, (end[0] - sign * wall, end[1]), (start[0] - sign * wall, start[1])],
            floor,
            top,
        )
    thing.box("one", (0, -long, (floor + top) / 2), (2 * half * slim, wall, top - floor))
    thing.box("one", (0, long, (floor + top) / 2), (2 * half, wall, top - floor))
    back = long + rng.uniform(0.08, 0.2)
    for side, sign in SIDES:
        for name, y in (("front", -long + 0.05), ("rear", long - 0.05)):
            at = np.array([sign * half * 0.85 * (slim if y < 0 else 1), y, wheel])
            thing.rod("metal", at, at + (0, 0, floor - wheel), 0.015)
            across = np.array([0.018, 0, 0])
            thing.rod("dark", at - across, at + across, wheel)
            thing.mark(f"{name} {side} wheel", *at)
        thing.rod("metal", (sign * half, long, top), (sign * half, back, bar), 0.014)
        thing.mark(f"{side} end of the push bar", sign * (half + 0.03), back, bar)
        thing.mark(f"front {side} box corner", sign * half * slim, -long, top)
        thing.mark(f"rear {side} box corner", sign * half, long, top)
    thing.rod("two", (-half - 0.03, back, bar), (half + 0.03, back, bar), 0.02)
    return thing


def aeroplane(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    radius, long = rng.uniform(0.09, 0.13), rng.uniform(0.9, 1.2)
    profile = [(0, long), (radius * 0.6, long * 0.9), (radius, long * 0.7), (radius, -long * 0.4),
               (radius * 0.3, -long * 0.95), (0, -long)]  # fmt: skip
    along = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z to the front
    thing.lathe("one", (0, 0, 0), profile, along)
    span, sweep = rng.uniform(0.8, 1.2), rng.uniform(0.0, 0.45)
    root, tip = rng.uniform(0.28, 0.4), rng.uniform(0.1, 0.2)
    level, forward = radius * rng.uniform(-0.6, 0.7), -long * rng.uniform(0.05, 0.3)
    rise = rng.uniform(0, 0.1)
    fin = rng.uniform(0.25, 0.4)
    thing.slab(
        "two",
        0,
        [(long * 0.6, 0), (long * 0.85, fin), (long * 1.02, fin), (long * 0.97, 0)],
        -0.012,
        0.012,
    )
    thing.mark("tip of the tail fin", 0, long * 0.95, fin)
    for side, sign in SIDES:
        _wing(thing, sign, forward, root, tip, span, sweep, level, rise)
        end = (sign * span, forward + sweep + tip / 2, level + rise)
        thing.mark(f"{side} wing tip", *end)
        at = np.array(
            [sign * span * 0.35, forward + sweep * 0.35 - 0.02, level + rise * 0.35 - 0.06]
        )
        thing.rod("metal", at + (0, 0.09, 0), at - (0, 0.09, 0), 0.04, 0.05)
        thing.mark(f"{side} engine", *(at - (0, 0.09, 0)))
        thing.mark(
            f"front edge of the {side} wing root", sign * radius * 0.9, forward + sweep * 0.1, level
        )
        tail = span * 0.35
        _wing(thing, sign, long * 0.75, root * 0.5, tip * 0.6, tail, sweep * 0.35, 0.02, rise * 0.3)
        thing.mark(
            f"{side} tip of the tail wing",
            sign * tail,
            long * 0.75 + sweep * 0.35 + tip * 0.3,
            0.02 + rise * 0.3,
        )
        thing.ball("window", (sign * radius * 0.55, -long * 0.8, radius * 0.35), (0.03, 0.07, 0.03))
    thing.mark("nose", 0, -long, 0)
    thing.mark("tail end", 0, long, 0)
    return thing


def _wing(
    thing: Assembly, sign: float, front: float, root: float, tip: float, span: float, sweep: float,
    level: float, rise: float,
) -> None:  # fmt: skip
    outline = [
        (0, front),
        (sign * span, front + sweep),
        (sign * span, front + sweep + tip),
        (0, front + root),
    ]
    tilt = np.array([[1, 0, 0], [0, 1, 0], [sign * rise / span, 0, 1]])  # a shear
    own = Assembly()
    own.slab("two", 2, outline, -0.012, 0.012)
    for shape, material in own.parts:
        thing.put(material, shape, (0, 0, level), tilt)


CATEGORIES = (
    Category(
        "bicycle",
        bicycle,
        descriptions(
            "{end} hub: the middle of the {end} wheel",
            "top of the {end} tyre: the highest part of the {end} wheel",
            "saddle: the middle of the seat",
            "middle of the handlebar: halfway between the two grips",
            "{side} grip: the {side} end of the handlebar",
            "pedal axle: the joint between the wheels that the pedals turn about",
            "{side} pedal: the plate for the {side} foot",
        ),
        tilt=(-30, 5),
    ),
    Category(
        "car",
        car,
        descriptions(
            "{end} {side} wheel: the middle of the {end} wheel on the {side} side",
            "{side} headlight: the lamp at the {side} of the front",
            "{side} rear light: the red lamp at the {side} of the rear",
            "{side} corner of the windscreen: the lower {side} end of the front window",
            "{side} mirror: the small block beside the front window on the {side} side",
            "front number plate: the white plate between the headlights, near the ground",
            "{end} end of the roof: the middle of the {end} edge of the roof",
        ),
        tilt=(-35, 3),
    ),
    Category(
        "cart",
        cart,
        descriptions(
            "{end} {side} wheel: the wheel below the {end} {side} corner of the box",
            "{side} end of the push bar: the {side} end of the bar that hands push",
            "front {side} box corner: the upper {side} corner of the box, farthest from the bar",
            "rear {side} box corner: the upper {side} corner of the box, nearest the bar",
        ),
        tilt=(-45, 0),
    ),
    Category(
        "aeroplane",
        aeroplane,
        descriptions(
            "nose: the front end of the body",
            "tail end: the rear end of the body, below the fin",
            "tip of the tail fin: the top of the upright plate at the rear",
            "{side} wing tip: the outer end of the {side} wing",
            "front edge of the {side} wing root: where the front edge of the {side} wing meets the "
            "body",
            "{side} engine: the front of the pipe below the {side} wing",
            "{side} tip of the tail wing: the outer end of the small {side} wing at the rear",
        ),
        roll=25,
        tilt=(-60, 35),
    ),
)
