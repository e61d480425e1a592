# SPDX-License-Identifier: Apache-2.0
"""What things are made of: simple solids of named materials, and named points on them.

Frame of a thing: metres, z up, its front towards -y. To somebody who sits in it or is it, left is
+x; to somebody who stands before it and looks at it, left is -x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import Array, Integers
from ..scene.clutter import Shape, ball, block, surface

Point = Sequence[float] | Array
_T = np.linspace(0, np.pi, 6)
_JOINT = surface(np.sin(_T), np.cos(_T), 8)  # a coarse ball


class Assembly:
    """A thing that is being built: parts as (shape, material), and `points` by name."""

    def __init__(self) -> None:
        self.parts: list[tuple[Shape, str]] = []
        self.points: dict[str, Array] = {}

    def mark(self, name: str, *place: float) -> None:
        """Give a place (x, y, z) a name."""
        self.points[name] = np.array(place, np.float64)

    def put(self, material: str, shape: Shape, at: Point, turn: Array | None = None) -> None:
        """Add a shape, turned by a rotation (3, 3) about its origin and moved to `at`."""
        points, uv, triangles = shape
        turned = points if turn is None else points @ np.asarray(turn).T
        self.parts.append((((turned + np.asarray(at)).astype(np.float32), uv, triangles), material))

    def box(self, material: str, at: Point, size: Point, turn: Array | None = None) -> None:
        """A block of full `size` (x, y, z) about `at`."""
        points, uv, triangles = block()
        self.put(material, (points * np.asarray(size) / 2, uv, triangles), at, turn)

    def ball(self, material: str, at: Point, radii: Point, turn: Array | None = None) -> None:
        """An ellipsoid with these radii (x, y, z), turned by a rotation (3, 3), about `at`."""
        points, uv, triangles = ball()
        self.put(material, (points * np.asarray(radii), uv, triangles), at, turn)

    def lathe(
        self, material: str, at: Point, profile: Sequence[Point], turn: Array | None = None
    ) -> None:
        """A surface of revolution about z through (radius, height) points."""
        radius, height = np.array(profile, float).T
        self.put(material, surface(radius, height), at, turn)

    def rod(
        self, material: str, start: Point, end: Point, radius: float, tip: float | None = None
    ) -> None:
        """A round bar, its radius `tip` at the end where that is another."""
        length = float(np.linalg.norm(np.subtract(end, start)))
        last = radius if tip is None else tip
        shape = surface(np.array([0, radius, last, 0.0]), np.array([0, 0, length, length]), 10)
        self.put(material, shape, start, towards(start, end))

    def bar(self, material: str, start: Point, end: Point, width: float, depth: float) -> None:
        """A block from start to end; `depth` lies along y as far as the direction lets it."""
        length = float(np.linalg.norm(np.subtract(end, start)))
        middle = (np.asarray(start, float) + np.asarray(end)) / 2
        self.box(material, middle, (width, depth, length), towards(start, end))

    def bow(self, material: str, path: Sequence[Point] | Array, radius: float) -> None:
        """A bent round bar through all these points."""
        for start, end in zip(path, path[1:], strict=False):
            self.rod(material, start, end, radius)
            self.put(material, (_JOINT[0] * radius, *_JOINT[1:]), end)

    def slab(
        self, material: str, axis: int, outline: Sequence[Point], low: float, high: float
    ) -> None:
        """A convex outline in the plane across `axis` (the other two in their order), from `low` to
        `high` along it."""
        flat = np.array(outline, float)
        ends = [np.insert(flat, axis, value, axis=1) for value in (low, high)]
        count = len(flat)
        fan = [(0, i, i + 1) for i in range(1, count - 1)]
        for end in ends:
            self._faces(material, end, fan)
        for i in range(count):
            j = (i + 1) % count
            quad = np.array([ends[0][i], ends[0][j], ends[1][j], ends[1][i]])
            self._faces(material, quad, [(0, 1, 2), (0, 2, 3)])

    def _faces(self, material: str, points: Array, triangles: Sequence[Sequence[int]]) -> None:
        spread = np.ptp(points, axis=0)
        across = np.argsort(spread)[1:]  # the two axes in which it is widest
        uv = (points[:, across] - points[:, across].min(0)) / max(float(spread.max()), 1e-6)
        shape = points.astype(np.float32), uv.astype(np.float32), np.array(triangles, np.int32)
        self.put(material, shape, (0, 0, 0))

    def mesh(self) -> tuple[Array, Array, Integers, Integers, tuple[str, ...]]:
        """Points (N, 3), uv (N, 2), triangles (T, 3), their materials (T,) and those' names."""
        names = tuple(dict.fromkeys(material for _, material in self.parts))
        starts = np.cumsum([0, *(len(shape[0]) for shape, _ in self.parts)])
        shapes = [shape for shape, _ in self.parts]
        triangles = [s[2] + start for s, start in zip(shapes, starts[:-1], strict=True)]
        materials = [np.full(len(s[2]), names.index(m), np.uint8) for s, m in self.parts]
        return (
            np.concatenate([s[0] for s in shapes]),
            np.concatenate([s[1] for s in shapes]),
            np.concatenate(triangles).astype(np.int32),
            np.concatenate(materials),
            names,
        )


@dataclass(frozen=True)
class Category:
    """A kind of thing.

    points: what is said of each point, by its name; "the NAME of the CATEGORY" is good English.
    turn: how far it is turned about the vertical at most, to either side, from facing the camera.
    roll: the same within the picture. tilt: how the camera looks down (< 0) or up, from and to. All
    in degrees.
    """

    name: str
    build: Callable[[np.random.Generator], Assembly]
    points: dict[str, str]
    turn: float = 180.0
    roll: float = 8.0
    tilt: tuple[float, float] = (-45.0, 5.0)


def towards(start: Point, end: Point) -> Array:
    """The rotation (3, 3) that takes z to the direction from start to end and keeps y near y."""
    z = np.subtract(end, start).astype(float)
    z /= np.linalg.norm(z)
    near = np.array([0.0, 1.0, 0.0]) if abs(z[1]) < 0.9 else np.array([0.0, 0.0, -1.0])
    x = np.cross(near, z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], 1)


def arc(
    middle: Point, across: Point, up: Point, start: float, end: float, count: int = 12
) -> Array:
    """Points (count, 3) middle + cos(a) across + sin(a) up, a from start to end in degrees."""
    a = np.radians(np.linspace(start, end, count))[:, None]
    return np.asarray(middle, float) + np.cos(a) * np.asarray(across) + np.sin(a) * np.asarray(up)


def descriptions(*lines: str) -> dict[str, str]:
    """Descriptions by name from lines "NAME: description"; one with {side} stands for left and
    right, one with {end} for front and rear."""
    found: dict[str, str] = {}
    for line in lines:
        for side in ("left", "right") if "{side}" in line else ("",):
            for end in ("front", "rear") if "{end}" in line else ("",):
                name, text = line.format(side=side, end=end).split(": ")
                found[name] = text
    return found


SIDES = (("left", 1.0), ("right", -1.0))  # of somebody who sits in it or is it
SEEN = (("left", -1.0), ("right", 1.0))  # of somebody who looks at its front
ENDS = (("front", -1.0), ("rear", 1.0))
