# SPDX-License-Identifier: Apache-2.0
"""An endless stream of people who enter, pass and leave: rendered test scenes, panned over.

Truth goes with every frame: who is where, by scene and number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.labels import read_labels
from training.data.sample import Head, Sample
from training.testsets import SCENES

SIZE = (640, 480)
SECONDS = 6.0  # a scene is shown
EMPTY = 1.5  # seconds between two, in which nobody is there
ZOOM = 2.6  # of the scene, across which the view moves


@dataclass(frozen=True, eq=False)
class Frame:
    """rgb: uint8 (480, 640, 3). heads: name and box of each head of which the middle can be seen.
    focal: pixels."""

    rgb: NDArray[np.uint8]
    heads: list[tuple[str, tuple[float, float, float, float]]]
    focal: float


def people_stream(rate: float, seed: int = 0, heads: int = 0) -> Iterator[Frame]:
    """Frames at so many a second, for ever; with `heads`, still views of scenes that show exactly
    so many of them well."""
    if heads:
        yield from _still(rate, seed, heads)
    scenes = [s for s in read_labels(SCENES, 300) if 1 <= len(s.heads) <= 3]
    rng = np.random.default_rng(seed)
    turn = 0
    while True:
        scene = scenes[int(rng.integers(len(scenes)))]
        picture = _picture(scene)
        for k in range(round(SECONDS * rate)):
            yield _view(scene, picture, k / (SECONDS * rate), f"{turn}")
        empty = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
        for _ in range(round(EMPTY * rate)):
            yield Frame(empty, [], _focal(scene))
        turn += 1


def _still(rate: float, seed: int, heads: int) -> Iterator[Frame]:
    scenes = [s for s in read_labels(SCENES, 300) if len(s.heads) == heads]
    scenes = [s for s in scenes if all(_clear(head, s.width) for head in s.heads)]
    if not scenes:
        raise ValueError(f"no scene shows exactly {heads} heads well: ask for 1 to 4")
    rng = np.random.default_rng(seed)
    turn = 0
    while True:
        scene = scenes[int(rng.integers(len(scenes)))]
        bgr = cv2.resize(cv2.imread(str(scene.image_path)), SIZE)
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        scale = SIZE[0] / scene.width
        boxes = [tuple(float(v) for v in head.box * scale) for head in scene.heads]
        named = [(f"{turn}.{number}", box) for number, box in enumerate(boxes)]
        frame = Frame(rgb, named, float(scene.focal or 500.0) * scale)
        yield from (frame for _ in range(round(SECONDS * rate)))
        turn += 1


def _clear(head: Head, width: int) -> bool:
    return bool(head.visible > 0.6 and head.box[2] - head.box[0] > 0.08 * width)


def _picture(scene: Sample) -> NDArray[np.uint8]:
    bgr = cv2.imread(str(scene.image_path))
    size = round(SIZE[0] * ZOOM / 2), round(SIZE[1] * ZOOM / 2)
    return np.asarray(cv2.cvtColor(cv2.resize(bgr, size), cv2.COLOR_BGR2RGB), np.uint8)


def _focal(scene: Sample) -> float:
    return float(scene.focal or 500.0) * SIZE[0] * ZOOM / 2 / scene.width


def _view(scene: Sample, picture: NDArray[np.uint8], share: float, turn: str) -> Frame:
    """The window that moves across the picture from left to right and back."""
    height, width, _ = picture.shape
    across = width - SIZE[0]
    x = round(across * (0.5 - 0.5 * np.cos(2 * np.pi * share)))
    y = (height - SIZE[1]) // 2
    scale = width / scene.width
    heads = []
    for number, head in enumerate(scene.heads):
        box = head.box * scale - [x, y, x, y]
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if 0 < middle[0] < SIZE[0] and 0 < middle[1] < SIZE[1]:
            heads.append((f"{turn}.{number}", tuple(float(v) for v in box)))
    view = np.ascontiguousarray(picture[y : y + SIZE[1], x : x + SIZE[0]])
    return Frame(view, heads, _focal(scene))
