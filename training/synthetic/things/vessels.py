# SPDX-License-Identifier: Apache-2.0
"""Mug, kettle and bottle."""

from __future__ import annotations

import numpy as np

from .shape import SEEN, Assembly, Category, arc, descriptions


def mug(rng: np.random.Generator) -> Assembly:
    """Its handle is at +x."""
    thing = Assembly()
    low, high, height = rng.uniform(0.03, 0.05), rng.uniform(0.035, 0.05), rng.uniform(0.07, 0.13)
    inner = high * 0.9
    profile = [(0, 0.01), (low * 0.9, 0.01), (inner, height), (high, height), (low, 0), (0, 0)]
    thing.lathe("one", (0, 0, 0), profile)
    top, bottom = height * rng.uniform(0.75, 0.9), height * rng.uniform(0.15, 0.35)
    reach, middle = rng.uniform(0.022, 0.04), (top + bottom) / 2
    at = (low + high) / 2 - 0.004
    path = arc((at, 0, middle), (reach, 0, 0), (0, 0, (top - bottom) / 2), 90, -90)
    thick = rng.uniform(0.004, 0.007)
    thing.bow("one" if rng.random() < 0.6 else "two", path, thick)
    thing.mark("handle", at + reach + thick, 0, middle)
    thing.mark("upper handle end", at + 0.006, 0, top)
    thing.mark("lower handle end", at + 0.004, 0, bottom)
    thing.mark("rim beside the handle", high, 0, height)
    thing.mark("rim opposite the handle", -high, 0, height)
    thing.mark("base below the handle", low, 0, 0)
    thing.mark("base opposite the handle", -low, 0, 0)
    return thing


def kettle(rng: np.random.Generator) -> Assembly:
    """Its spout points to +x, the handle runs above the lid."""
    thing = Assembly()
    wide, top, height = rng.uniform(0.08, 0.11), rng.uniform(0.045, 0.06), rng.uniform(0.1, 0.17)
    base = wide * rng.uniform(0.8, 1.0)
    thing.lathe(
        "one",
        (0, 0, 0),
        [(0, height), (top, height), (wide, height * 0.35), (base, 0), (0, 0)],
    )
    lid = height + 0.012
    thing.lathe("one", (0, 0, 0), [(0, lid), (top * 0.8, height + 0.004), (top * 0.9, height)])
    thing.ball("two", (0, 0, lid + 0.012), (0.014, 0.014, 0.014))
    start = np.array([wide * 0.85, 0, height * rng.uniform(0.3, 0.5)])
    tip = start + (rng.uniform(0.06, 0.1), 0, rng.uniform(0.05, 0.09))
    thing.rod("one", start - (0.01, 0, 0.008), tip, 0.022, 0.011)
    rise, side = rng.uniform(0.07, 0.11), top + 0.02
    thing.bow("two", arc((0, 0, height * 0.85), (side, 0, 0), (0, 0, rise + 0.02), 0, 180), 0.008)
    thing.mark("spout tip", *tip)
    thing.mark("spout base", *(start + (0.012, 0, 0.022)))
    thing.mark("lid knob", 0, 0, lid + 0.024)
    thing.mark("handle", 0, 0, height * 0.85 + rise + 0.028)
    thing.mark("handle end beside the spout", side, 0, height * 0.87)
    thing.mark("handle end opposite the spout", -side, 0, height * 0.87)
    thing.mark("base below the spout", base, 0, 0)
    thing.mark("base opposite the spout", -base, 0, 0)
    return thing


def bottle(rng: np.random.Generator) -> Assembly:
    """Round, so that left and right are those of the picture."""
    thing = Assembly()
    wide, height = rng.uniform(0.03, 0.05), rng.uniform(0.2, 0.32)
    neck, shoulder = wide * rng.uniform(0.25, 0.4), height * rng.uniform(0.5, 0.68)
    start = shoulder + height * rng.uniform(0.1, 0.18)
    cap = height * 0.9
    profile = [(0, cap), (neck, cap), (neck, start), (wide, shoulder), (wide, 0), (0, 0)]
    thing.lathe("one", (0, 0, 0), profile)
    thing.lathe("two", (0, 0, 0), [(0, height), (neck * 1.2, height), (neck * 1.2, cap), (0, cap)])
    low, high = shoulder * rng.uniform(0.15, 0.3), shoulder * rng.uniform(0.7, 0.9)
    thing.lathe("label", (0, 0, 0), [(wide * 1.02, high), (wide * 1.02, low)])
    thing.mark("cap", 0, 0, height)
    thing.mark("lower cap edge", 0, -neck * 1.2, cap)
    thing.mark("neck", 0, -neck, (start + cap) / 2)
    thing.mark("label", 0, -wide, (low + high) / 2)
    for side, sign in SEEN:
        thing.mark(f"{side} shoulder", sign * wide, 0, shoulder)
        thing.mark(f"{side} base edge", sign * wide, 0, 0)
    return thing


CATEGORIES = (
    Category(
        "mug",
        mug,
        descriptions(
            "handle: the outermost part of the curved grip, halfway between its two ends",
            "upper handle end: where the grip leaves the side, below the rim",
            "lower handle end: where the grip comes back to the side, above the base",
            "rim beside the handle: on the upper edge, straight above the grip",
            "rim opposite the handle: on the upper edge, farthest from the grip",
            "base below the handle: on the lower edge, straight below the grip",
            "base opposite the handle: on the lower edge, farthest from the grip",
        ),
    ),
    Category(
        "kettle",
        kettle,
        descriptions(
            "spout tip: the open end of the pipe that the water leaves by",
            "spout base: where the pipe for the water meets the body",
            "lid knob: the small ball on the lid, below the grip",
            "handle: the highest part of the grip, above the lid",
            "handle end beside the spout: where the grip meets the body, on the side of the pipe",
            "handle end opposite the spout: where the grip meets the body, farthest from the pipe",
            "base below the spout: on the lower edge, straight below the pipe",
            "base opposite the spout: on the lower edge, farthest from the pipe",
        ),
    ),
    Category(
        "bottle",
        bottle,
        descriptions(
            "cap: the middle of the top, above the neck",
            "lower cap edge: where the cap ends and the neck begins",
            "neck: the middle of the thin part, between the cap and the shoulders",
            "label: the middle of the band around the body",
            "{side} shoulder: the {side} end of the line where the body begins to narrow",
            "{side} base edge: the {side} end of the lower edge, on the ground",
        ),
        turn=0,
        tilt=(-30, 5),
    ),
)
