# SPDX-License-Identifier: Apache-2.0
"""Regions of the head that, raised along the normals, become hair caps, beanies, hoods and masks.

Coordinates are those of the resting template body (metres; the chin at z 0.616, the eyes at 0.735,
the crown at 0.87, the face at y -0.15, the back of the head at y 0.07).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import Array

SNAP = 0.035  # metres: how far a vertex outside may move to straighten an edge
HOLE = ((0.0, 0.725), (0.072, 0.1))  # face opening of hoods: centre and half axes over x and z
MASK = (0.60, 0.715)  # lower and upper edge of masks


@dataclass(frozen=True)
class Shell:
    """A raised region.

    `line`: its lower edge z over y (front to back) as ((y, z), ...); `fade`: metres above the edge
    over which the thickness grows; `region`: scalp, hood (head and neck around the face), mane (the
    same without the throat), mask (lower face) or beard; `list_name`: where the wardrobe keeps it;
    `smooth`: without strands or weave.
    """

    name: str
    kind: str
    list_name: str
    thickness: float
    line: tuple[tuple[float, float], ...] = ((-1.0, 0.44), (1.0, 0.44))
    fade: float = 0.02
    region: str = "scalp"
    gloss: float = 0.05
    smooth: bool = False


_SHORT = (
    (-0.16, 0.822),
    (-0.125, 0.80),
    (-0.1, 0.765),
    (-0.075, 0.755),
    (-0.05, 0.735),
    (-0.03, 0.665),
    (0.0, 0.645),
    (0.1, 0.635),
)
_HIGH = ((-0.16, 0.85), (-0.12, 0.835), (-0.09, 0.79), (-0.06, 0.76), (-0.03, 0.69), (0.1, 0.66))
_LOW = (
    (-0.16, 0.806),
    (-0.12, 0.785),
    (-0.095, 0.745),
    (-0.07, 0.73),
    (-0.045, 0.72),
    (-0.025, 0.65),
    (0.0, 0.63),
    (0.1, 0.615),
)
_FRINGE = ((-0.16, 0.79), (-0.12, 0.772), (-0.1, 0.74), (-0.06, 0.715), (-0.03, 0.65), (0.1, 0.625))
_CROWN = ((-0.16, 0.84), (-0.1, 0.815), (-0.05, 0.80), (0.1, 0.79))
_BEANIE = ((-0.16, 0.795), (-0.12, 0.78), (-0.06, 0.72), (0.0, 0.69), (0.1, 0.68))
_CAP = ((-0.16, 0.815), (-0.1, 0.79), (-0.05, 0.765), (0.1, 0.745))
_BOWL = ((-0.16, 0.785), (-0.12, 0.765), (-0.09, 0.74), (0.1, 0.70))
_TURBAN = ((-0.16, 0.80), (-0.12, 0.785), (-0.06, 0.745), (0.0, 0.70), (0.1, 0.685))
_SKULLCAP = ((-0.16, 0.85), (-0.1, 0.835), (-0.03, 0.815), (0.1, 0.79))
_HELMET = ((-0.16, 0.81), (-0.11, 0.79), (-0.075, 0.70), (-0.03, 0.67), (0.1, 0.67))

SHELLS = (
    Shell("buzz", "hair", "crop", 0.003, _SHORT, 0.01),
    Shell("receding", "hair", "crop", 0.004, _HIGH, 0.01),
    Shell("crop", "hair", "crop", 0.012, _SHORT, 0.03, gloss=0.1),
    Shell("thick", "hair", "crop", 0.03, _SHORT, 0.05, gloss=0.1),
    Shell("fringe", "hair", "crop", 0.016, _FRINGE, 0.02, gloss=0.15),
    Shell("tuft", "hair", "crop", 0.02, _CROWN, 0.02),
    Shell("shaved", "hair", "crop", 0.0025, _LOW, 0.01),  # test scenes only
    Shell("mop", "hair", "crop", 0.022, _LOW, 0.03, gloss=0.1),  # test scenes only
    Shell("beanie", "cover", "cover", 0.014, _BEANIE, 0.006),
    Shell("cap", "cover", "cover", 0.012, _CAP, 0.006),
    Shell("helmet", "cover", "cover", 0.03, _HELMET, 0.004, gloss=0.5),
    Shell("hood", "cover", "cover", 0.014, fade=0.05, region="hood"),
    Shell("mask", "cover", "mask", 0.006, region="mask"),
    Shell("beard", "hair", "beard", 0.007, region="beard"),
    Shell("stubble", "hair", "beard", 0.0015, region="beard"),
    # panoptic scenes only
    Shell("flattop", "hair", "crop", 0.034, _CROWN, 0.035, gloss=0.1),
    Shell("undercut", "hair", "crop", 0.018, _HIGH, 0.012, gloss=0.2),
    Shell("shortbowl", "hair", "hair", 0.026, _BOWL, 0.008, gloss=0.2),
    Shell("longmane", "hair", "hair", 0.026, fade=0.09, region="mane", gloss=0.15),
    Shell("turban", "cover", "cover", 0.042, _TURBAN, 0.04),
    Shell("skullcap", "cover", "cover", 0.006, _SKULLCAP, 0.004),
    Shell("headscarf", "cover", "cover", 0.006, fade=0.03, region="hood"),
    Shell("respirator", "cover", "mask", 0.018, region="mask", gloss=0.2),
    Shell("fullbeard", "hair", "beard", 0.02, region="beard"),
)


def edge_height(shell: Shell, y: Array) -> Array:
    """Height z (N,) of the lower edge at template positions y (N,)."""
    return np.interp(y, [p[0] for p in shell.line], [p[1] for p in shell.line])


def shell_thickness(shell: Shell, points: Array) -> Array:
    """Thickness (N,) in metres at template points (N, 3); 0 outside of the region."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    edge = edge_height(shell, y)
    inside = (z > edge) & (y > -0.2) & ~_inside_mouth(points)
    rise = np.clip((z - edge) / shell.fade, 0.05, 1.0)
    if shell.region == "scalp":
        inside &= x < 0.105
    elif shell.region in ("hood", "mane"):
        inside &= (x < 0.16) & ~((_hole(points) < 1) & (y < -0.075)) & ~((z < 0.56) & (x > 0.12))
        if shell.region == "mane":  # strands thin out towards the face; the throat is free
            rise = rise * np.clip((_hole(points) - 0.9) / 0.7, 0.08, 1.0)
            inside &= ~((y < -0.045) & (z < 0.66))
    elif shell.region == "mask":
        inside &= (y < -0.085) & (z > MASK[0]) & (z < MASK[1]) & (x < 0.075)
    else:
        lips = (x < 0.027) & (z > 0.642) & (z < 0.666)
        inside &= (y < -0.05) & (z > 0.60) & (z < 0.672 - 0.3 * (y + 0.15)) & (x < 0.08) & ~lips
        inside &= (x > 0.03) | (z < 0.676)
    return np.where(inside, shell.thickness * rise, 0.0)


def shell_shift(shell: Shell, points: Array) -> Array:
    """Shift (N, 3) that straightens the edges: vertices a little outside move onto the edge.

    Rows of NaN mark vertices that are too far away to move.
    """
    out = np.full(points.shape, np.nan)
    z = points[:, 2]
    if shell.region == "scalp":
        gap = edge_height(shell, points[:, 1]) - z
        near = (gap > 0) & (gap < SNAP) & (np.abs(points[:, 0]) < 0.085)
        out[near] = np.stack([0 * gap, 0 * gap, gap], 1)[near]
    elif shell.region == "mask":
        gap = np.clip(z, *MASK) - z
        near = (np.abs(gap) < SNAP) & (points[:, 1] < -0.085) & (np.abs(points[:, 0]) < 0.075)
        out[near] = np.stack([0 * gap, 0 * gap, gap], 1)[near]
    elif shell.region in ("hood", "mane"):
        hole = _hole(points)
        near = (hole > 0.4) & (hole < 1) & (points[:, 1] < -0.075)
        offset = points - np.array([HOLE[0][0], 0.0, HOLE[0][1]])
        grown = offset * (1 / np.sqrt(np.maximum(hole, 1e-3)) - 1)[:, None]
        grown[:, 1] = 0
        out[near] = grown[near]
    out[_inside_mouth(points)] = np.nan
    return out


def _hole(points: Array) -> Array:
    (cx, cz), (ax, az) = HOLE
    return ((points[:, 0] - cx) / ax) ** 2 + ((points[:, 2] - cz) / az) ** 2


def _inside_mouth(points: Array) -> Array:
    """Points of the oral cavity, which no garment covers."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    return (x < 0.035) & (y > -0.152) & (y < -0.045) & (z > 0.628) & (z < 0.70)
