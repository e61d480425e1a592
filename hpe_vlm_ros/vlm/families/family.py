# SPDX-License-Identifier: Apache-2.0
"""What all sizes of a vision-language model have in common, and where families differ."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = Mapping[str, NDArray[Any]]
"""A picture as transformers' image processor of the family gives it, arrays by name."""

Rows = Mapping[str, int]
"""Parts of a fused projection in order, and how many rows of its weight each takes."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of models.

    Attributes:
        name: as people write it.
        model_types: what config.json calls it.
        grid: how the published model names places before any training of ours. After it all
            families write the paper's cells 000..999.
        order: of the four numbers of a box, likewise.
        recurrent: whether some layers carry a state from token to token. Then questions cannot be
            packed into one row, since a state cannot be masked, and tokens cannot be taken back:
            questions are asked as a batch and drafts are not used.
        adapted: regular expression of the full paths of the linear layers that LoRA adapts: the
            projections of decoder and vision tower. Never the ends of names: q_proj stands in both.
    """

    name: str
    model_types: tuple[str, ...]
    grid: str
    order: str
    adapted: str
    recurrent: bool = False

    @property
    def packs(self) -> bool:
        """Whether several questions about a picture can stand in one row."""
        return not self.recurrent

    @property
    def rolls_back(self) -> bool:
        """Whether tokens can be taken out of the cache again, as a wrong draft must be."""
        return not self.recurrent

    def fused(self, layer: str, config: Mapping[str, Any]) -> Rows | None:
        """The parts of a linear layer (full path) that holds several projections in one weight, of
        a model with this config.json; None for a single one. A merge decides about each part."""
        return None


@dataclass(frozen=True, kw_only=True)
class ChatFamily(Family):
    """A family that runs in transformers' own classes, asked in the turns of a chat.

    The row is: `before` (with the picture's tokens), the question, `after`, then the answer and
    `end`.

    Attributes:
        model_class, image_processor: names of classes in transformers.
        after: text between question and answer.
        end: the token that ends an answer.
        lead: what stands before an answer's first word.
        special: tokens that the tokenizer must know.
        size: of the image processor, unless the model's own hpe_vlm.json says otherwise; keys that
            are left out are the checkpoint's.
    """

    model_class: str = ""
    image_processor: str = ""
    after: str = ""
    end: str = ""
    lead: str = ""
    special: tuple[str, ...] = ()
    size: Mapping[str, int] = field(default_factory=dict)

    @abstractmethod
    def side(self, longest: int | None) -> int:
        """About how many pixels the side of a square has that holds as many as the model sees;
        `longest` is size's longest_edge in hpe_vlm.json."""

    @abstractmethod
    def before(self, picture: Picture, config: Mapping[str, Any]) -> str:
        """The text before a question, one image token for each place a feature of the picture
        takes."""

    def positions(
        self, ids: NDArray[np.int64], picture: Picture, config: Mapping[str, Any]
    ) -> NDArray[np.int64]:
        """(axes, T) positions of the T tokens of `before`; what follows goes on from the largest.
        One axis: 0, 1, 2, ..."""
        return np.arange(len(ids))[None]

    @abstractmethod
    def seen(self, width: int, height: int, processor: Any) -> tuple[int, int]:
        """(height, width) in pixels of a picture as the model sees it. ValueError for a picture
        that it cannot take, with what to do."""

    def stacked(self, pictures: Sequence[Picture]) -> Picture:
        """Several pictures as one batch of the model takes them."""
        return {
            name: np.concatenate([picture[name] for picture in pictures]) for name in pictures[0]
        }

    def is_adapted(self, layer: str) -> bool:
        """Whether LoRA adapts the linear layer of this full path."""
        return re.fullmatch(self.adapted, layer) is not None


def thirds(rows: int) -> Rows:
    """The parts of a fused attention projection."""
    return dict.fromkeys(("q", "k", "v"), rows // 3)
