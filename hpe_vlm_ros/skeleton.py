# SPDX-License-Identifier: Apache-2.0
"""The 17 keypoints of a body: their names, their order and what joins them.

Order and visibility are those of COCO's keypoints (Lin et al., Microsoft COCO: Common Objects in
Context, 2014; https://cocodataset.org/#format-data): 0 where a point is not labelled or not in the
picture, 1 where it is covered, 2 where it is seen. Left and right are the person's own.
"""

from __future__ import annotations

import numpy as np

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
