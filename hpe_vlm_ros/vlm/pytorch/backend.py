# SPDX-License-Identifier: Apache-2.0
"""The model in PyTorch, on any device and in any precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpe_vlm_ros.head_map import HeadMap
from hpe_vlm_ros.vlm.backend import Ids, Logits, Pixels

from .modeling import CogVLMForCausalLM, position_ids_of
from .vision import VisionModel

Method = TypeVar("Method", bound=Callable[..., Any])
ROOM = 256  # tokens the cache has room for behind the picture, before it must grow


def best_device() -> str:
    """ "cuda" where PyTorch has such a device, else "cpu"; others, such as "mps", must be named."""
    return "cuda" if torch.cuda.is_available() else "cpu"


class TorchBackend:
    """Serves a CogVLMForCausalLM; see `backend.Backend`."""

    name = "torch"
    at_once = 1
    packs = True
    lookahead: int | None = None  # one forward costs much the same for many tokens, on a GPU

    def __init__(self, model: CogVLMForCausalLM):
        self.model = model.eval()

    @property
    def device(self) -> str:
        return str(self.model.device)

    def encode(self, pixels: Pixels) -> TorchCache:
        return TorchCache(self.model, pixels)


def within_memory(method: Method) -> Method:
    """Gives memory back and says what helps where a method finds too little of it.

    The picture's keys and values go, and with them what can be asked about it; the next picture
    starts anew. RuntimeError then, with "out of memory" in it.
    """

    @wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except torch.OutOfMemoryError:
            device, length = self._model.device, self.length
            self.release()
        # outside of the handler, whose traceback keeps the tensors of the failed forward
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise RuntimeError(
            f"out of memory on {device} behind {length} tokens: lower max_heads, set tiles to 1, "
            "quantize the weights (int8, int4), or stop what else uses the device"
        )

    return cast(Method, guarded)


class DeviceCache:
    """What a model keeps of one picture, on the model's device."""

    length: int
    _model: Any

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._model.device)


class RowsCache(DeviceCache):
    """Keys and values of a picture as rows, and what is appended; see `backend.ImageCache`."""

    _rows: Rows

    @within_memory
    @torch.inference_mode()
    def append(self, ids: Ids, positions: Ids, mask: NDArray[np.bool_], wanted: Ids) -> Logits:
        output = self._model(
            input_ids=self._tensor(ids)[None],
            position_ids=self._along(self._tensor(positions)[None]),
            attention_mask=self._tensor(mask)[None, None],
            past_key_values=self._rows,
            use_cache=True,
            logits_to_keep=self._tensor(wanted),
        )
        self.length += len(ids)
        return np.asarray(output.logits[0].float().cpu().numpy())

    def shrink(self, length: int) -> None:
        self.length = min(length, self.length)
        self._rows.length = self.length

    def release(self) -> None:
        """Give all memory back; nothing can be asked afterwards."""
        self._rows.layers.clear()
        self.length = self._rows.length = 0

    def _along(self, positions: Tensor) -> Tensor:
        """(1, T) positions of text as the model takes them."""
        return positions


class TorchCache(RowsCache):
    """Of a CogVLMForCausalLM; see `backend.ImageCache`."""

    @within_memory
    @torch.inference_mode()
    def __init__(self, model: CogVLMForCausalLM, pixels: Pixels):
        self._model = model
        types = self._tensor(np.array([[0] + [1] * model.config.num_image_tokens]))
        ids = torch.zeros_like(types)
        ids[0, 0] = model.config.bos_token_id or 0
        positions = position_ids_of(types)
        self.length = types.shape[1]
        self.start = int(positions[0, -1]) + 1
        self._rows = Rows(self.length + ROOM)
        self.presence: HeadMap | None = None
        with self._read_presence(model.model.vision):
            model.model(
                input_ids=ids,
                pixel_values=self._tensor(pixels)[None],
                token_type_ids=types,
                position_ids=positions,
                past_key_values=self._rows,
                use_cache=True,
            )

    @contextmanager
    def _read_presence(self, vision: VisionModel) -> Iterator[None]:
        """Meanwhile the patches that the tower computes are read for `presence` as well."""
        read_out = vision.presence
        if read_out is None:
            yield
            return

        def keep(_: nn.Module, __: Any, features: Tensor) -> None:
            self.presence = HeadMap.of(read_out(features[:, 1:])[0].float().cpu().numpy())

        hook = vision.transformer.register_forward_hook(keep)
        try:
            yield
        finally:
            hook.remove()


class Rows:
    """Keys and values of all layers, written in place and read as views, never copied.

    transformers' caches concatenate, which copies the picture's keys and values at every step:
    1.3 GB of memory traffic a token for the 17B model.
    """

    def __init__(self, capacity: int):
        self.length = 0
        self.layers: list[tuple[Tensor, Tensor]] = []
        self._capacity = capacity

    def get_seq_length(self) -> int:
        """Tokens that are cached, under the name that transformers asks for."""
        return self.length

    def update(self, keys: Tensor, values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Take in (B, heads, T, head_dim) of a layer; all of its keys and values so far."""
        if layer == 0:
            self._start = self.length
            self.length += keys.shape[2]
        if layer == len(self.layers):
            self.layers.append((self._buffer(keys), self._buffer(values)))
        if self.length > self.layers[layer][0].shape[2]:
            # not doubled: these are the largest buffers after the weights
            self._capacity = max(self._capacity, self.length + ROOM)
            old = self.layers[layer]
            self.layers[layer] = (self._buffer(keys), self._buffer(values))
            for new, before in zip(self.layers[layer], old, strict=True):
                new[:, :, : self._start] = before[:, :, : self._start]
        own = self.layers[layer]
        for buffer, rows in zip(own, (keys, values), strict=True):
            buffer[:, :, self._start : self.length] = rows
        return own[0][:, :, : self.length], own[1][:, :, : self.length]

    def _buffer(self, like: Tensor) -> Tensor:
        batch, heads, _, width = like.shape
        return like.new_empty(batch, heads, max(self._capacity, self.length), width)
