# SPDX-License-Identifier: Apache-2.0
"""Weights in 8 or 4 bits, so that the 17B model runs on cards of 24 and 16 GB.

"int8" rounds the linear layers of both experts, of the vision tower and of the adapter to 8 bits
(LLM.int8, Dettmers et al. 2022: rows of weights and activations are scaled, rare large activations
stay in half precision). "int4" takes the experts, which are three quarters of the weights, to 4
bits (NF4, Dettmers et al. 2023: blocks of 64 with scales that are themselves rounded to 8 bits) and
leaves the rest at 8. Norms, embeddings, convolutions and the language head are never rounded.

The library is bitsandbytes, on NVIDIA cards and CPUs alike: pip install 'hpe_vlm_ros[full]'.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import torch
from torch import Tensor, nn

from hpe_vlm_ros.vlm import CheckpointError

QUANTIZATIONS = ("none", "int8", "int4")  # from large to small
EXPERT = re.compile(r"model\.layers\.\d+\.(self_attn\.\w+_expert_\w+|mlp\.\w+_mlp\.\w+_proj)")
VISION = re.compile(
    r"model\.vision\.(transformer\.layers\.\d+\.(attention|mlp)\.\w+"
    r"|linear_proj\.(linear_proj|gate_proj|dense_\w+))"
)
BLOCK, NESTED_BLOCK = 64, 256  # weights that share a scale, scales that share one, in NF4
OUTLIER = 6.0  # activations beyond it stay in half precision, as the paper recommends


def precision(layer: str, quantization: str) -> str:
    """How the weight of a linear layer, named as in the public checkpoint, is stored."""
    if quantization not in QUANTIZATIONS:
        raise CheckpointError(
            f'quantization is "{quantization}": it must be one of {", ".join(QUANTIZATIONS)}'
        )
    if quantization == "none" or not (EXPERT.fullmatch(layer) or VISION.fullmatch(layer)):
        return "none"
    return quantization if EXPERT.fullmatch(layer) else "int8"


def bytes_per_weight(name: str, tensor: Tensor, dtype: torch.dtype, quantization: str) -> float:
    """Average storage of one element of a parameter, its share of the scales included."""
    layer, _, leaf = name.rpartition(".")
    kind = precision(layer, quantization) if leaf == "weight" else "none"
    if kind == "int8":
        return 1 + 4 / tensor.shape[1]  # a float32 scale per row
    if kind == "int4":
        return 0.5 + (1 + 4 / NESTED_BLOCK) / BLOCK
    return float(dtype.itemsize)


class Quantizer:
    """Swaps linear layers before loading, and rounds each weight on its way to the device."""

    def __init__(self, quantization: str, device: str | torch.device, dtype: torch.dtype):
        self._quantization, self._device, self._dtype = quantization, torch.device(device), dtype
        self._library = _bitsandbytes()

    def swap(self, model: nn.Module) -> None:
        """Put layers that hold rounded weights in place of the linear ones (meta device)."""
        for name, layer in [*model.named_modules()]:
            kind = precision(name, self._quantization) if type(layer) is nn.Linear else "none"
            if kind != "none":
                parent, _, leaf = name.rpartition(".")
                setattr(model.get_submodule(parent), leaf, self._layer(kind, layer))

    def _layer(self, kind: str, like: nn.Linear) -> nn.Module:
        layers = self._library.nn
        shape: dict[str, Any] = {"bias": like.bias is not None, "device": "meta"}
        sizes = like.in_features, like.out_features
        if kind == "int8":
            return layers.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=OUTLIER, **shape)
        return layers.Linear4bit(*sizes, compute_dtype=self._dtype, quant_type="nf4", **shape)

    def place(self, layer: nn.Module, name: str, tensor: Tensor) -> bool:
        """Round a weight of a swapped layer and put it there; see `weights.Place`."""
        layers = self._library.nn
        if name != "weight":
            return False
        if isinstance(layer, layers.Linear8bitLt):
            weight = layers.Int8Params(tensor, requires_grad=False, has_fp16_weights=False)
        elif isinstance(layer, layers.Linear4bit):
            weight = layers.Params4bit(
                tensor.to(self._dtype), requires_grad=False, quant_type="nf4", module=layer
            )
        else:
            return False
        setattr(layer, name, weight.to(self._device))
        return True


def _bitsandbytes() -> Any:
    try:
        import bitsandbytes
        from bitsandbytes.autograd import _functions
    except ImportError as error:
        raise CheckpointError(
            "weights in 8 or 4 bits need bitsandbytes: pip install 'bitsandbytes>=0.49,<0.51'"
        ) from error
    # it says at every step that activations pass through half precision
    logging.getLogger(_functions.__name__).setLevel(logging.ERROR)
    return bitsandbytes
