# SPDX-License-Identifier: Apache-2.0
"""Starting weights for a small model that must learn from little data.

A thousand number tokens with unrelated random vectors would have to learn the number line from
examples. Here neighbours start out alike: their input and output vectors are random projections
of smooth waves over n/1000 (coordinates) and over n/360 (angles, which come full circle).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hpe_vlm_ros.vlm.families.loading import chat_family
from hpe_vlm_ros.vlm.families.processing import ChatProcessor
from hpe_vlm_ros.vlm.hub import find_model
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer

from .chat import chat_model
from .pretrained_stem import load_imagenet

LINE_FREQUENCIES = 0.5 * 2.0 ** (torch.arange(17) / 2)  # 0.5 .. 128 cycles over 0..999
CIRCLE_FREQUENCIES = torch.tensor([1.0, 2, 3, 4, 6, 8, 12, 16, 24])  # whole turns over 0..359


def waves(phase: Tensor, frequencies: Tensor) -> Tensor:
    """(n, 2f) sines and cosines of phases (n,), in turns, at frequencies (f,) in periods a turn;
    quieter with frequency so that near numbers stay near."""
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


def place_vectors(numbers: Tensor, side: int) -> Tensor:
    """(side * side, width) vectors of patch centres, from the vectors (1000, width) of their
    coordinates.

    A patch at (x, y) is the vector of x plus a fixed rotation of the vector of y, so that box
    numbers in a question and patches of the picture match from the start.
    """
    centres = ((torch.arange(side) + 0.5) / side * 1000).long()
    columns = numbers[centres]
    rows = numbers[centres].roll(numbers.shape[1] // 2, dims=1)
    return (rows[:, None] + columns[None]).flatten(0, 1)


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
    if vision.decoder_positions is not None:
        side = config.vision_config.grid_size // config.vision_config.merge_size
        vision.decoder_positions[0] = place_vectors(vectors, side).to(vision.decoder_positions)
    positions = vision.patch_embedding.position_embedding.weight
    positions[1:] = grid_features(config.vision_config.grid_size, positions.shape[1]).to(positions)
    for layer in vision.transformer.layers:
        layer.input_layernorm.weight.fill_(branch_gain)
        layer.post_attention_layernorm.weight.fill_(branch_gain)


def new_embedded_model(image_size: int) -> tuple[CogVLMForCausalLM, CogVLMProcessor]:
    """An untrained embedded model for pictures of `image_size`, its stem with ImageNet weights."""
    config = embedded(vision_config={"image_size": image_size})
    processor = CogVLMProcessor.embedded(config)
    model = CogVLMForCausalLM(config)
    load_imagenet(model.model.vision.patch_embedding.proj)
    init_number_embeddings(model, processor.tokenizer)
    # convolutions on a CPU are several times faster with channels last
    return model.to(memory_format=torch.channels_last), processor


def add_words(processor: CogVLMProcessor) -> None:
    """Give a processor the words that the closed vocabulary has got since it was made, in the place
    of spare ones, so that further tasks can be asked about; other vocabularies stay as they are."""
    newest = build_tokenizer()
    known, more = processor.tokenizer.get_vocab(), newest.get_vocab()
    spare = {index for word, index in known.items() if word.startswith("<spare_")}
    if spare and all(more.get(word) == n for word, n in known.items() if n not in spare):
        processor.tokenizer = newest


def trained_model(
    folder: Path, quantization: str = "none"
) -> tuple[Any, CogVLMProcessor | ChatProcessor]:
    """Weights and processor of a model of any family, to be trained further: of a folder, or of a
    name on the hub that is in the cache (`python -m hpe_vlm_ros download`).

    `quantization` int8 or int4 rounds the base under the adapters, of other families than CogVLM.
    """
    folder = find_model(folder)
    family = chat_family(folder)
    if family is not None:
        return chat_model(folder, family, quantization)
    if quantization != "none":
        raise ValueError("CogVLM is trained without rounding: leave --quantization out")
    processor = checkpoint.load_processor(folder, checkpoint.load_config(folder))
    add_words(processor)
    model = checkpoint.load_model(folder, "cpu").requires_grad_(True)
    return model.to(memory_format=torch.channels_last), processor
