# SPDX-License-Identifier: Apache-2.0
"""Regions of the head that, raised along the normals, become hair caps, beanies, hoods and masks.

Coordinates are those of the resting template body (metres; the chin at z 0.616, the eyes at 0.735,
the crown at 0.87, the face at y -0.15, the back of the head at y 0.07).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic import Array


@dataclass(frozen=True)
class Shell:
    """`line`: lower edge z over y (front to back) as ((y, z), ...); fade: metres above the edge
    over which the thickness grows from zero; hole: True cuts the face out, "mask" keeps only it."""

    name: str
    kind: str
    list_name: str
    thickness: float
    line: tuple[tuple[float, float], ...]
    fade: float = 0.02
    region: str = "scalp"
    gloss: float = 0.05


_SHORT = ((-0.16, 0.822), (-0.125, 0.80), (-0.1, 0.765), (-0.075, 0.755), (-0.05, 0.735),
          (-0.03, 0.665), (0.0, 0.645), (0.1, 0.635))
_HIGH = ((-0.16, 0.85), (-0.12, 0.835), (-0.09, 0.79), (-0.06, 0.76), (-0.03, 0.69), (0.1, 0.66))
_BEANIE = ((-0.16, 0.795), (-0.12, 0.78), (-0.06, 0.72), (0.0, 0.69), (0.1, 0.68))
_CAP = ((-0.16, 0.815), (-0.1, 0.79), (-0.05, 0.765), (0.1, 0.745))
_HELMET = ((-0.16, 0.81), (-0.11, 0.79), (-0.075, 0.70), (-0.03, 0.67), (0.1, 0.67))

SHELLS = (
    Shell("buzz", "hair", "crop", 0.003, _SHORT, 0.01),
    Shell("receding", "hair", "crop", 0.004, _HIGH, 0.01),
    Shell("crop", "hair", "crop", 0.012, _SHORT, 0.03, gloss=0.1),
    Shell("thick", "hair", "crop", 0.03, _SHORT, 0.05, gloss=0.1),
    Shell("beanie", "cover", "cover", 0.014, _BEANIE, 0.006),
    Shell("cap", "cover", "cover", 0.012, _CAP, 0.006),
    Shell("helmet", "cover", "cover", 0.03, _HELMET, 0.004, gloss=0.5),
    Shell("hood", "cover", "cover", 0.014, ((-1.0, 0.44), (1.0, 0.44)), 0.05, "hood"),
    Shell("mask", "cover", "mask", 0.006, ((-1.0, 0.60), (1.0, 0.60)), 0.004, "mask"),
)


def edge_height(shell: Shell, y: Array) -> Array:
    """Height z (N,) of the lower edge at template positions y (N,)."""
    return np.interp(y, [p[0] for p in shell.line], [p[1] for p in shell.line])


def shell_lift(shell: Shell, points: Array) -> Array:
    """Upward shift (N,) that straightens the edge: vertices just below it move onto it."""
    gap = edge_height(shell, points[:, 1]) - points[:, 2]
    usable = (gap > 0) & (gap < 0.035) & (shell.region == "scalp") & ~_inside_mouth(points)
    usable &= np.abs(points[:, 0]) < 0.085
    return np.where(usable, gap, 0.0)


def shell_thickness(shell: Shell, points: Array) -> Array:
    """Thickness (N,) in metres at template points (N, 3); 0 outside of the region."""
    y, z = points[:, 1], points[:, 2]
    edge = edge_height(shell, y)
    inside = (z > edge) & (np.abs(points[:, 0]) < 0.16) & (y > -0.2)
    rise = np.clip((z - edge) / shell.fade, 0.05, 1.0)
    if shell.region == "scalp":
        inside &= (np.abs(points[:, 0]) < 0.105) & ~_inside_mouth(points)
    elif shell.region == "hood":
        face = (y < -0.075) & ((points[:, 0] / 0.072) ** 2 + ((z - 0.725) / 0.1) ** 2 < 1)
        inside &= ~face & ~_inside_mouth(points) & ~((z < 0.56) & (np.abs(points[:, 0]) > 0.12))
    else:
        inside &= (y < -0.085) & (z < 0.715) & (np.abs(points[:, 0]) < 0.075)
        inside &= ~_inside_mouth(points)
    return np.where(inside, shell.thickness * rise, 0.0)


def _inside_mouth(points: Array) -> Array:
    """Points of the oral cavity and the eye sockets, which no garment covers."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    mouth = (x < 0.035) & (y > -0.152) & (y < -0.045) & (z > 0.628) & (z < 0.70)
    return mouth
