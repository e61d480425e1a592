# SPDX-License-Identifier: Apache-2.0
"""A model of a chat family in transformers' own class, with one picture in its cache.

Positions always come from the caller. transformers keeps the offset of Qwen's positions on the
model, not in the cache, where the next picture overwrites it: a cache that relies on it answers
wrongly, without an error, once another camera's picture has been encoded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from hpe_vlm_ros.vlm.backend import Ids, Logits
from hpe_vlm_ros.vlm.decoding.batch_sequences import State
from hpe_vlm_ros.vlm.pytorch.backend import ROOM, DeviceCache, Rows, RowsCache, within_memory

from .family import Picture
from .processing import ChatProcessor


class ChatBackend:
    """Serves a model of a chat family; see `backend.Backend`."""

    name = "torch"
    at_once = 1
    lookahead: int | None = None

    def __init__(self, model: Any, processor: ChatProcessor):
        self.model, self.processor = model.eval(), processor
        self.packs = processor.family.packs

    @property
    def device(self) -> str:
        return str(self.model.device)

    def encode(self, pixels: Picture) -> PackedCache | StateCache:
        if self.packs:
            return PackedCache(self.model, self.processor, pixels)
        return StateCache(self.model, self.processor, pixels)


class _Cache(DeviceCache):
    """What both caches share: the picture's prefix, and calls with positions."""

    presence = None

    def __init__(self, model: Any, processor: ChatProcessor, picture: Picture):
        self._model = model
        self._ids, self._positions = processor.prefix(picture)
        self.length = len(self._ids)
        self.start = int(self._positions.max()) + 1
        self._axes = len(self._positions)
        self._picture = picture

    def _prefill(self) -> DynamicCache:
        """The cache of the prefix."""
        cache = self._empty()
        self._model.model(
            input_ids=self._tensor(self._ids)[None],
            position_ids=self._tensor(self._positions)[:, None] if self._axes > 1 else None,
            past_key_values=cache,
            use_cache=True,
            **inputs_of(self._picture, self._model),
        )
        return cache

    def _empty(self) -> DynamicCache:
        return DynamicCache(config=self._model.config.get_text_config())

    def _along(self, positions: Tensor) -> Tensor:
        """(B, T) positions of text as the model takes them: alike on all axes."""
        return positions if self._axes == 1 else positions.expand(self._axes, -1, -1)


class PackedCache(_Cache, RowsCache):
    """Of a model of attention alone; see `backend.ImageCache`."""

    @within_memory
    @torch.inference_mode()
    def __init__(self, model: Any, processor: ChatProcessor, picture: Picture):
        super().__init__(model, processor, picture)
        self._rows = Rows(self.length + ROOM)
        layers: Any = self._prefill().layers
        for number, layer in enumerate(layers):
            self._rows.update(layer.keys, layer.values, number)


class StateCache(_Cache):
    """Of a model with recurrent layers; see `decoding.batch_sequences.BranchCache`."""

    @within_memory
    @torch.inference_mode()
    def __init__(self, model: Any, processor: ChatProcessor, picture: Picture):
        super().__init__(model, processor, picture)
        (self.picture,) = _split(self._prefill())

    def release(self) -> None:
        """Give all memory back; nothing can be asked afterwards."""
        self.picture, self.length = [], 0

    @within_memory
    @torch.inference_mode()
    def feed(
        self, states: list[State], ids: Ids, positions: Ids, keep: int
    ) -> tuple[list[State], Logits]:
        cache = self._empty()
        _join(states, cache)
        output = self._model(
            input_ids=self._tensor(ids),
            position_ids=self._along(self._tensor(positions)),
            past_key_values=cache,
            use_cache=True,
            # transformers takes 0 for all of them
            logits_to_keep=max(keep, 1),
        )
        logits = output.logits[:, -keep:] if keep else output.logits[:, :0]
        return _split(cache), np.asarray(logits.float().cpu().numpy())


def inputs_of(picture: Picture, model: Any) -> dict[str, Tensor]:
    """The arrays of a picture that the model takes, on its device."""
    named = {k: v for k, v in picture.items() if k not in ("rows", "cols")}
    tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in named.items()}
    return {
        k: v.to(model.device, model.dtype if v.is_floating_point() else None)
        for k, v in tensors.items()
    }


def _split(cache: Any) -> list[State]:
    """What each row of the batch has in the cache, layer by layer; views, not copies."""
    count = next(t.shape[0] for layer in cache.layers for t in _tensors(layer).values())
    parts = [_tensors(layer) for layer in cache.layers]
    return [
        [{name: tensor[row : row + 1] for name, tensor in layer.items()} for layer in parts]
        for row in range(count)
    ]


def _tensors(layer: Any) -> dict[str, Tensor]:
    """The tensors of one layer's cache by name: keys and values, or the states of a recurrence."""
    if getattr(layer, "keys", None) is not None:
        return {"keys": layer.keys, "values": layer.values}
    return {"conv": layer.conv_states[0], "recurrent": layer.recurrent_states[0]}


def _join(states: list[State], cache: Any) -> None:
    """Fill an empty cache with rows."""
    for number, layer in enumerate(cache.layers):
        named = {
            name: torch.cat([state[number][name] for state in states]) for name in states[0][number]
        }
        if "keys" in named:
            layer.update(named["keys"], named["values"])
            continue
        layer.update_conv_state(named["conv"], conv_kernel_size=named["conv"].shape[-1])
        layer.update_recurrent_state(named["recurrent"])
