# SPDX-License-Identifier: Apache-2.0
"""What a runtime must offer so that everything above it need not know which one it is.

A backend turns a picture into an `ImageCache`: the keys and values of

    [BOS] [begin image] [patches] [end image]

to which tokens are then appended. Which question a token belongs to, and so what it may attend to,
is `sequences`' business; a backend is handed positions and a mask and does as told. All arrays are
numpy's, on the CPU.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.head_map import HeadMap

Ids = NDArray[np.int64]
Pixels = NDArray[np.float32]
Logits = NDArray[np.float32]


class ImageCache(Protocol):
    """One picture in the key-value cache, and the tokens appended to it."""

    length: int
    """Cached tokens; at first those of the picture."""

    start: int
    """Position of the first token behind the picture."""

    presence: HeadMap | None
    """What the picture's patches tell of heads; None where the model has no such read-out."""

    def append(self, ids: Ids, positions: Ids, mask: NDArray[np.bool_], wanted: Ids) -> Logits:
        """Append ids (T,) at positions (T,).

        mask (T, length + T) says what each may attend to; wanted (K,) are the indices in ids after
        which logits (K, vocabulary) are returned.
        """

    def shrink(self, length: int) -> None:
        """Forget all but the first `length` cached tokens."""


class Backend(Protocol):
    """A loaded model in some runtime."""

    name: str
    """Such as "torch"."""

    at_once: int
    """How many pictures are best worked on at once, each in a thread of the caller's."""

    lookahead: int | None
    """How many tokens are worth feeding on the chance that they are right; None for any number."""

    packs: bool
    """Whether several questions can share a row; if not, `encode` gives a BranchCache of
    `decoding.batch_sequences` in place of an ImageCache."""

    @property
    def device(self) -> str:
        """Such as "cpu" or "cuda:0"."""

    def encode(self, pixels: Pixels) -> ImageCache:
        """The cache of a picture (3, S, S), normalised; each call encodes anew."""
