# SPDX-License-Identifier: Apache-2.0
"""Boxes on the grid of 1000 x 1000 cells over the image in which questions and answers name them.

A box is column and row of its first and last cell, origin top left: x0, y0, x1, y1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = tuple[int, int, int, int]
GRID = 1000


def grid_box(box_px: Sequence[float], width: int, height: int) -> Box:
    """Grid cells of a box x0, y0, x1, y1 in pixels of a `width` x `height` image, clipped to it.

    A box narrower than a cell grows to one cell, so that the result always fits an answer.
    ValueError for a box that is not finite or turned inside out, and for an empty image.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"image of {width} x {height} pixels is empty: give its size in pixels")
    x0, y0, x1, y1 = (float(v) for v in box_px)
    if not (all(map(math.isfinite, (x0, y0, x1, y1))) and x0 <= x1 and y0 <= y1):
        raise ValueError(f"box {tuple(box_px)}: need finite x0 <= x1, y0 <= y1 in x0, y0, x1, y1")
    (left, right), (top, bottom) = _cells(x0, x1, width), _cells(y0, y1, height)
    return left, top, right, bottom


def pixel_box(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """Pixels x0, y0, x1, y1 at the centres of the grid cells of `box`; `grid_box` undoes it."""
    x0, x1 = ((v + 0.5) / GRID * width for v in box[0::2])
    y0, y1 = ((v + 0.5) / GRID * height for v in box[1::2])
    return x0, y0, x1, y1


def box_text(box: Box) -> str:
    """x0,y0,x1,y1 in three digits each; ValueError for a box that no answer may hold."""
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 < GRID and 0 <= y0 < y1 < GRID):
        raise ValueError(f"box {tuple(box)}: need x0 < x1, y0 < y1, all 0..999; see grid_box")
    return ",".join(f"{int(v):03d}" for v in box)


def _cells(low: float, high: float, size: int) -> tuple[int, int]:
    first, last = (min(GRID - 1, max(0, int(v / size * GRID))) for v in (low, high))
    if first == last:
        first, last = (first, first + 1) if first < GRID - 1 else (first - 1, first)
    return first, last
