# SPDX-License-Identifier: Apache-2.0
"""Folders like that of the public cogvlm-grounding-generalist-hf, with random weights.

Names, shapes, shards and index follow the public checkpoint's description (the table of
test_public_names), not our model class; depth is cut, and widths are too unless told otherwise.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from test_public_names import expected_17b

from benchmarks.llama_subset import llama_subset

# public size: small size
SMALL = {4096: 64, 12288: 192, 11008: 96, 1792: 48, 5376: 144, 15360: 80}
HEADS, VISION_HEADS = 4, 3


def public_config(
    sizes: dict[int, int], layers: int, vocabulary: int = 32000, image_size: int = 490
) -> dict[str, Any]:
    """config.json with the public file's fields."""
    remote = "modeling_cogvlm.CogVLMForCausalLM"
    small = bool(sizes)
    return {
        "architectures": ["CogVLMForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_cogvlm.CogVLMConfig",
            "AutoModelForCausalLM": remote,
        },
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": sizes.get(4096, 4096),
        "initializer_range": 0.02,
        "intermediate_size": sizes.get(11008, 11008),
        "max_position_embeddings": 2048,
        "num_attention_heads": HEADS if small else 32,
        "num_hidden_layers": layers,
        "pad_token_id": 0,
        "rms_norm_eps": 1e-05,
        "template_version": "base",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.35.0",
        "use_cache": True,
        "vision_config": {
            "dropout_prob": 0.0,
            "hidden_act": "gelu",
            "hidden_size": sizes.get(1792, 1792),
            "image_size": image_size,
            "in_channels": 3,
            "intermediate_size": sizes.get(15360, 15360),
            "layer_norm_eps": 1e-06,
            "num_heads": VISION_HEADS if small else 16,
            "num_hidden_layers": layers,
            "num_positions": (image_size // 14) ** 2 + 1,
            "patch_size": 14,
        },
        "vocab_size": vocabulary,
    }


def public_shapes(
    sizes: dict[int, int], layers: int, vocabulary: int = 32000, image_size: int = 490
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the public checkpoint's tensors, at reduced depth."""
    change = sizes | {32000: vocabulary, 1226: (image_size // 14) ** 2 + 1}
    found = {}
    for name, shape in expected_17b().items():
        number = re.search(r"layers\.(\d+)\.", name)
        if number is None or int(number[1]) < layers:
            found[name] = tuple(change.get(size, size) for size in shape)
    return found


def make_public_folder(
    folder: Path,
    sizes: dict[int, int] | None = None,
    layers: int = 2,
    shards: int = 3,
    vocabulary: int = 32000,
    image_size: int = 490,
) -> Path:
    """Write it; `sizes` {} keeps the public widths."""
    sizes = SMALL if sizes is None else sizes
    folder.mkdir()
    shapes = public_shapes(sizes, layers, vocabulary, image_size)
    files = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    names = sorted(shapes)
    index = {}
    for i, file in enumerate(files):
        mine = names[i * len(names) // shards : (i + 1) * len(names) // shards]
        save_file({name: _random(name, shapes[name]) for name in mine}, folder / file)
        index |= dict.fromkeys(mine, file)
    total = sum(2 * torch.Size(shape).numel() for shape in shapes.values())
    content = {"metadata": {"total_size": total}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))
    config = public_config(sizes, layers, vocabulary, image_size)
    (folder / "config.json").write_text(json.dumps(config))
    llama_subset().save_pretrained(folder)
    return folder


def _random(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    if "norm" in name:
        return torch.ones(shape, dtype=torch.bfloat16)
    return torch.randn(shape, dtype=torch.bfloat16) * 0.2
