# SPDX-License-Identifier: Apache-2.0
"""Closer looks: overlapping tiles of a picture, in which far heads are large enough to be found.

A model sees pictures at one size, so heads across a room shrink to a few pixels. Cut into tiles and
looked at one by one, they keep theirs (Akyon et al., "Slicing Aided Hyper Inference", 2022). What
is found there is put back into the picture here: boxes, and rotations, which the model told as if
the tile were a picture of its own.

n x n tiles cost up to n * n + 1 passes. A model with a presence map (`vlm.decoding.presence`) tells
by itself where heads are likely that it could not name: `adaptive_tile` is the one tile worth a
second pass, if there is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .boxes import PixelBox, Scored
from .head_map import probability
from .rays import rotation_to_ray, usual_camera

if TYPE_CHECKING:
    from .heads import HeadEstimate

OVERLAP = 1 / 3  # of a tile's side, with the next one
LARGEST = 0.5  # of a tile's side: the whole picture shows larger heads as well, and better
EDGE = 0.01  # of a tile's side: a box that comes so near to where the tile was cut is cut itself
SAME_IOU = 0.4  # of two boxes of one head, seen in different tiles
INSIDE = 0.75  # share of a box that lies in a surer one's: part of that head
ADAPTIVE = 0  # the number of tiles that stands for one, and only where small heads are likely
SMALL = 48.0  # pixels at the model's input: root of the area of heads that gain from another pass
LIKELY = 0.12  # probability from which a peak of the presence map counts
ENOUGH = 2.0  # sum of probabilities and scores of small heads in a tile that is worth a pass
PLACES = 9  # of the tile, along each side of the picture


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in its pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """These pixels (height, width, 3) of the picture (H, W, 3); black outside of it."""
        x0, x1 = np.clip([self.x, self.x + self.width], 0, image.shape[1])
        y0, y1 = np.clip([self.y, self.y + self.height], 0, image.shape[0])
        out = np.zeros((self.height, self.width, 3), np.uint8)
        out[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x] = image[y0:y1, x0:x1]
        return out

    def in_picture(self, box: PixelBox) -> PixelBox:
        """A box in the tile's pixels, in those of the picture."""
        x0, y0, x1, y1 = box
        return x0 + self.x, y0 + self.y, x1 + self.x, y1 + self.y


def square_around(box: PixelBox, margin: float) -> Tile:
    """A square about a box's middle, which may reach out of the picture.

    It is `margin` (at least 1) times the box's longer side wide, rounded up, and a pixel more: so
    it holds all of the box, although the middles are up to half a pixel apart.
    """
    x0, y0, x1, y1 = box
    side = math.ceil(margin * max(x1 - x0, y1 - y0)) + 1
    return Tile(round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side, side)


def tiles_of(width: int, height: int, count: int) -> list[Tile]:
    """`count` x `count` tiles of a picture, row by row, which overlap by a third of their sides.

    A head of up to a third of a tile is whole in one of them.
    """
    columns, rows = _cuts(width, count), _cuts(height, count)
    return [Tile(x, y, w, h) for y, h in rows for x, w in columns]


def adaptive_tile(
    heads: Sequence[Scored],
    presence: NDArray[np.float32],
    size: tuple[int, int],
    input_size: int,
) -> Tile | None:
    """The tile, as large as one of 2 x 2, in which most small heads are likely; None where too few
    are for another pass to pay.

    Args:
        heads: what was found in the whole picture.
        presence: (rows, columns) logits that the middle of a head lies in each patch of it.
        size: (height, width) of the picture in pixels.
        input_size: side in pixels of the square that the model sees of it.
    """
    boxes = np.array([head.box for head in heads], dtype=float).reshape(-1, 4)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * input_size**2 / (size[0] * size[1])
    small = areas < SMALL**2
    scores = np.array([head.score for head in heads], dtype=float)
    around, heights = peaks(presence, boxes, size)
    places = np.concatenate((boxes[small], around))
    likely = np.concatenate((scores[small], heights))
    (width, height), held = _extent(size), []
    for y in np.linspace(0, size[0] - height, PLACES).round().astype(int):
        for x in np.linspace(0, size[1] - width, PLACES).round().astype(int):
            tile = Tile(int(x), int(y), width, height)
            held.append((float(likely[_within(places, tile)].sum()), tile))
    most, tile = max(held, key=lambda one: one[0])
    if most < ENOUGH:
        return None
    return _centred(tile, places[_within(places, tile)], size)


def peaks(
    presence: NDArray[np.float32],
    boxes: NDArray[np.float64],
    size: tuple[int, int],
    least: float = LIKELY,
    beside: float = 0.5,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where heads are likely that were not found.

    Args:
        presence: (rows, columns) logits that the middle of a head lies in each patch.
        boxes: (K, 4) pixels of what was found.
        size: (height, width) of the picture in pixels.
        least: probability from which a local maximum of the map counts.
        beside: maxima so near to a found box, in its sides, are that head's.

    Returns:
        Boxes (N, 4) in pixels around the maxima, two patches wide and high, and their
        probabilities (N,).
    """
    step = np.array(size[::-1]) / presence.shape[::-1]
    likely = probability(presence)
    rows, columns = np.nonzero((likely >= least) & (likely == cv2.dilate(likely, np.ones((3, 3)))))
    middles = np.stack([columns, rows], axis=1) + 0.5
    low, high = boxes[:, :2], boxes[:, 2:]
    reach = (high - low) * beside
    places = (middles * step)[:, None]
    known = ((places > low - reach) & (places < high + reach)).all(-1).any(-1)
    around = np.hstack([(middles - 1) * step, (middles + 1) * step])[~known]
    return around.clip(0, [*size[::-1], *size[::-1]]), likely[rows, columns][~known]


def _within(boxes: NDArray[np.float64], tile: Tile) -> NDArray[np.bool_]:
    """(N,) which boxes lie in a tile, but for a pixel."""
    low = np.array([tile.x, tile.y]) - 1
    high = np.array([tile.x + tile.width, tile.y + tile.height]) + 1
    inside: NDArray[np.bool_] = np.all((boxes >= [*low, *low]) & (boxes <= [*high, *high]), axis=1)
    return inside


def _centred(tile: Tile, boxes: NDArray[np.float64], size: tuple[int, int]) -> Tile:
    """A tile of the same size with what it holds in its middle, as far as the picture goes."""
    middle = (boxes[:, :2].min(axis=0) + boxes[:, 2:].max(axis=0)) / 2
    free = np.array([size[1] - tile.width, size[0] - tile.height])
    corner = np.clip(middle - np.array([tile.width, tile.height]) / 2, 0, free).round().astype(int)
    return Tile(int(corner[0]), int(corner[1]), tile.width, tile.height)


def _extent(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of one of 2 x 2 tiles of a picture."""
    return _cuts(size[1], 2)[0][1], _cuts(size[0], 2)[0][1]


def _cuts(length: int, count: int) -> list[tuple[int, int]]:
    """Starts and lengths of `count` overlapping parts of a side."""
    # so many parts, less what each shares with the next, fill the side
    part = min(length, int(np.ceil(length / (count - (count - 1) * OVERLAP))))
    starts = np.linspace(0, length - part, count).round().astype(int)
    return [(int(start), part) for start in starts]


def counts(box: ArrayLike, tile: Tile, size: tuple[int, int]) -> bool:
    """Whether a box in a tile's pixels is a head that the tile is there for: not a large one, which
    in a tile is more often a sleeve, and not one that ends where the tile was cut out.

    `size` = (height, width) of the picture, whose own borders cut nothing.
    """
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    if x1 - x0 > LARGEST * tile.width or y1 - y0 > LARGEST * tile.height:
        return False
    across, down = EDGE * tile.width, EDGE * tile.height
    return not (
        (tile.x > 0 and x0 < across)
        or (tile.y > 0 and y0 < down)
        or (tile.x + tile.width < size[1] and x1 > tile.width - across)
        or (tile.y + tile.height < size[0] and y1 > tile.height - down)
    )


def put_back(head: HeadEstimate, tile: Tile, size: tuple[int, int]) -> HeadEstimate:
    """A head found in a tile as one of the whole picture of `size` = (height, width).

    The model takes any picture for one of the usual camera (`rays`); its answer is turned by the
    angle between the ray it took the head to be seen along and that of the head in the picture.
    """
    box = tile.in_picture(head.box)
    assumed = rotation_to_ray(usual_camera((tile.height, tile.width)), head.box)
    turn = rotation_to_ray(usual_camera(size), box) @ assumed.T
    return replace(head.turned(turn), box=box)
