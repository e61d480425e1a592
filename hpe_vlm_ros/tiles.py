# SPDX-License-Identifier: Apache-2.0
"""Closer looks: overlapping tiles of a picture, in which far heads are large enough to be found.

A model sees pictures at one size, so heads across a room shrink to a few pixels. Cut into tiles and
looked at one by one, they keep theirs (Akyon et al., "Slicing Aided Hyper Inference", 2022). What
is found there is put back into the picture here: boxes, and rotations, which the model told as if
the tile were a picture of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .rays import rotation_to_ray, usual_camera

if TYPE_CHECKING:
    from .perceiver import HeadEstimate

OVERLAP = 1 / 3  # of a tile's side, with the next one
LARGEST = 0.5  # of a tile's side: the whole picture shows larger heads as well, and better
EDGE = 0.01  # of a tile's side: a box that comes so near to where the tile was cut is cut itself
SAME_IOU = 0.4  # of two boxes of one head, seen in different tiles
INSIDE = 0.75  # share of a box that lies in a surer one's: part of that head


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in its pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """These pixels (height, width, 3) of the picture (H, W, 3)."""
        part = image[self.y : self.y + self.height, self.x : self.x + self.width]
        return np.ascontiguousarray(part)


def tiles_of(width: int, height: int, count: int) -> list[Tile]:
    """`count` x `count` tiles of a picture, row by row, which overlap by a third of their sides.

    A head of up to a third of a tile is whole in one of them.
    """
    columns, rows = _cuts(width, count), _cuts(height, count)
    return [Tile(x, y, w, h) for y, h in rows for x, w in columns]


def _cuts(length: int, count: int) -> list[tuple[int, int]]:
    """Starts and lengths of `count` overlapping parts of a side."""
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
    x0, y0, x1, y1 = head.box
    box = (x0 + tile.x, y0 + tile.y, x1 + tile.x, y1 + tile.y)
    assumed = rotation_to_ray(usual_camera((tile.height, tile.width)), head.box)
    turn = rotation_to_ray(usual_camera(size), box) @ assumed.T
    return replace(head.turned(turn), box=box)
