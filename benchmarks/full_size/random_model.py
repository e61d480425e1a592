# SPDX-License-Identifier: Apache-2.0
"""CogVLM with random weights, which take as long as true ones, in any size and precision."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.llama_subset import llama_subset
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.decoding.grammar import Choice, Kind
from hpe_vlm_ros.vlm.processing import CogVLMProcessor, ImageSettings
from hpe_vlm_ros.vlm.pytorch import memory
from hpe_vlm_ros.vlm.pytorch.backend import TorchBackend
from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.pytorch.quantization import Quantizer

POOL = 1 << 22  # random numbers, repeated as often as it takes: drawing 17 billion takes minutes
DEVIATION = 0.02


def cogvlm_config(layers: int | None = None, scale: int = 1, image_size: int = 490) -> CogVLMConfig:
    """The public 17B model's, or with fewer layers and all widths divided by about `scale`."""
    heads, vision_heads = max(1, 32 // scale), max(1, 16 // scale)
    vision = {
        "hidden_size": 112 * vision_heads,
        "num_heads": vision_heads,
        "intermediate_size": max(64, 15360 // scale),
        "num_hidden_layers": 63 if layers is None else layers,
        "image_size": image_size,
    }
    return CogVLMConfig(
        vision_config=vision,
        hidden_size=128 * heads,
        num_attention_heads=heads,
        intermediate_size=max(64, 11008 // scale // 64 * 64),
        num_hidden_layers=32 if layers is None else layers,
    )


def random_engine(
    config: CogVLMConfig, device: str, dtype: torch.dtype, quantization: str = "none"
) -> Engine:
    """An engine on `device`; CheckpointError if it does not fit there."""
    with torch.device("meta"):
        model = CogVLMForCausalLM(config)
    memory.check(model, config, device, dtype, quantization)
    _fill(model, device, dtype, quantization)
    images = ImageSettings(image_size=config.vision_config.image_size)
    return Engine(TorchBackend(model.eval()), CogVLMProcessor(llama_subset(), config, images))


def _fill(model: CogVLMForCausalLM, device: str, dtype: torch.dtype, quantization: str) -> None:
    quantizer = None
    if quantization != "none":
        quantizer = Quantizer(quantization, device, dtype)
        quantizer.swap(model)
    generator = torch.Generator().manual_seed(0)
    pool = (torch.randn(POOL, generator=generator) * DEVIATION).to(dtype)
    on_device = pool.to(device)
    for name, parameter in [*model.named_parameters()]:
        path, _, leaf = name.rpartition(".")
        module = model.get_submodule(path)
        if "norm" in path and leaf == "weight":
            value = torch.ones(parameter.shape, dtype=dtype, device=device)
        else:
            # the library rounds weights only on their way from the host
            rounds = _swapped(module, leaf)
            value = _repeated(pool if rounds else on_device, parameter.shape)
            if quantizer is not None and quantizer.place(module, leaf, value):
                continue
        setattr(module, leaf, torch.nn.Parameter(value.to(device), requires_grad=False))


def _swapped(module: torch.nn.Module, leaf: str) -> bool:
    return leaf == "weight" and type(module).__module__.startswith("bitsandbytes")


def _repeated(pool: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    count = shape.numel()
    return pool.repeat(-(-count // len(pool)))[:count].view(shape)


def always_another(choice: Choice, probabilities: np.ndarray) -> int:
    """Picks the likeliest number, and another head as long as the grammar allows one."""
    if choice.kind is Kind.MORE:
        return 0
    return int(probabilities[: len(choice.tokens)].argmax())
