# SPDX-License-Identifier: Apache-2.0
"""Many questions about one image, each with a state of its own, asked as a batch.

For models with recurrent layers, where questions cannot share a row: a mask hides keys, but not
what a state has taken in. Nothing is ever taken back; what is only tried is fed to a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from hpe_vlm_ros.vlm.backend import Ids, Logits

from .digit_tree import Tree

State = list[dict[str, Any]]
"""All that one question has in the cache: tensors by name, layer by layer. Never changed."""


class BranchCache(Protocol):
    """One picture in the cache of a model whose state can be copied, but not turned back."""

    start: int
    """Position of the first token behind the picture."""

    presence: None

    picture: State
    """The state behind the picture."""

    def feed(
        self, states: list[State], ids: Ids, positions: Ids, keep: int
    ) -> tuple[list[State], Logits]:
        """Append ids (B, T) at positions (B, T), row i behind states[i]; the states behind them
        and the logits (B, keep, vocabulary) after the last tokens."""


class BatchLanes:
    """As `lanes.Lanes`, with a batch in place of the row."""

    rolls_back = False

    def __init__(self, cache: BranchCache):
        self._cache = cache
        self.presence = None
        self._states: list[State] = []
        self._positions: list[int] = []  # the next one in each lane
        self._trees: dict[int, Tree] = {}  # a lane's newest tree
        self._owed: dict[int, list[int]] = {}  # tokens of it that are the lane's, but not fed yet

    def open(self, count: int, beginning: Sequence[int] = ()) -> range:
        """Numbers of `count` new lanes, all behind the same first tokens, if any."""
        state, start = self._cache.picture, self._cache.start
        if beginning:
            places = start + np.arange(len(beginning))[None]
            (state,), _ = self._cache.feed([state], np.array([beginning]), places, 0)
        first = len(self._states)
        self._states += [state] * count
        self._positions += [start + len(beginning)] * count
        return range(first, first + count)

    def feed(
        self,
        lanes: Sequence[int],
        chunks: Sequence[Sequence[int]],
        keep: Sequence[int],
        trees: Sequence[Tree | None] | None = None,
    ) -> list[Logits]:
        """As `Lanes.feed`. Chunks of one length are one batch."""
        behind = [None] * len(lanes) if trees is None else trees
        whole = [
            [*self._owed.pop(lane, []), *chunk] for lane, chunk in zip(lanes, chunks, strict=True)
        ]
        logits: dict[int, Logits] = {}
        for length in {len(chunk) for chunk in whole}:
            these = [index for index, chunk in enumerate(whole) if len(chunk) == length]
            most = max(keep[index] for index in these)
            ids = np.array([whole[i] for i in these])
            rows = self._append([lanes[i] for i in these], ids, most)
            logits |= {i: row[most - keep[i] :] for i, row in zip(these, rows, strict=True)}
        for index, (lane, tree) in enumerate(zip(lanes, behind, strict=True)):
            if tree is not None:
                self._trees[lane] = tree
                logits[index] = np.concatenate([logits[index], self._tried(lane, tree)])
        return [logits[index] for index in range(len(lanes))]

    def _append(self, lanes: Sequence[int], ids: Ids, keep: int) -> Logits:
        states = [self._states[lane] for lane in lanes]
        first = np.array([self._positions[lane] for lane in lanes])[:, None]
        after, logits = self._cache.feed(states, ids, first + np.arange(ids.shape[1]), keep)
        for lane, state in zip(lanes, after, strict=True):
            self._states[lane] = state
            self._positions[lane] += ids.shape[1]
        return logits

    def _tried(self, lane: int, tree: Tree) -> Logits:
        """Logits (N, vocabulary) after each token of a tree: its branches as a batch."""
        seen, depths = tree.ancestors(), tree.depths()
        deepest = int(depths.max())
        leaves = np.flatnonzero(depths == deepest)
        branches = [np.flatnonzero(seen[leaf]) for leaf in leaves]
        ids = np.stack([tree.tokens[branch] for branch in branches])
        places = np.tile(self._positions[lane] + np.arange(deepest + 1), (len(leaves), 1))
        _, logits = self._cache.feed([self._states[lane]] * len(leaves), ids, places, deepest + 1)
        out = np.empty((len(tree.tokens), logits.shape[-1]), logits.dtype)
        for branch, rows in zip(branches, logits, strict=True):
            out[branch] = rows
        return out

    def adopt(self, lane: int, path: Sequence[int]) -> None:
        """Make these tokens of the lane's newest tree, one behind the other, the lane's own."""
        if path:
            self._owed[lane] = self._trees[lane].tokens[np.asarray(path)].tolist()

    def take_back(self, lane: int, count: int) -> None:
        """Nothing is fed ahead here, so there is nothing to take back."""
        if count:
            raise RuntimeError("a recurrent model cannot take tokens back: a bug")

    def clear(self) -> None:
        """Forget all lanes, not the image."""
        self._states, self._positions = [], []
        self._trees, self._owed = {}, {}
