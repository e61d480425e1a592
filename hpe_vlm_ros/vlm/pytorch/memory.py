# SPDX-License-Identifier: Apache-2.0
"""How much memory a model takes, before a byte of it is read.

The weights are counted exactly, from the shapes. Beside them stand the keys and values of one frame
with all its questions, and an allowance for what a layer computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hpe_vlm_ros.vlm import CheckpointError

from .configuration import CogVLMConfig
from .quantization import QUANTIZATIONS, bytes_per_weight

# Tokens that questions add to the cache, by the Llama tokenizer: detection and its boxes, or the
# poses of all heads, each a prompt, its answer and the tree of an angle's digits; room to grow.
DETECTION_TOKENS, BOX_TOKENS, HEAD_TOKENS, ROOM = 31, 16, 54 + 40, 256
GB = 1e9


@dataclass(frozen=True)
class Needs:
    """Bytes: weights, keys and values of one frame, and passing results."""

    weights: int
    cache: int
    work: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.work


def needs(
    model: nn.Module,
    config: CogVLMConfig,
    dtype: torch.dtype,
    quantization: str = "none",
    max_heads: int = 20,
) -> Needs:
    """What `model` (may be on the meta device, not yet quantised) takes in `dtype`."""
    parameters = model.named_parameters()
    weights = sum(
        tensor.numel() * bytes_per_weight(name, tensor, dtype, quantization)
        for name, tensor in parameters
    )
    image = config.num_image_tokens + 1
    questions = max(DETECTION_TOKENS + BOX_TOKENS * max_heads, HEAD_TOKENS * max_heads)
    tokens = image + questions + ROOM
    cache = 2 * config.num_hidden_layers * tokens * config.hidden_size * dtype.itemsize
    vision = config.vision_config
    # inputs and outputs of one MLP, twice, since the allocator keeps what was freed
    decoder = image * (3 * config.intermediate_size + 6 * config.hidden_size)
    tower = vision.grid_size**2 * (2 * vision.intermediate_size + 6 * vision.hidden_size)
    largest = max(tensor.numel() for tensor in model.parameters())  # while it is converted
    work = max(2 * max(decoder, tower), 2 * largest) * dtype.itemsize
    return Needs(round(weights), cache, work)


def available(device: str | torch.device) -> int | None:
    """Free bytes on a device; None where that cannot be known."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "cpu":
        return _host_memory()
    return None


def _host_memory() -> int | None:
    """What Linux thinks can be had without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def check(
    model: nn.Module,
    config: CogVLMConfig,
    device: str | torch.device,
    dtype: torch.dtype,
    quantization: str = "none",
) -> None:
    """CheckpointError, with what would help, if the model does not fit on the device."""
    free = available(device)
    wanted = needs(model, config, dtype, quantization)
    if free is None or wanted.total <= free:
        return
    smaller = list(QUANTIZATIONS[QUANTIZATIONS.index(quantization) + 1 :])
    options = {q: needs(model, config, dtype, q).total for q in smaller}
    remedies = [
        f'quantization "{q}" ({total / GB:.1f} GB)' for q, total in options.items() if total <= free
    ]
    remedies += ["another device", "stopping what else uses this one"]
    raise CheckpointError(
        f"the model needs {wanted.total / GB:.1f} GB on {device} ({wanted.weights / GB:.1f} "
        f"weights, {wanted.cache / GB:.1f} keys and values, {wanted.work / GB:.1f} passing "
        f"results), but {free / GB:.1f} GB are free: try {', '.join(remedies[:-1])} or "
        f"{remedies[-1]}"
    )
