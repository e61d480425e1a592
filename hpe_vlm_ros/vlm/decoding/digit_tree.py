# SPDX-License-Identifier: Apache-2.0
"""All 360 angles at once, for tokenizers that spell numbers in digits.

Greedy digits give one number and hide what else it could have been. The prefixes of 000..359 are a
tree of 4 hundreds and 36 hundreds with tens; fed together, each seeing its own branch only, they
give P(first), P(second | first) and P(third | first, second), whose product is the exact
distribution of the number, in one forward instead of three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.vlm.backend import Ids, Logits

HUNDREDS, TENS = 4, 36
SIZE = HUNDREDS + TENS


@dataclass(frozen=True, eq=False)
class Tree:
    """Tokens (N,) that branch off behind a sequence; parents (N,) are their indices, -1 for the
    sequence."""

    tokens: Ids
    parents: Ids

    def depths(self) -> Ids:
        """(N,): 0 right behind the sequence."""
        depths = np.zeros(len(self.tokens), np.int64)
        for index, parent in enumerate(self.parents):
            depths[index] = 0 if parent < 0 else depths[parent] + 1
        return depths

    def ancestors(self) -> NDArray[np.bool_]:
        """(N, N): True where the column is the row's token or one of those that lead to it."""
        ancestors = np.eye(len(self.tokens), dtype=bool)
        for index, parent in enumerate(self.parents):
            if parent >= 0:
                ancestors[index] |= ancestors[parent]
        return ancestors


def angle_tree(digits: Ids) -> Tree:
    """The prefixes of 000..359 in order, the hundreds first; digits (10,) are the tokens 0..9."""
    tens = np.arange(TENS)
    return Tree(
        np.concatenate([digits[:HUNDREDS], digits[tens % 10]]),
        np.concatenate([np.full(HUNDREDS, -1), tens // 10]),
    )


def path(number: int) -> list[int]:
    """Indices in the `angle_tree` of the prefixes of a number 0..359."""
    return [number // 100, HUNDREDS + number // 10]


def angle_probabilities(logits: Logits, digits: Ids) -> NDArray[np.float64]:
    """(360,), summing to one, of logits (1 + SIZE, vocabulary): before the tree, and in it."""
    rows = logits[:, digits].astype(np.float64)
    hundreds = _softmax(rows[:1, :HUNDREDS])[0]
    tens = _softmax(_only(rows[1 : 1 + HUNDREDS], TENS))
    units = _softmax(rows[1 + HUNDREDS :])
    # the fourth hundred ends with 359
    by_ten = (hundreds[:, None] * tens).ravel()[:TENS]
    every: NDArray[np.float64] = (by_ten[:, None] * units).ravel()
    return every


def _only(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The rows with all but their first `count` entries, in reading order, made impossible."""
    possible = (np.arange(rows.size) < count).reshape(rows.shape)
    return np.where(possible, rows, -np.inf)


def _softmax(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
