# SPDX-License-Identifier: Apache-2.0
"""One image in the key-value cache, many questions beside each other.

CogVLM is causal and the image comes first, so its keys and values depend on no question. All
questions are packed into one row: a mask lets each token see the image and its own lane only, so
the image's cache is neither copied nor repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .modeling import CogVLMForCausalLM, position_ids_of

IMAGE = -1  # the owner of cached tokens that every lane sees


class Lanes:
    """The cache of one image and of the questions asked about it."""

    def __init__(self, model: CogVLMForCausalLM, prefix: dict[str, Tensor], pixel_values: Tensor):
        self._model = model
        self._device = model.device
        types = prefix["token_type_ids"].to(self._device)
        positions = position_ids_of(types)
        output = model.model(
            input_ids=prefix["input_ids"].to(self._device),
            pixel_values=pixel_values.to(self._device),
            token_type_ids=types,
            position_ids=positions,
            use_cache=True,
        )
        self._cache = output.past_key_values
        self._owners = [IMAGE] * types.shape[1]
        self._start = int(positions[0, -1]) + 1
        self._positions: list[int] = []  # the next one in each lane

    def open(self, count: int) -> range:
        """Numbers of `count` new, empty lanes."""
        first = len(self._positions)
        self._positions += [self._start] * count
        return range(first, first + count)

    def feed(
        self, lanes: Sequence[int], chunks: Sequence[Sequence[int]], keep: Sequence[int]
    ) -> list[Tensor]:
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
        self._owners += owners
        output = self._model(
            input_ids=self._row(ids),
            position_ids=self._row(positions),
            attention_mask=self._mask(len(ids)),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=torch.tensor(wanted, device=self._device),
        )
        return list(output.logits[0].float().cpu().split(list(keep)))

    def _row(self, values: list[int]) -> Tensor:
        return torch.tensor([values], device=self._device)

    def _mask(self, length: int) -> Tensor | None:
        if len(self._positions) == 1:
            return None  # one lane: plain causality
        keys = torch.tensor(self._owners, device=self._device)
        index = torch.arange(len(keys), device=self._device)
        own = keys == keys[-length:, None]
        visible = (own & (index <= index[-length:, None])) | (keys == IMAGE)
        return visible[None, None]
