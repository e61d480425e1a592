# SPDX-License-Identifier: Apache-2.0
"""Peaks of caps and tied hair: stiff things that stand off a head.

Both say from far which way a head is turned where its face is not seen. Places are those of the
resting template body (see `shells`); what is returned is relative to its nose bridge.
"""

from __future__ import annotations

import numpy as np

from .. import Array, Integers
from ..scene.clutter import Shape, ball, surface

SELLION = np.array([0.0, -0.1506, 0.7323])
SKULL_Y = -0.055  # the skull's middle
FOREHEAD = (0.08, 0.103, 0.797)  # half width, half depth and height of a cap's front edge
PEAKS = {"flat": (0.06, 0.004, 0.004), "curved": (0.072, 0.02, 0.02), "short": (0.042, 0.012, 0.01)}
TIES = {  # place and half axes
    "high bun": ((0.0, -0.005, 0.842), (0.034, 0.036, 0.03)),
    "low bun": ((0.0, 0.055, 0.745), (0.042, 0.032, 0.036)),
    "knot": ((0.0, 0.045, 0.80), (0.028, 0.026, 0.028)),
}
TAILS = {"high tail": (0.03, 0.815, 0.2), "low tail": (0.042, 0.735, 0.17)}  # y, z, length


def peaks() -> dict[str, Shape]:
    """Peaks by name: length, drop at the front and how far the sides hang, metres."""
    return {name: _peak(*sizes) for name, sizes in PEAKS.items()}


def ties() -> dict[str, Shape]:
    """Buns and ponytails by name."""
    points, uv, triangles = ball()
    out = {
        name: ((points * np.array(size) + place - SELLION).astype(np.float32), uv * 2, triangles)
        for name, (place, size) in TIES.items()
    }
    return out | {name: _tail(*place) for name, place in TAILS.items()}


def _peak(length: float, drop: float, hang: float) -> Shape:
    wide, deep, height = FOREHEAD
    angle = np.radians(np.linspace(-70, 70, 15))
    along = np.linspace(0, 1, 4)[:, None]
    reach = length * np.cos(angle * 90 / 70) * along
    x = (wide + 0 * reach) * np.sin(angle)
    y = SKULL_Y - deep * np.cos(angle) - reach
    z = height - hang * np.sin(angle) ** 2 - drop * along**2 + 0 * reach
    points = np.stack([x, y, z], -1).reshape(-1, 3) - SELLION
    uv = np.stack(np.broadcast_arrays(np.linspace(0, 1, 15), along), -1).reshape(-1, 2)
    return points.astype(np.float32), uv.astype(np.float32), _grid(4, 15)


def _tail(back: float, height: float, length: float) -> Shape:
    share = np.array([0.0, 0.06, 0.3, 0.6, 0.85, 1.0])
    radius = np.array([0.0, 0.018, 0.028, 0.025, 0.016, 0.0])
    points, uv, triangles = surface(radius, -length * share, around=12)
    down = -points[:, 2] / length
    away = np.array([[0.0, back, height]]) + np.outer(np.sin(np.pi * down**0.5), [0, 0.035, 0])
    return (points + away - SELLION).astype(np.float32), uv * 2, triangles


def _grid(rows: int, columns: int) -> Integers:
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (i * columns + j).ravel()
    corners: Array = np.stack([a, a + 1, a + columns, a + 1, a + columns + 1, a + columns], 1)
    return corners.reshape(-1, 3).astype(np.int32)
