# SPDX-License-Identifier: Apache-2.0
"""The 17 keypoints of a body: their names, their order and what joins them.

Order and visibility are those of COCO's keypoints (Lin et al., Microsoft COCO: Common Objects in
Context, 2014; https://cocodataset.org/#format-data): 0 where a point is not labelled or not in the
picture, 1 where it is covered, 2 where it is seen. Left and right are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .boxes import PixelBox

Array = NDArray[np.float64]

KEYPOINTS = (
    "nose",
    "left eye",
    "right eye",
    "left ear",
    "right ear",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
)
ABSENT, COVERED, SEEN = 0, 1, 2


def other_side(name: str) -> str:
    """What a keypoint is called in the mirror image."""
    side, _, part = name.rpartition(" ")
    return {"left": f"right {part}", "right": f"left {part}"}.get(side, name)


MIRRORED = np.array([KEYPOINTS.index(other_side(name)) for name in KEYPOINTS])
"""(17,) int: the place of every keypoint's other side, by which a mirrored body is ordered."""

_LIMBS = (
    ("shoulder", "elbow"),
    ("elbow", "wrist"),
    ("shoulder", "hip"),
    ("hip", "knee"),
    ("knee", "ankle"),
    ("eye", "ear"),
)
_ACROSS = (("left shoulder", "right shoulder"), ("left hip", "right hip"))
_FACE = (("nose", "left eye"), ("nose", "right eye"))
LINES = tuple(
    (KEYPOINTS.index(first), KEYPOINTS.index(second))
    for first, second in (
        *((f"{side} {a}", f"{side} {b}") for side in ("left", "right") for a, b in _LIMBS),
        *_ACROSS,
        *_FACE,
    )
)
"""Pairs of keypoints that a drawing joins."""

BODY = (5.0, 8.0)  # of a standing person, in heights of the head: width and height
MARGIN = 1.1  # of the square that is cut out around a body, over the longer side of its box


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Keypoints of one body, in the order in which they were asked for.

    Attributes:
        box: the body's, in pixels of the image; it ends where the image does.
        names: of the N points.
        points: (N, 2) pixels x, y; NaN where a point is absent.
        visibility: (N,) int, ABSENT, COVERED or SEEN.
        scores: (N,) 0..1, the probability that a point is as visible as said and lies within a
            tenth of the box's longer side; 0 where it is absent.
        covariances: (N, 2, 2) pixels squared of x and y; NaN where a point is absent.
    """

    box: PixelBox
    names: tuple[str, ...]
    points: Array
    visibility: NDArray[np.int64]
    scores: Array
    covariances: Array


def body_around(head: PixelBox, width: float, height: float) -> PixelBox:
    """The part of a picture (`width` x `height` pixels) in which the body below a head lies, going
    by a standing adult: 5 heads wide and 8 high."""
    x0, y0, x1, y1 = head
    size, middle = y1 - y0, (x0 + x1) / 2
    half = BODY[0] / 2 * size
    bottom = min(y0 + BODY[1] * size, height)
    return max(middle - half, 0.0), max(y0, 0.0), min(middle + half, width), bottom
