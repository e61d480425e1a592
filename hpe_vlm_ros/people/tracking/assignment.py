# SPDX-License-Identifier: Apache-2.0
"""Which head of the new image is which known one: least total cost over all pairs that may be."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpe_vlm_ros.geometry import box_area, box_overlap

Array = NDArray[np.float64]
# Far above any sum of allowed costs: a pair that may not be is taken only where nothing else is
# left, and is dropped then.
FORBIDDEN = 1e6


def generalised_iou(a: ArrayLike, b: ArrayLike) -> Array:
    """(N, M) of boxes (N, 4), (M, 4), in (-1, 1]: overlap, less the empty part of the common hull.

    Rezatofighi et al., CVPR 2019. Unlike the plain overlap it still ranks boxes that do not touch,
    as those of one head do when frames are seconds apart.
    """
    first = np.asarray(a, dtype=float).reshape(-1, 1, 4)
    second = np.asarray(b, dtype=float).reshape(1, -1, 4)
    shared = box_overlap(a, b)
    union = box_area(a)[:, None] + box_area(b) - shared
    low = np.minimum(first[..., :2], second[..., :2])
    high = np.maximum(first[..., 2:], second[..., 2:])
    hull = np.clip(high - low, 0, None).prod(axis=-1)
    result: Array = shared / np.maximum(union, 1e-9) - (hull - union) / np.maximum(hull, 1e-9)
    return result


def pairs(cost: Array, allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(row, column) pairs: as many allowed ones as can be, at the least total cost (Hungarian)."""
    _, rows, columns = lap.lapjvc(np.where(allowed, cost, FORBIDDEN))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]
