# SPDX-License-Identifier: Apache-2.0
"""Simulated people who walk about before a camera and look where they go, at it or aside: exact
truth, and what a model with given errors would answer. No pictures are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.track_score import TrueHead
from hpe_vlm_ros.attention import gaze_angle
from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, box_iou, rotation_from_angles
from hpe_vlm_ros.tracking import Observation
from hpe_vlm_ros.tracking.motion import rotation_of

Array = NDArray[np.float64]
SIZE = (640, 480)
CAMERA = CameraIntrinsics(525.0, 525.0, 320.0, 240.0)
HIDDEN = 0.5  # overlap with a nearer head above which one cannot be seen
NEAR, FAR = 1.2, 4.5  # metres
TURN = 120.0  # degrees a second, at most
SPEEDS = 0.0, 0.4, 0.8, 1.2  # metres a second


class Walker:
    """Walks from point to point, sometimes stands for a while; turns the head smoothly."""

    def __init__(self, name: str, rng: np.random.Generator, shape: HeadShape) -> None:
        self.name, self._rng, self._shape = name, rng, shape
        self._place = self._point()
        self._goal, self._speed = self._point(), 0.8
        self._height = rng.uniform(-0.25, 0.1)  # of the eyes below the camera's axis, y down
        self._yaw, self._pitch = rng.uniform(-180, 180), 0.0
        self._until, self._mode = 0.0, "ahead"

    def step(self, time: float, dt: float) -> None:
        way = self._goal - self._place
        length = float(np.linalg.norm(way))
        if length < 0.1:
            self._goal = self._point()
            way = self._goal - self._place
            length = float(np.linalg.norm(way))
        self._place = self._place + way / length * min(length, self._speed * dt)
        if time >= self._until:
            self._until = time + self._rng.uniform(1.0, 4.0)
            self._mode = self._rng.choice(["ahead", "camera", "aside"], p=[0.35, 0.4, 0.25])
            self._aside = self._rng.uniform(-180, 180)
            self._speed = self._rng.choice(SPEEDS)
        self._turn(way, dt)

    def head(self) -> TrueHead:
        rotation = rotation_from_angles(self._yaw, self._pitch, 0.0)
        centre = np.array([self._place[0], self._height, self._place[1]])
        sellion = centre + rotation @ np.asarray(self._shape.offset)
        return TrueHead(
            self.name,
            _box(centre, self._shape.diameter / 2),
            rotation,
            sellion,
            gaze_angle(rotation, sellion, np.zeros(3)),
            np.full(3, np.nan),
        )

    def _point(self) -> Array:
        depth = self._rng.uniform(NEAR, FAR)
        return np.array([self._rng.uniform(-0.5, 0.5) * depth, depth])

    def _turn(self, way: Array, dt: float) -> None:
        wanted = {
            "ahead": np.degrees(np.arctan2(-way[0], -way[1])),
            "camera": np.degrees(np.arctan2(self._place[0], self._place[1])),
            "aside": getattr(self, "_aside", 0.0),
        }[self._mode]
        off = (wanted - self._yaw + 180) % 360 - 180
        self._yaw += float(np.clip(off, -TURN * dt, TURN * dt))
        self._yaw = (self._yaw + 180) % 360 - 180
        pitch = (
            np.degrees(np.arctan2(self._height, self._place[1])) if self._mode == "camera" else 0
        )
        self._pitch += float(np.clip(pitch - self._pitch, -TURN * dt, TURN * dt))


def walk(
    people: int, seconds: float, rate: float, shape: HeadShape, rng: np.random.Generator
) -> Iterator[tuple[float, list[TrueHead]]]:
    """Times, unevenly spaced about 1 / rate, and the heads that can be seen then."""
    walkers = [Walker(f"p{i}", rng, shape) for i in range(people)]
    time = last = 0.0
    while time < seconds:
        for _ in range(4):  # finer than the answers
            for walker in walkers:
                walker.step(time, (time - last) / 4)
        yield time, _visible([walker.head() for walker in walkers])
        last, time = time, time + rng.uniform(0.6, 1.4) / rate


class Answers:
    """Answers of a model whose errors are drawn from measured ones.

    A share of each error stays as it is for a person for a while, as it does in a real stream,
    where the next image shows much the same: `stays` of its variance, forgotten in `memory` s.
    """

    def __init__(
        self,
        measured: Mapping[str, Any],
        rng: np.random.Generator,
        stays: float = 0.3,
        memory: float = 1.0,
    ) -> None:
        heads = measured["heads"]
        self._turns = np.radians([h["turn"] for h in heads])
        self._boxes = np.array([h["box"] for h in heads])
        self._scores = np.array([h.get("score", 0.9) for h in heads])
        self._false_scores = np.array(measured.get("false_scores") or [0.4])
        self._recall = measured["found"] / measured["true"]
        self._false = max(0, measured["answered"] - measured["found"]) / measured["images"]
        self._rng, self._stays, self._memory = rng, stays, memory
        self._kept: dict[str, tuple[float, int]] = {}

    def __call__(self, time: float, heads: Sequence[TrueHead]) -> list[Observation]:
        found = [self._answer(time, head) for head in heads if self._rng.random() < self._recall]
        for _ in range(self._rng.poisson(self._false)):
            x, y = self._rng.uniform((40, 40), (SIZE[0] - 40, SIZE[1] - 40))
            half = self._rng.uniform(15, 40)
            turn = rotation_of(self._rng.normal(size=3))
            score = float(self._rng.choice(self._false_scores))
            found.append(Observation((x - half, y - half, x + half, y + half), turn, score))
        return found

    def _answer(self, time: float, head: TrueHead) -> Observation:
        since, kept = self._kept.get(head.name, (-np.inf, 0))
        if self._rng.random() > np.exp(-(time - since) / self._memory):
            kept = int(self._rng.integers(len(self._turns)))
        self._kept[head.name] = time, kept
        new = int(self._rng.integers(len(self._turns)))
        parts = np.sqrt(self._stays), np.sqrt(1 - self._stays)
        turn = parts[0] * self._turns[kept] + parts[1] * self._turns[new]
        shift = parts[0] * self._boxes[kept] + parts[1] * self._boxes[new]
        box = np.asarray(head.box) + shift * (head.box[3] - head.box[1])
        return Observation(
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            rotation_of(turn) @ head.rotation,
            float(self._scores[new]),
        )


def _box(centre: Array, radius: float) -> tuple[float, float, float, float]:
    """Of a sphere, by its tangents in the planes through the optical axis."""
    sides = []
    for axis, focal, middle in ((0, CAMERA.fx, CAMERA.cx), (1, CAMERA.fy, CAMERA.cy)):
        plane = np.array([centre[axis], centre[2]])
        angle = np.arctan2(plane[0], plane[1])
        half = np.arcsin(radius / np.linalg.norm(plane))
        sides.append([middle + focal * np.tan(angle + side * half) for side in (-1, 1)])
    (x0, x1), (y0, y1) = sides
    return float(x0), float(y0), float(x1), float(y1)


def _visible(heads: list[TrueHead]) -> list[TrueHead]:
    """Those within the image and not behind a nearer one."""
    kept: list[TrueHead] = []
    for head in sorted(heads, key=lambda h: h.sellion[2]):
        x, y = (head.box[0] + head.box[2]) / 2, (head.box[1] + head.box[3]) / 2
        inside = 0 < x < SIZE[0] and 0 < y < SIZE[1]
        covered = kept and (box_iou([head.box], [k.box for k in kept]) > HIDDEN).any()
        if inside and not covered:
            kept.append(head)
    return kept
