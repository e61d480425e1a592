# SPDX-License-Identifier: Apache-2.0
"""Tiny random models that exercise every path in milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hpe_vlm_ros.answers import DETECTION_PROMPT, format_angles, format_boxes, pose_prompt
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.backend import TorchBackend
from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def tiny_config() -> Callable[..., CogVLMConfig]:
    """Makes configs of some 100,000 parameters; vision fields go in `vision_config`."""

    def make(**fields: object) -> CogVLMConfig:
        vision = {
            "image_size": 32,
            "patch_size": 16,
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_heads": 3,
            "intermediate_size": 40,
            "initializer_range": 0.2,
        }
        vision.update(fields.pop("vision_config", {}))  # type: ignore[call-overload]
        defaults = {
            "vocab_size": 1280,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "initializer_range": 0.2,  # large, so that random models have strong opinions
        }
        return CogVLMConfig(vision_config=vision, **(defaults | fields))

    return make


@pytest.fixture
def tiny_engine(tiny_config: Callable[..., CogVLMConfig]) -> Callable[[int], Engine]:
    """Makes an engine with random weights from a seed."""

    def make(seed: int, **fields: object) -> Engine:
        torch.manual_seed(seed)
        model = CogVLMForCausalLM(tiny_config(**fields))
        return Engine(TorchBackend(model), CogVLMProcessor.embedded(model.config))

    return make


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


def digit_tokenizer(fused: bool) -> PreTrainedTokenizerFast:
    """One token per digit and merged brackets as in Llama; `fused` also merges the empty "[[]]"."""
    pieces = r"▁?\[\[|\]\.|\}\.|▁?\{|\}|[0-9]|▁?[A-Za-z]+|."
    if fused:
        pieces = r"▁\[(?=\[\])|\[\]|" + pieces
    split = pre_tokenizers.Split(Regex(pieces), behavior="isolated")
    box = (123, 456, 789, 876)
    texts = [DETECTION_PROMPT, pose_prompt(box), format_boxes([box, box]), format_boxes([])]
    texts += [format_angles(90, 10, 23), "0 1 2 3 4 5 6 7 8 9"]
    known = dict.fromkeys(["<pad>", "<s>", "</s>", "<unk>"])
    for text in texts:
        found = split.pre_tokenize_str("▁" + text.replace(" ", "▁"))
        known.update(dict.fromkeys(piece for piece, _ in found))
    vocabulary = {token: i for i, token in enumerate(known)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture(scope="session")
def digit_tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    return {"digits": digit_tokenizer(False), "digits, fused brackets": digit_tokenizer(True)}
