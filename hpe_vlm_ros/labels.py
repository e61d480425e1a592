# SPDX-License-Identifier: Apache-2.0
"""What people's labels of head poses mean, for training's readers and the replay's alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

Triple = tuple[float, float, float]


def labelled_angles(yaw: float, pitch: float, roll: float) -> Triple:
    """The triple in degrees, or ValueError where it is none of docs/conventions.md.

    Such are NaN, and 999 or -999, by which DirectMHP's files say that nobody knows the pose.
    """
    triple = float(yaw), float(pitch), float(roll)
    y, p, r = map(abs, triple)
    # Not a comparison with >=, which NaN would pass.
    if not (y <= 180 and p < 90 and r < 90):
        raise ValueError(
            f"yaw {triple[0]:g}, pitch {triple[1]:g}, roll {triple[2]:g}: angles must be finite "
            "degrees, |yaw| at most 180, |pitch| and |roll| below 90"
        )
    return triple


def look_like_radians(triples: Iterable[Sequence[float]]) -> bool:
    """Whether all angles of a file are within pi and some are not zero, as hardly in degrees."""
    angles = np.array(list(triples), dtype=float)
    return bool(angles.size and np.abs(angles).max() <= math.pi and angles.any())
