# SPDX-License-Identifier: Apache-2.0
"""Lists of boxes: without duplicates, from left to right, the largest, and pairs of two lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .geometry import box_area, box_iou, box_overlap

DUPLICATE_IOU = 0.55  # boxes that overlap more are two answers about one head
PixelBox = tuple[float, float, float, float]


class Scored(Protocol):
    """A box x0, y0, x1, y1, in pixels or on any other grid, and how sure it is, 0..1."""

    @property
    def box(self) -> tuple[float, float, float, float]: ...
    @property
    def score(self) -> float: ...


Boxed = TypeVar("Boxed", bound=Scored)


def check_box(box: PixelBox, width: int, height: int) -> PixelBox:
    """The box itself if some of it lies in the image; else a ValueError that says what to do."""
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1 and x0 < width and y0 < height and x1 > 0 and y1 > 0):
        raise ValueError(
            f"box {tuple(box)} is empty or outside the image of {width} x {height} pixels: give "
            "x0 < x1 and y0 < y1 in pixels of this image"
        )
    return box


def within(box: PixelBox, width: int, height: int) -> PixelBox:
    """A box without what sticks out of the picture."""
    x0, y0, x1, y1 = box
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def without_duplicates(
    found: Sequence[Boxed],
    iou: float = DUPLICATE_IOU,
    inside: float = 1.0,
    beside: Sequence[Boxed] = (),
) -> list[Boxed]:
    """Drop each box that overlaps a surer one, or any of those `beside`, by more than `iou`, or of
    which more than the share `inside` lies in one."""
    surest = sorted(found, key=lambda d: -d.score)
    boxes = np.array([one.box for one in surest]).reshape(-1, 4)
    others = np.array([one.box for one in (*beside, *surest)]).reshape(-1, 4)
    same = box_iou(boxes, others) > iou
    same |= box_overlap(boxes, others) > inside * box_area(boxes)[:, None]
    kept = list(range(len(beside)))  # rows of `others`
    for index, row in enumerate(same):
        if not row[kept].any():
            kept.append(len(beside) + index)
    return [surest[row - len(beside)] for row in kept[len(beside) :]]


def from_left(heads: Iterable[Boxed]) -> list[Boxed]:
    """Heads in the order the middles of their boxes have in the image."""
    return sorted(heads, key=lambda head: head.box[0] + head.box[2])


def largest(found: Sequence[Boxed], count: int) -> tuple[list[Boxed], int]:
    """The `count` largest of what has a box, in their order, and how many others there are."""
    sizes = [(d.box[2] - d.box[0]) * (d.box[3] - d.box[1]) for d in found]
    kept = sorted(range(len(found)), key=lambda i: -sizes[i])[:count]
    return [found[i] for i in sorted(kept)], len(found) - len(kept)


def match_boxes(predicted: ArrayLike, true: ArrayLike, iou: float = 0.5) -> NDArray[np.intp]:
    """Pairs (P, 2) of indices (predicted, true) with at least `iou`; best first, each box once."""
    overlap = box_iou(predicted, true)
    candidates = np.argwhere(overlap >= iou)
    order = np.argsort(-overlap[candidates[:, 0], candidates[:, 1]], kind="stable")
    pairs: list[tuple[int, int]] = []
    for i, j in candidates[order].tolist():
        if all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)
