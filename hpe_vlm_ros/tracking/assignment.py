# SPDX-License-Identifier: Apache-2.0
"""Which head of the new image is which known one: least total cost over all pairs that may be.

The assignment is solved here, in numpy: scipy's is the same, but scipy would be a third of what a
robot has to install.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
FORBIDDEN = 1e6


def generalised_iou(a: ArrayLike, b: ArrayLike) -> Array:
    """(N, M) of boxes (N, 4), (M, 4), in (-1, 1]: overlap, less the empty part of the common hull.

    Rezatofighi et al., CVPR 2019. Unlike the plain overlap it still ranks boxes that do not touch,
    as those of one head do when frames are seconds apart.
    """
    first = np.asarray(a, dtype=float).reshape(-1, 1, 4)
    second = np.asarray(b, dtype=float).reshape(1, -1, 4)
    shared = _area(
        np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    )
    union = _area(first[..., :2], first[..., 2:]) + _area(second[..., :2], second[..., 2:]) - shared
    hull = _area(
        np.minimum(first[..., :2], second[..., :2]), np.maximum(first[..., 2:], second[..., 2:])
    )
    result: Array = shared / np.maximum(union, 1e-9) - (hull - union) / np.maximum(hull, 1e-9)
    return result


def pairs(cost: Array, allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(row, column) pairs: as many allowed ones as can be, at the least total cost (Hungarian)."""
    priced = np.where(allowed, cost, FORBIDDEN)
    if len(priced) <= priced.shape[1]:
        found = list(enumerate(_assigned(priced)))
    else:
        found = [(row, column) for column, row in enumerate(_assigned(priced.T))]
    return sorted(pair for pair in found if allowed[pair])


def _assigned(cost: Array) -> list[int]:
    """The column of each row of (N, M), N <= M, at the least total cost.

    Shortest augmenting paths with potentials: Crouse, On implementing 2D rectangular assignment
    algorithms, IEEE Transactions on Aerospace and Electronic Systems, 2016.
    """
    rows, columns = cost.shape
    of_row, of_column = np.full(rows, -1), np.full(columns, -1)
    u, v = np.zeros(rows), np.zeros(columns)
    for start in range(rows):
        path, shortest = np.full(columns, -1), np.full(columns, np.inf)
        done, reached = np.zeros(columns, bool), []
        row, least = start, 0.0
        while True:  # the cheapest way from `start` to a column that nobody has
            reached.append(row)
            length = least + cost[row] - u[row] - v
            better = ~done & (length < shortest)
            path[better], shortest[better] = row, length[better]
            column = int(np.where(done, np.inf, shortest).argmin())
            least, done[column] = shortest[column], True
            if of_column[column] < 0:
                break
            row = int(of_column[column])
        u[start] += least
        others = reached[1:]
        u[others] += least - shortest[of_row[others]]
        v[done] -= least - shortest[done]
        row = -1
        while row != start:  # everybody on the way moves on by one
            row = int(path[column])
            of_column[column] = row
            of_row[row], column = column, int(of_row[row])
    return [int(column) for column in of_row]


def _area(low: Array, high: Array) -> Array:
    area: Array = np.clip(high - low, 0, None).prod(axis=-1)
    return area
