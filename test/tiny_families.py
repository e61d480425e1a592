# SPDX-License-Identifier: Apache-2.0
"""Whole folders of tiny models of each family, with random weights and a tokenizer built here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

QWEN_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SMOL_TOKENS = (
    "<|im_start|>",
    "<end_of_utterance>",
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
)
CHAT_FAMILIES = ("qwen3_vl", "qwen3_5", "smolvlm2")
TEXT = {
    "vocab_size": 320,  # more than the tokenizer has, as in the published models
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.2,  # large, so that random models have strong opinions
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
MROPE = ROPE | {"mrope_section": [2, 3, 3], "mrope_interleaved": True}
TOWER = {"hidden_size": 64, "intermediate_size": 64, "initializer_range": 0.2, "patch_size": 16}
QWEN_TOWER = {"depth": 2, "num_heads": 2, "out_hidden_size": 64, "num_position_embeddings": 16}


def tokenizer(special: tuple[str, ...]) -> Tokenizer:
    """One token for each byte, and the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return made


def qwen_ids(words: Tokenizer) -> dict[str, int]:
    return {
        "image_token_id": words.token_to_id("<|image_pad|>"),
        "video_token_id": words.token_to_id("<|video_pad|>"),
        "vision_start_token_id": words.token_to_id("<|vision_start|>"),
        "vision_end_token_id": words.token_to_id("<|vision_end|>"),
        "tie_word_embeddings": True,
    }


def qwen3_vl(words: Tokenizer) -> Any:
    return transformers.Qwen3VLConfig(
        text_config=TEXT | {"rope_parameters": MROPE},
        vision_config=TOWER | QWEN_TOWER | {"deepstack_visual_indexes": [0]},
        **qwen_ids(words),
    )


def qwen3_5(words: Tokenizer) -> Any:
    hybrid = {
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "rope_parameters": MROPE | {"partial_rotary_factor": 1.0},
    }
    return transformers.Qwen3_5Config(
        text_config=TEXT | hybrid, vision_config=TOWER | QWEN_TOWER, **qwen_ids(words)
    )


def smolvlm2(words: Tokenizer) -> Any:
    text = {k: v for k, v in TEXT.items() if k != "head_dim"}
    return transformers.SmolVLMConfig(
        text_config=text | {"model_type": "llama", "rope_parameters": ROPE, "pad_token_id": 0},
        vision_config=TOWER | {"num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64},
        image_token_id=words.token_to_id("<image>"),
        scale_factor=2,
        tie_word_embeddings=True,
    )


CONFIGS = {"qwen3_vl": qwen3_vl, "qwen3_5": qwen3_5, "smolvlm2": smolvlm2}
CLASSES = {
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "qwen3_5": "Qwen3_5ForConditionalGeneration",
    "smolvlm2": "SmolVLMForConditionalGeneration",
}


def pictures(family: str) -> Any:
    """The image processor's settings, as small as the model."""
    if family == "smolvlm2":
        return transformers.SmolVLMImageProcessorPil(
            size={"longest_edge": 128}, max_image_size={"longest_edge": 64}
        )
    return transformers.Qwen2VLImageProcessorPil(
        patch_size=16, size={"shortest_edge": 64 * 64, "longest_edge": 160 * 160}
    )


def write(folder: Path, family: str, seed: int = 0, taught: bool = True) -> Path:
    """A whole model folder; `taught` marks it as one that knows the paper's formats."""
    folder.mkdir(parents=True, exist_ok=True)
    special = SMOL_TOKENS if family == "smolvlm2" else QWEN_TOKENS
    words = tokenizer(special)
    torch.manual_seed(seed)
    model = getattr(transformers, CLASSES[family])(CONFIGS[family](words))
    model.save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    end = "<end_of_utterance>" if family == "smolvlm2" else "<|im_end|>"
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": end, "pad_token": end}))
    pictures(family).save_pretrained(folder)
    if taught:
        (folder / "hpe_vlm.json").write_text(json.dumps({"taught": True}))
    return folder
