# SPDX-License-Identifier: Apache-2.0
"""What does without transformers and PyTorch says the same as they do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from hpe_vlm_ros.answers import DETECTION_PROMPT, format_angles, format_boxes, pose_prompt
from hpe_vlm_ros.vlm import CheckpointError, model_folder
from hpe_vlm_ros.vlm.decoding.tokens import FileTokenizer
from hpe_vlm_ros.vlm.facts import ModelFacts
from hpe_vlm_ros.vlm.processing import CogVLMProcessor, ImageSettings
from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig, embedded
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer

BOX = (1, 20, 300, 999)
TEXTS = [DETECTION_PROMPT, pose_prompt(BOX), format_boxes([BOX, BOX]), format_boxes([])]
TEXTS += [format_angles(1, 2, 3), "Ünknown words, 12 digits  and   spaces?"]


def check_tokenizers(ours: FileTokenizer, theirs: PreTrainedTokenizerFast) -> None:
    assert len(ours) == len(theirs) and ours.get_vocab() == theirs.get_vocab()
    for role in ("bos", "eos", "pad", "unk"):
        assert getattr(ours, f"{role}_token_id") == getattr(theirs, f"{role}_token_id")
    for text in TEXTS:
        ids = ours.encode(text, add_special_tokens=False)
        assert ids == theirs.encode(text, add_special_tokens=False)
        for skip in (True, False):
            ended = [*ids, ours.eos_token_id]
            assert ours.decode(ended, skip) == theirs.decode(ended, skip_special_tokens=skip)
    names = ["000", "999", "no token"]
    assert ours.convert_tokens_to_ids(names) == theirs.convert_tokens_to_ids(names)


def test_tokenizer_files_are_read_and_written_as_by_transformers(
    tmp_path: Path, digit_tokenizers: dict
) -> None:
    build_tokenizer().save_pretrained(tmp_path)
    check_tokenizers(
        FileTokenizer.load(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)
    )
    for theirs in digit_tokenizers.values():
        theirs.save_pretrained(tmp_path)
        check_tokenizers(FileTokenizer.load(tmp_path), theirs)


def test_special_tokens_come_from_either_file(tmp_path: Path) -> None:
    build_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert FileTokenizer.load(tmp_path).eos_token_id is None
    content = {"eos_token": {"content": "</s>", "lstrip": False}}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(content))
    assert FileTokenizer.load(tmp_path).eos_token_id == 2


def test_facts_are_those_of_the_config(tmp_path: Path) -> None:
    public = CogVLMConfig(vision_config={})
    assert ModelFacts.read({}) == ModelFacts() == ModelFacts.of(public)
    ours = embedded(min_score=0.25, number_decoding="expected", head_shape={"diameter": 0.3})
    ours.save_pretrained(tmp_path)
    facts = model_folder.load_facts(tmp_path)
    assert facts == ModelFacts.of(ours) != ModelFacts()
    for config in (public, ours):
        assert ModelFacts.of(config).num_image_tokens == config.num_image_tokens
    assert {field.name for field in fields(facts)} > {"vocab_size", "image_size"}
    (tmp_path / "config.json").write_text('{"number_decoding": "guess"}')
    with pytest.raises(CheckpointError, match="config.json: number_decoding is 'guess'"):
        model_folder.load_facts(tmp_path)


def test_pixels_are_pytorchs_to_the_last_bit(tiny_config: Callable[..., CogVLMConfig]) -> None:
    processor = CogVLMProcessor.embedded(tiny_config())
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    resized = torch.from_numpy(processor.images.resize(image)).permute(2, 0, 1).float() / 255
    mean, std = (
        torch.tensor(v)[:, None, None]
        for v in (processor.images.image_mean, processor.images.image_std)
    )
    assert torch.equal(processor.image_tensor(image), (resized - mean) / std)
    assert ImageSettings().pixels(image).dtype == np.float32
