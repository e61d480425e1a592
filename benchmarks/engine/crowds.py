# SPDX-License-Identifier: Apache-2.0
"""Pictures with more heads than scenes show: crops of rendered scenes, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.pictures import SIZE, Picture, picture_with
from demo.frames import Rgb
from training.data.labels import read_labels
from training.data.sample import Sample
from training.testsets import SCENES

Box = tuple[float, float, float, float]
Find = Callable[[Rgb], Sequence[Box]]
COLUMNS = 5
TRIES = 150
STARTS = 6  # of the search, which may end where no single exchange helps
CLEAR, LARGE = 0.9, 0.05  # heads to crop: how visible, and how wide in their scene


@dataclass(frozen=True)
class Crop:
    """A part of a scene, in its pixels, that shows one head."""

    sample: Sample
    left: int
    top: int
    right: int
    bottom: int

    def inside(self) -> bool:
        return (
            self.left >= 0
            and self.top >= 0
            and self.right <= self.sample.width
            and self.bottom <= self.sample.height
        )

    def shows(self, box: Sequence[float]) -> bool:
        """Whether some of a box of the scene lies in the crop."""
        x0, y0, x1, y1 = box
        return x0 < self.right and x1 > self.left and y0 < self.bottom and y1 > self.top

    def pixels(self) -> Rgb:
        return self.sample.load()[self.top : self.bottom, self.left : self.right]


def crowd(heads: int, find: Find, scenes: Path = SCENES) -> Picture | None:
    """A picture in which `find` finds exactly so many heads: a scene, or for many a mosaic."""
    if heads <= COLUMNS:
        return picture_with(heads, lambda image: len(find(image)), scenes)
    starts = (mosaic(heads, find, scenes, seed) for seed in range(STARTS))
    pixels = next((pixels for pixels in starts if pixels is not None), None)
    name = f"mosaic of {heads} crops of scenes"
    return None if pixels is None else Picture(name, pixels)


def mosaic(heads: int, find: Find, folder: Path, seed: int = 0) -> Rgb | None:
    """A picture of SIZE made of `heads` crops, in each of which `find` finds one head.

    Crops in which it does not are exchanged for others, TRIES times at most; an exchange that makes
    it worse is undone.
    """
    generator = np.random.default_rng(seed)
    rows = -(-heads // COLUMNS)
    width, height = SIZE[0] // COLUMNS, SIZE[1] // rows
    crops = [crop for sample in read_labels(folder) for crop in crops_of(sample, width / height)]
    picture = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    wrong = exchange = list(range(heads))
    for _ in range(TRIES):
        changed = picture.copy()
        for tile in exchange:
            top, left = tile // COLUMNS * height, tile % COLUMNS * width
            pixels = crops[generator.integers(len(crops))].pixels()
            scaled = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            changed[top : top + height, left : left + width] = scaled
        still = _wrong(find(changed), heads, width, height)
        if len(still) <= len(wrong):
            picture, wrong = changed, still
        if not wrong:
            return picture
        exchange = [int(generator.choice(wrong))]
    return None


def _wrong(found: Sequence[Box], heads: int, width: int, height: int) -> list[int]:
    """Tiles in which not exactly one head is found."""
    tiles = [
        int((y0 + y1) / 2 // height) * COLUMNS + int((x0 + x1) / 2 // width)
        for x0, y0, x1, y1 in found
    ]
    return [tile for tile in range(heads) if tiles.count(tile) != 1]


def crops_of(sample: Sample, shape: float) -> list[Crop]:
    """Around each clear head, 1.6 times as wide, where that shows no other head."""
    crops = []
    for head in sample.heads:
        x0, y0, x1, y1 = head.box
        wide = 1.6 * max(x1 - x0, (y1 - y0) * shape)
        tall = wide / shape
        left, top = int((x0 + x1 - wide) / 2), int((y0 + y1 - tall) / 2)
        crop = Crop(sample, left, top, int(left + wide), int(top + tall))
        clear = head.visible > CLEAR and x1 - x0 > LARGE * sample.width
        if clear and crop.inside() and sum(crop.shows(other.box) for other in sample.heads) == 1:
            crops.append(crop)
    return crops
