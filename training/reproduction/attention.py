# SPDX-License-Identifier: Apache-2.0
"""Where a model looks in the image while it names the angles of a head in a box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpe_vlm_ros.vlm.model_folder import default_folder
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.language import Attention, rotate
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

from ..data.augment import render_view
from ..data.packing import Batch, pack
from ..data.prompts import PackingOptions, build_prompts
from ..data.sample import Head, Sample
from ..model.init import trained_model

ASKED = PackingOptions(min_size=0.0, min_visible=0.0, max_poses=1, box_jitter=0.0, detection=False)


def attention_maps(folder: Path | None, sample: Sample, heads: list[Head]) -> list[np.ndarray]:
    """For each head the attention on the image's patches (rows, columns), sum 1.

    From the tokens that decide each word of the answer, mean over layers, heads and tokens.
    """
    model, processor = trained_model(default_folder() if folder is None else folder)
    return [attention_map(model.eval(), processor, sample, head) for head in heads]


@torch.no_grad()
def attention_map(
    model: CogVLMForCausalLM, processor: CogVLMProcessor, sample: Sample, head: Head
) -> np.ndarray:
    """`attention_maps` of one head, its true answer given."""
    vision = model.config.vision_config
    size = (vision.image_size,) * 2
    alone = Sample(sample.image_path, sample.width, sample.height, sample.focal, [head])
    view, heads = render_view(alone, sample.load(), size)
    rng = np.random.default_rng(0)
    prompts = build_prompts(heads, size, processor.tokenizer, ASKED, rng)
    batch = pack(
        [processor.image_tensor(view)],
        [prompts],
        [heads],
        [True],
        model.config.num_image_tokens,
        processor.tokenizer,
    )
    weights = _weights(model, batch)
    side = vision.grid_size // vision.merge_size
    patches = weights[2 : 2 + side * side]  # after BOS and begin-of-image
    return (patches / patches.sum()).view(side, side).numpy()


def _weights(model: CogVLMForCausalLM, batch: Batch) -> torch.Tensor:
    """Attention (T,) from the tokens that decide the answer, mean over layers and heads."""
    kept: dict[int, tuple[Any, ...]] = {}
    hooks = [
        layer.self_attn.register_forward_pre_hook(
            lambda module, inputs, index=index: kept.update({index: inputs})
        )
        for index, layer in enumerate(model.model.layers)
    ]
    model.model(**batch.inputs(), use_cache=False)
    for hook in hooks:
        hook.remove()
    deciding = (batch.targets[0] >= 0).nonzero()[:, 0]
    allowed = batch.attention_mask()[0, 0, deciding]
    layers = model.model.layers
    maps = [_layer(layers[i].self_attn, inputs, deciding, allowed) for i, inputs in kept.items()]
    return torch.stack(maps).mean(0)


def _layer(
    attention: Attention, inputs: tuple[Any, ...], deciding: torch.Tensor, allowed: torch.Tensor
) -> torch.Tensor:
    x, routing, rotation = inputs[:3]
    width = x.shape[-1]
    language = attention.language_expert_query_key_value.weight
    vision = attention.vision_expert_query_key_value.weight

    def part(start: int) -> torch.Tensor:
        """Queries (start 0) or keys (start = width), (heads, T, head_dim)."""
        rows = slice(start, start + width)
        y = routing(x, lambda t: t @ language[rows].T, lambda t: t @ vision[rows].T)
        y = y.view(*x.shape[:2], -1, attention.head_dim).transpose(1, 2)
        return rotate(y, rotation)[0]

    scores = part(0)[:, deciding] @ part(width).transpose(1, 2) * attention.head_dim**-0.5
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1).mean((0, 1))
