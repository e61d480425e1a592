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


class BatchSequences:
    """As `sequences.Sequences`, with a batch in place of the row."""

    rolls_back = False

    def __init__(self, cache: BranchCache):
        self._cache = cache
        self.presence = None
        self._states: list[State] = []
        self._positions: list[int] = []  # the next one in each sequence
        self._trees: dict[int, Tree] = {}  # a sequence's newest tree
        # tokens of that tree that are the sequence's, but not fed yet
        self._owed: dict[int, list[int]] = {}

    def open(self, count: int, beginning: Sequence[int] = ()) -> range:
        """Numbers of `count` new sequences, all behind the same first tokens, if any."""
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
        sequences: Sequence[int],
        chunks: Sequence[Sequence[int]],
        keep: Sequence[int],
        trees: Sequence[Tree | None] | None = None,
    ) -> list[Logits]:
        """As `Sequences.feed`. Chunks of one length are one batch."""
        behind = [None] * len(sequences) if trees is None else trees
        whole = [
            [*self._owed.pop(sequence, []), *chunk]
            for sequence, chunk in zip(sequences, chunks, strict=True)
        ]
        logits: dict[int, Logits] = {}
        for length in {len(chunk) for chunk in whole}:
            these = [index for index, chunk in enumerate(whole) if len(chunk) == length]
            most = max(keep[index] for index in these)
            ids = np.array([whole[i] for i in these])
            rows = self._append([sequences[i] for i in these], ids, most)
            logits |= {i: row[most - keep[i] :] for i, row in zip(these, rows, strict=True)}
        for index, (sequence, tree) in enumerate(zip(sequences, behind, strict=True)):
            if tree is not None:
                self._trees[sequence] = tree
                logits[index] = np.concatenate([logits[index], self._tried(sequence, tree)])
        return [logits[index] for index in range(len(sequences))]

    def _append(self, sequences: Sequence[int], ids: Ids, keep: int) -> Logits:
        states = [self._states[sequence] for sequence in sequences]
        first = np.array([self._positions[sequence] for sequence in sequences])[:, None]
        after, logits = self._cache.feed(states, ids, first + np.arange(ids.shape[1]), keep)
        for sequence, state in zip(sequences, after, strict=True):
            self._states[sequence] = state
            self._positions[sequence] += ids.shape[1]
        return logits

    def _tried(self, sequence: int, tree: Tree) -> Logits:
        """Logits (N, vocabulary) after each token of a tree: its branches as a batch."""
        ancestors, depths = tree.ancestors(), tree.depths()
        deepest = int(depths.max())
        leaves = np.flatnonzero(depths == deepest)
        branches = [np.flatnonzero(ancestors[leaf]) for leaf in leaves]
        ids = np.stack([tree.tokens[branch] for branch in branches])
        places = np.tile(self._positions[sequence] + np.arange(deepest + 1), (len(leaves), 1))
        _, logits = self._cache.feed(
            [self._states[sequence]] * len(leaves), ids, places, deepest + 1
        )
        out = np.empty((len(tree.tokens), logits.shape[-1]), logits.dtype)
        for branch, rows in zip(branches, logits, strict=True):
            out[branch] = rows
        return out

    def adopt(self, sequence: int, path: Sequence[int]) -> None:
        """Make these tokens of the sequence's newest tree, one behind the other, its own."""
        if path:
            self._owed[sequence] = self._trees[sequence].tokens[np.asarray(path)].tolist()

    def take_back(self, sequence: int, count: int) -> None:
        """Nothing is fed ahead here, so there is nothing to take back."""
        if count:
            raise RuntimeError("a recurrent model cannot take tokens back: a bug")

    def clear(self) -> None:
        """Forget all sequences, not the image."""
        self._states, self._positions = [], []
        self._trees, self._owed = {}, {}
