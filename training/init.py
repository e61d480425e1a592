# SPDX-License-Identifier: Apache-2.0
"""Starting weights for a small model that must learn from little data.

A thousand number tokens with unrelated random vectors would have to learn the number line from
examples. Here neighbours start out alike: their input and output vectors are random projections
of smooth waves over n/1000 (coordinates) and over n/360 (angles, which come full circle).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hpe_vlm_ros.vlm.modeling import CogVLMForCausalLM

LINE_FREQUENCIES = 0.5 * 2.0 ** (torch.arange(17) / 2)  # 0.5 .. 128 cycles over 0..999
CIRCLE_FREQUENCIES = torch.tensor([1.0, 2, 3, 4, 6, 8, 12, 16, 24])  # whole turns over 0..359


def waves(phase: Tensor, frequencies: Tensor) -> Tensor:
    """(n, 2f) sines and cosines, quieter with frequency so that near numbers stay near."""
    angle = 2 * math.pi * phase[:, None] * frequencies
    return torch.cat((angle.sin(), angle.cos()), dim=1) * frequencies.repeat(2) ** -0.5


def number_features(width: int, std: float, generator: torch.Generator | None = None) -> Tensor:
    """(1000, width) smooth vectors of the numbers 0..999 with the given standard deviation."""
    n = torch.arange(1000, dtype=torch.float32)
    features = torch.cat((waves(n / 1000, LINE_FREQUENCIES), waves(n / 360, CIRCLE_FREQUENCIES)), 1)
    mixed = features @ torch.randn(features.shape[1], width, generator=generator)
    return mixed / mixed.std() * std


def grid_features(side: int, width: int) -> Tensor:
    """(side * side, width) two-dimensional sine-cosine position features, as in DETR and MAE."""
    quarter = width // 4
    frequency = 10000.0 ** (-torch.arange(quarter) / quarter)
    # a full wave over the picture at the lowest useful frequency
    place = torch.arange(side, dtype=torch.float32) / side * 2 * math.pi * 8
    angle = place[:, None] * frequency
    axis = torch.cat((angle.sin(), angle.cos()), dim=1)
    rows = axis[:, None].expand(side, side, -1)
    columns = axis[None].expand(side, side, -1)
    out = torch.zeros(side * side, width)
    out[:, : 4 * quarter] = torch.cat((rows, columns), dim=2).reshape(side * side, -1)
    return out


@torch.no_grad()
def init_number_embeddings(
    model: CogVLMForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    std: float | None = None,
    branch_gain: float = 0.25,
    generator: torch.Generator | None = None,
) -> None:
    """Give number tokens, image positions and ViT branches a good start, in place.

    `std` is the scale of number vectors (default: the config's initializer_range). `branch_gain`
    is the initial weight of the vision layers' output norms, small as in Swin V2, so that the
    stem's features are not drowned by untrained branches.
    """
    config = model.config
    ids = torch.tensor(tokenizer.convert_tokens_to_ids([f"{n:03d}" for n in range(1000)]))
    unknown = tokenizer.unk_token_id
    if len(set(ids.tolist())) != 1000 or (unknown is not None and unknown in ids):
        raise ValueError("the tokenizer must have the 1000 tokens 000..999")
    scale = config.initializer_range if std is None else std
    vectors = number_features(config.hidden_size, scale, generator)
    model.model.embed_tokens.weight[ids] = vectors.to(model.model.embed_tokens.weight)
    model.lm_head.weight[ids] = vectors.to(model.lm_head.weight)

    vision = model.model.vision
    positions = vision.patch_embedding.position_embedding.weight
    positions[1:] = grid_features(config.vision_config.grid_size, positions.shape[1]).to(positions)
    for layer in vision.transformer.layers:
        layer.input_layernorm.weight.fill_(branch_gain)
        layer.post_attention_layernorm.weight.fill_(branch_gain)
