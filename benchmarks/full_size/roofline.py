# SPDX-License-Identifier: Apache-2.0
"""How fast a card could run CogVLM at best: work counted from the configuration, over its peaks.

Each forward takes at least the longer of two times: its floating-point operations at the card's
peak, and its bytes (weights read once, keys and values read and written) at the memory's bandwidth.
Operations: 2 per weight and token, 4 per pair of attending tokens and feature. Weights that a
forward does not use are not counted: text passes the language expert only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.pytorch.quantization import bytes_per_weight

# dense bfloat16 operations per second and bytes per second, from the makers' data sheets
CARDS = {
    "B200": (2250e12, 8000e9),
    "H200": (989e12, 4800e9),
    "H100 PCIe": (756e12, 2000e9),
    "H100": (989e12, 3350e9),
    "A100-SXM4-80GB": (312e12, 2039e9),
    "A100": (312e12, 1555e9),
    "L40S": (362e12, 864e9),
    "L4": (121e12, 300e9),
    "RTX 4090": (165e12, 1008e9),
    "RTX 3090": (71e12, 936e9),
}


@dataclass(frozen=True)
class Card:
    """Peaks: floating-point operations and bytes, per second."""

    flops: float
    bandwidth: float

    def seconds(self, work: Work) -> float:
        return max(work.flops / self.flops, work.bytes / self.bandwidth)


@dataclass(frozen=True)
class Work:
    """Of one forward."""

    flops: float
    bytes: float


def card_called(name: str) -> Card | None:
    """The card whose name occurs in this one, the longest such; None if none does."""
    found = [key for key in CARDS if key.lower() in name.lower().replace("_", " ")]
    return Card(*CARDS[max(found, key=len)]) if found else None


class Counter:
    """Counts the work of a model's forwards; the model may be on the meta device."""

    def __init__(
        self, model: nn.Module, config: CogVLMConfig, dtype: torch.dtype, quantization: str
    ):
        self._config, self._dtype = config, dtype
        self._weights: dict[str, int] = {}
        self._bytes: dict[str, float] = {}
        for name, tensor in model.named_parameters():
            part = _part(name)
            size = tensor.numel() * bytes_per_weight(name, tensor, dtype, quantization)
            self._weights[part] = self._weights.get(part, 0) + tensor.numel()
            self._bytes[part] = self._bytes.get(part, 0.0) + size

    def vision(self) -> Work:
        """The tower and the adapter."""
        vision = self._config.vision_config
        tokens = vision.grid_size**2 + 1
        pairs = 4 * tokens**2 * vision.hidden_size * vision.num_hidden_layers
        return Work(2 * self._weights["tower"] * tokens + pairs, self._bytes["tower"])

    def prefix(self) -> Work:
        """The decoder over the picture: the visual expert, and for two tokens the other one."""
        tokens = self._config.num_image_tokens + 1
        work = 2 * (self._weights["visual"] * (tokens - 2) + self._weights["language"] * 2)
        size = self._bytes["visual"] + self._bytes["language"] + self._cache(tokens)
        return Work(work + self._attention(tokens, 0), size)

    def text(self, tokens: int, past: int, logits: int) -> Work:
        """The language expert over some tokens behind `past` cached ones."""
        work = 2 * (self._weights["language"] * tokens + self._weights["head"] * logits)
        size = self._bytes["language"] + self._bytes["head"] + self._cache(past + tokens)
        return Work(work + self._attention(tokens, past), size)

    def _attention(self, tokens: int, past: int) -> float:
        pairs = tokens * past + tokens * (tokens + 1) / 2
        return 4 * pairs * self._config.hidden_size * self._config.num_hidden_layers

    def _cache(self, tokens: int) -> float:
        config = self._config
        return 2 * config.num_hidden_layers * tokens * config.hidden_size * self._dtype.itemsize


def _part(name: str) -> str:
    if name.startswith("model.vision."):
        return "tower"
    if "vision_expert" in name or "vision_mlp" in name:
        return "visual"
    if name.startswith("lm_head."):
        return "head"
    return "rows" if name.startswith("model.embed_tokens.") else "language"


def least_seconds(card: Card | None, works: Sequence[Work]) -> float | None:
    """Of forwards one after the other; None for an unknown card."""
    return None if card is None else sum(card.seconds(work) for work in works)
