# SPDX-License-Identifier: Apache-2.0
"""Pictures in which a model finds a given number of heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from demo.frames import Rgb
from demo.photographs import PLASTER, photographs
from training.data.labels import read_labels
from training.data.sample import Head
from training.testsets import SCENES

SIZE = (640, 480)  # width, height in pixels
TRIES = 30
FACE = (slice(0, 256), slice(90, 346))  # rows and columns of the astronaut's head and shoulders


@dataclass(frozen=True)
class Picture:
    """A picture of SIZE and where it comes from."""

    name: str
    pixels: Rgb


def picture_with(heads: int, count: Callable[[Rgb], int], scenes: Path = SCENES) -> Picture | None:
    """The first of TRIES candidates in which `count` finds exactly so many heads, else None."""
    candidates = islice(_candidates(heads, scenes), TRIES)
    return next((p for p in candidates if count(p.pixels) == heads), None)


def _candidates(heads: int, scenes: Path) -> Iterator[Picture]:
    """Collages make sure that there is something without the test set, and come second."""
    found = islice(_scenes(heads, scenes), TRIES - 3) if heads else iter(())
    yield from found
    for tile in (240, 200, 128):
        yield collage(heads, tile)


def _scenes(heads: int, folder: Path) -> Iterator[Picture]:
    """Rendered scenes that show so many heads well, and none besides."""
    try:
        samples = read_labels(folder)
    except FileNotFoundError:
        return
    for sample in samples:
        if len(sample.heads) == heads and all(_clear(head, sample.width) for head in sample.heads):
            pixels = cv2.resize(sample.load(), SIZE, interpolation=cv2.INTER_AREA)
            yield Picture(f"scene {sample.image_path.name}", np.asarray(pixels, np.uint8))


def _clear(head: Head, width: int) -> bool:
    return bool(head.visible > 0.6 and head.box[2] - head.box[0] > 0.06 * width)


def collage(heads: int, tile: int) -> Picture:
    """The astronaut's photograph so many times on a wall, each `tile` pixels wide at most."""
    width, height = SIZE
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = PLASTER
    columns = min(heads, 3) or 1
    rows = -(-heads // columns)
    side = min(tile, width // columns, height // max(rows, 1))
    face = cv2.resize(photographs()["astronaut"][FACE], (side, side), interpolation=cv2.INTER_AREA)
    for index in range(heads):
        row, column = divmod(index, columns)
        top = (2 * row + 1) * height // (2 * rows) - side // 2
        left = (2 * column + 1) * width // (2 * columns) - side // 2
        pixels[top : top + side, left : left + side] = face
    return Picture(f"collage of {heads} portraits" if heads else "bare wall", pixels)
