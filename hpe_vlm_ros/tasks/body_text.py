# SPDX-License-Identifier: Apache-2.0
"""The keypoints of a body as text, for questions that take no picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..skeleton import KEYPOINTS, SEEN

LEAST, MOST = 1, 999  # numbers along the longer side of all that is seen
UNSEEN = 0


def body_text(points: ArrayLike) -> str:
    """Keypoints (17, 3), x and y in pixels and visibility 0, 1 or 2, as digits.

    Each seen one is its column and row in three digits each, counted from 001 to 999 along the
    longer side of a square about all of them; the others are 000000. ";" stands between them.
    ValueError for another shape and where fewer than two places are seen.
    """
    return ";".join(f"{x:03d}{y:03d}" for x, y in body_numbers(points).tolist())


def body_numbers(points: ArrayLike) -> NDArray[np.int64]:
    """The numbers (17, 2) of `body_text`."""
    array = np.asarray(points, dtype=float)
    if array.shape != (len(KEYPOINTS), 3):
        raise ValueError(
            f"a body has {len(KEYPOINTS)} x 3 numbers (x, y, visibility), not {array.shape}"
        )
    visible = array[:, 2] == SEEN
    places = array[visible, :2]
    if not np.isfinite(places).all() or len(np.unique(places, axis=0)) < 2:
        raise ValueError("fewer than two keypoints of the body are seen: nothing can be asked")
    low, high = places.min(0), places.max(0)
    shares = (array[:, :2] - (low + high) / 2) / (high - low).max() + 0.5
    numbers = np.rint(LEAST + np.where(visible[:, None], shares, 0) * (MOST - LEAST)).astype(int)
    return np.where(visible[:, None], numbers, UNSEEN)
