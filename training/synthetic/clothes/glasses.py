# SPDX-License-Identifier: Apache-2.0
"""Spectacles made of thin tubes, fitted between the eyes of any body."""

from __future__ import annotations

import numpy as np

from .. import Array, Integers
from .meshes import Fit

SELLION, CHEEKS, CROWN_CHIN, DEPTH = 132, (5399, 11998), (881, 791), (962, 5320)
STYLES = {  # half width and height of a lens, squareness of its outline, dark lenses
    "round": (0.023, 0.021, 2.0, False),
    "oval": (0.026, 0.018, 2.5, False),
    "square": (0.027, 0.020, 5.0, False),
    "shades": (0.030, 0.022, 3.5, True),
    "narrow": (0.027, 0.013, 3.0, False),  # these three in panoptic scenes only
    "large": (0.031, 0.027, 2.4, False),
    "discs": (0.024, 0.023, 2.0, True),
}


def _tube(path: Array, radius: float) -> tuple[Array, Integers]:
    """Square tube along a path (n, 3)."""
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead, [0.0, 0.0, 1.0])
    weak = np.linalg.norm(side, axis=1) < 0.2
    side[weak] = np.cross(ahead[weak], [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, ahead)
    ring = [side, up, -side, -up]
    points = np.stack([path + radius * r for r in ring], 1).reshape(-1, 3)
    triangles = []
    for i in range(len(path) - 1):
        for k in range(4):
            a, b = 4 * i + k, 4 * i + (k + 1) % 4
            triangles += [[a, b, a + 4], [b, b + 4, a + 4]]
    return points, np.array(triangles)


def spectacles(style: str) -> tuple[Array, Array, Integers]:
    """Points (N, 3) about the sellion in template metres, uv and triangles."""
    wide, high, power, dark = STYLES[style]
    angle = np.linspace(0, 2 * np.pi, 25)
    cosine, sine = np.cos(angle), np.sin(angle)
    x = wide * np.sign(cosine) * np.abs(cosine) ** (2 / power)
    z = high * np.sign(sine) * np.abs(sine) ** (2 / power)
    meshes: list[tuple[Array, Integers]] = []
    lenses: list[tuple[Array, Integers]] = []
    for sign in (-1.0, 1.0):
        middle = np.array([sign * 0.034, -0.012, -0.006])
        rim = middle + np.stack([x, 0 * x, z], 1)
        meshes.append(_tube(rim, 0.0016))
        hinge = middle + [sign * wide, 0.002, 0.006]
        ear = np.array([sign * 0.078, 0.085, 0.0])
        meshes.append(_tube(np.stack([hinge, (hinge + ear) / 2 + [sign * 0.01, 0, 0], ear]), 0.002))
        fan = np.vstack([middle, rim])
        lenses.append((fan, np.array([[0, i, i + 1] for i in range(1, 25)])))
    bridge = np.array([[-0.034 + wide, -0.012, 0.0], [0, -0.014, 0.003], [0.034 - wide, -0.012, 0]])
    meshes.append(_tube(bridge, 0.0018))
    points, triangles = _join(meshes + (lenses if dark else []))
    uv = np.full((len(points), 2), 0.5, np.float32)
    return points.astype(np.float32), uv, triangles.astype(np.int32)


def _join(meshes: list[tuple[Array, Integers]]) -> tuple[Array, Integers]:
    starts = np.cumsum([0] + [len(p) for p, _ in meshes])
    triangles = [t + s for (_, t), s in zip(meshes, starts[:-1], strict=True)]
    return np.concatenate([p for p, _ in meshes]), np.concatenate(triangles)


def fit_of(points: Array, template: Array) -> Fit:
    """Carry points about the template's sellion over to other bodies, scaled with the head."""
    count = len(points)
    scales = []
    for axis, (a, b) in enumerate((CHEEKS, DEPTH, CROWN_CHIN)):
        scales.append((a, b, float(abs(template[a, axis] - template[b, axis]))))
    return Fit(
        np.full((count, 3), SELLION),
        np.tile(np.array([1.0, 0, 0], np.float32), (count, 1)),
        points,
        tuple(scales),
        np.zeros(0, np.int64),
    )
