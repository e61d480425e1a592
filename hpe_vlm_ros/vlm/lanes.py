# SPDX-License-Identifier: Apache-2.0
"""One image in the key-value cache, many questions beside each other.

CogVLM is causal and the image comes first, so its keys and values depend on no question. All
questions are packed into one row: a mask lets each token see the image and its own lane only, so
the image's cache is neither copied nor repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .backend import ImageCache, Logits

IMAGE = -1  # the owner of cached tokens that every lane sees
NOBODY = -2  # the owner of tokens that were taken back


class Lanes:
    """The cache of one image and of the questions asked about it."""

    def __init__(self, cache: ImageCache):
        self._cache = cache
        self._image = cache.length
        self._owners = np.full(cache.length, IMAGE)
        self._positions: list[int] = []  # the next one in each lane

    def open(self, count: int) -> range:
        """Numbers of `count` new, empty lanes."""
        first = len(self._positions)
        self._positions += [self._cache.start] * count
        return range(first, first + count)

    def feed(
        self, lanes: Sequence[int], chunks: Sequence[Sequence[int]], keep: Sequence[int]
    ) -> list[Logits]:
        """Append chunks[i] to lanes[i]; logits (keep[i], vocabulary) after its last tokens."""
        ids: list[int] = []
        positions: list[int] = []
        owners: list[int] = []
        wanted: list[int] = []
        for lane, chunk, last in zip(lanes, chunks, keep, strict=True):
            ids += chunk
            owners += [lane] * len(chunk)
            positions += range(self._positions[lane], self._positions[lane] + len(chunk))
            self._positions[lane] += len(chunk)
            wanted += range(len(ids) - last, len(ids))
        self._owners = np.append(self._owners, owners)
        logits = self._cache.append(
            np.array(ids), np.array(positions), self._mask(len(ids)), np.array(wanted)
        )
        return np.split(logits, np.cumsum(keep)[:-1])

    def take_back(self, lane: int, count: int) -> None:
        """Make the lane's last `count` tokens as if never fed."""
        if count:
            own = np.flatnonzero(self._owners == lane)[-count:]
            self._owners[own] = NOBODY
            self._positions[lane] -= count

    def clear(self) -> None:
        """Forget all lanes, not the image: what is asked next is computed over fewer tokens."""
        self._cache.shrink(self._image)
        self._owners = self._owners[: self._image]
        self._positions = []

    def _mask(self, length: int) -> NDArray[np.bool_]:
        """(length, cached and new): what each of the new tokens may attend to."""
        keys = self._owners
        index = np.arange(len(keys))
        own = (keys == keys[-length:, None]) & (index <= index[-length:, None])
        return np.asarray(own | (keys == IMAGE))
