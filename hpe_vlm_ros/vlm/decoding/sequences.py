# SPDX-License-Identifier: Apache-2.0
"""One image in the key-value cache, many questions beside each other.

CogVLM is causal and the image comes first, so its keys and values depend on no question. All
questions are packed into one row: a mask lets each token see the image and its own sequence only,
so the image's cache is neither copied nor repeated. Words with which several questions begin are
not repeated either: they are a sequence that those questions see.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.head_map import HeadMap
from hpe_vlm_ros.vlm.backend import ImageCache, Logits

from .digit_tree import Tree

IMAGE = -1  # the owner of cached tokens that every sequence sees
NOBODY = -2  # the owner of tokens that were taken back


class Sequences:
    """The cache of one image and of the questions asked about it."""

    rolls_back = True  # tokens can be taken back, so that what may be right can be fed

    def __init__(self, cache: ImageCache):
        self._cache = cache
        self._image = cache.length
        self._owners = np.full(cache.length, IMAGE)
        self._positions: list[int] = []  # the next one in each sequence
        self._parents: list[int] = []  # the sequence that each one sees beside its own
        self._beginning: tuple[int, Sequence[int]] | None = None  # a sequence not fed yet
        self._trees: dict[int, int] = {}  # where a sequence's newest tree begins

    @property
    def presence(self) -> HeadMap | None:
        """See `backend.ImageCache`."""
        return self._cache.presence

    def open(self, count: int, beginning: Sequence[int] = ()) -> range:
        """Numbers of `count` new sequences, all behind the same first tokens, if any; these are fed
        along with the next chunks."""
        parent = IMAGE
        if beginning:
            (parent,) = self.open(1)
            self._beginning = parent, beginning
        first = len(self._positions)
        self._positions += [self._cache.start + len(beginning)] * count
        self._parents += [parent] * count
        return range(first, first + count)

    def feed(
        self,
        sequences: Sequence[int],
        chunks: Sequence[Sequence[int]],
        keep: Sequence[int],
        trees: Sequence[Tree | None] | None = None,
    ) -> list[Logits]:
        """Append chunks[i] to sequences[i]; logits (keep[i], vocabulary) after its last tokens.

        Behind a chunk a tree may branch off, whose logits follow. Its tokens see the sequence and
        their own branch, and nobody sees them later, except those that `adopt` keeps.
        """
        behind = [None] * len(sequences) if trees is None else trees
        if self._beginning is not None:
            (sequence, tokens), self._beginning = self._beginning, None
            return self.feed(
                [sequence, *sequences], [tokens, *chunks], [0, *keep], [None, *behind]
            )[1:]
        ids: list[int] = []
        positions: list[int] = []
        owners: list[int] = []
        wanted: list[int] = []
        counts: list[int] = []
        grown: list[tuple[int, Tree]] = []
        for sequence, chunk, last, tree in zip(sequences, chunks, keep, behind, strict=True):
            ids += chunk
            positions += range(self._positions[sequence], self._positions[sequence] + len(chunk))
            self._positions[sequence] += len(chunk)
            first = len(ids) - last
            if tree is not None:
                grown.append((len(ids), tree))
                self._trees[sequence] = len(self._owners) + len(ids)
                ids += tree.tokens.tolist()
                positions += (self._positions[sequence] + tree.depths()).tolist()
            owners += [sequence] * (len(ids) - len(owners))
            wanted += range(first, len(ids))
            counts.append(len(ids) - first)
        before = len(self._owners)
        self._owners = np.concatenate((self._owners, owners))
        mask = self._mask(len(ids))
        for start, tree in grown:
            rows = slice(start, start + len(tree.tokens))
            mask[rows, before + start : before + rows.stop] = tree.ancestors()
            self._owners[before + start : before + rows.stop] = NOBODY
        logits = self._cache.append(np.array(ids), np.array(positions), mask, np.array(wanted))
        ends = list(itertools.accumulate(counts, initial=0))
        return [logits[a:b] for a, b in itertools.pairwise(ends)]

    def adopt(self, sequence: int, path: Sequence[int]) -> None:
        """Make these tokens of the sequence's newest tree, one behind the other, its own."""
        if path:
            self._owners[self._trees[sequence] + np.asarray(path)] = sequence
            self._positions[sequence] += len(path)

    def take_back(self, sequence: int, count: int) -> None:
        """Make the sequence's last `count` tokens as if never fed."""
        if count:
            own = np.flatnonzero(self._owners == sequence)[-count:]
            self._owners[own] = NOBODY
            self._positions[sequence] -= count

    def clear(self) -> None:
        """Forget all sequences, not the image: what is asked next is computed over fewer tokens."""
        self._cache.shrink(self._image)
        self._owners = self._owners[: self._image]
        self._positions, self._parents, self._beginning = [], [], None

    def _mask(self, length: int) -> NDArray[np.bool_]:
        """(length, cached and new): what each of the new tokens may attend to."""
        keys = self._owners
        index, new = np.arange(len(keys)), keys[-length:, None]
        # NOBODY owns none of the new tokens yet: a tree's are disowned once its mask is set
        own = (keys == new) & (index <= index[-length:, None])
        parents = np.array(self._parents)[new]
        return np.asarray(own | (keys == IMAGE) | (keys == parents))
