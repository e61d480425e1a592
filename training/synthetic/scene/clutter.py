# SPDX-License-Identifier: Apache-2.0
"""Simple objects around people: occluders, furniture and head-like decoys (balls, eggs, busts)."""

from __future__ import annotations

import numpy as np

from .. import Array, Integers
from ..drawing.raster import vertex_normals

Shape = tuple[Array, Array, Integers]  # points (N, 3), uv (N, 2), triangles (T, 3)


def surface(radius: Array, height: Array, around: int = 20) -> Shape:
    """Surface of revolution about z through (radius, height) profile points, top first."""
    angle = np.linspace(0, 2 * np.pi, around + 1)
    rows = len(radius)
    x = radius[:, None] * np.cos(angle)
    y = radius[:, None] * np.sin(angle)
    z = np.broadcast_to(height[:, None], x.shape)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    uv = np.stack(np.meshgrid(np.linspace(0, 1, around + 1), np.linspace(0, 1, rows)), -1)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(around), indexing="ij")
    a = (i * (around + 1) + j).ravel()
    b, c, d = a + 1, a + around + 1, a + around + 2
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    flat = uv.reshape(-1, 2).astype(np.float32)
    return points.astype(np.float32), flat, triangles.astype(np.int32)


def ball() -> Shape:
    """Unit sphere."""
    t = np.linspace(0, np.pi, 14)
    return surface(np.sin(t), np.cos(t))


def column() -> Shape:
    """Unit cylinder with caps, from z -1 to 1."""
    return surface(np.array([0.0, 1, 1, 1, 0]), np.array([1.0, 1, 0, -1, -1]))


def cone() -> Shape:
    """Lamp shade."""
    return surface(np.array([0.5, 0.75, 1.0]), np.array([1.0, 0, -1]))


def bust() -> Shape:
    """A faceless head on a neck and shoulders, like a shop's dummy or a chess pawn."""
    radius = np.array([0, 0.5, 0.75, 0.8, 0.72, 0.5, 0.35, 0.35, 0.7, 1.5, 1.6])
    height = np.array([1.1, 1.0, 0.7, 0.3, -0.1, -0.5, -0.75, -0.9, -1.05, -1.3, -2.2])
    return surface(radius, height)


def block() -> Shape:
    """Cube from -1 to 1, each face split in two triangles with its own vertices."""
    points: list[Array] = []
    uv: list[tuple[float, float]] = []
    triangles: list[list[int]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            start = len(points)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                p = np.zeros(3)
                p[axis], p[(axis + 1) % 3], p[(axis + 2) % 3] = sign, a, b
                points.append(p)
                uv.append(((a + 1) / 2, (b + 1) / 2))
            quad = (0, 1, 2, 3) if sign > 0 else (3, 2, 1, 0)
            triangles += [[start + quad[i] for i in t] for t in ((0, 1, 2), (0, 2, 3))]
    return np.array(points, np.float32), np.array(uv, np.float32), np.array(triangles, np.int32)


SHAPES = (ball, column, cone, bust, block)


def random_object(
    rng: np.random.Generator, decoy: bool = False
) -> tuple[Array, Array, Array, Integers]:
    """Points (about the origin, metres), normals, uv and triangles of a random object."""
    shape = (ball, bust, ball, column)[rng.integers(4)] if decoy else SHAPES[rng.integers(5)]
    points, uv, triangles = shape()
    base = rng.uniform(0.08, 0.14) if decoy else np.exp(rng.uniform(np.log(0.05), np.log(0.45)))
    scale = base * np.exp(rng.normal(0, 0.1 if decoy else 0.45, 3))
    points = (points * scale).astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    points = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
    uv = uv * np.float32(rng.uniform(0.5, 3))
    return points, vertex_normals(points, triangles), uv, triangles
