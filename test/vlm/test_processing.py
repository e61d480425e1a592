# SPDX-License-Identifier: Apache-2.0
"""Closed vocabulary and image preparation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpe_vlm_ros.answers import DETECTION_PROMPT, format_angles, format_boxes, pose_prompt
from hpe_vlm_ros.vlm.processing import CogVLMProcessor, ImageSettings
from hpe_vlm_ros.vlm.pytorch.checkpoint import load_processor
from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.vocabulary import (
    NUMBERS,
    TEMPLATES,
    VOCABULARY_SIZE,
    WORDS,
    build_tokenizer,
    build_vocabulary,
)

TOKENIZER = build_tokenizer()
span = st.tuples(st.integers(0, 998), st.integers(1, 999)).map(
    lambda p: (min(p), max(p)) if p[0] != p[1] else (p[0], p[0] + 1)
)
box = st.tuples(span, span).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))
angle = st.floats(-1000, 1000)


def encode(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False)


@settings(deadline=None, max_examples=30)
@given(st.lists(box, max_size=6), angle, angle, angle)
def test_prompts_and_answers_round_trip(boxes: list, yaw: float, pitch: float, roll: float) -> None:
    prompts = [DETECTION_PROMPT, *map(pose_prompt, boxes)]
    for text in (*prompts, format_boxes(boxes), format_angles(yaw, pitch, roll)):
        ids = encode(text)
        assert TOKENIZER.unk_token_id not in ids
        assert TOKENIZER.decode(ids) == text


def test_one_token_per_number_and_per_mark() -> None:
    tokens = {number: token for token, number in TOKENIZER.get_vocab().items()}
    pieces = [tokens[i] for i in encode(format_boxes([(1, 20, 300, 999)]))]
    assert pieces[-10:] == ["▁[[", "001", ",", "020", ",", "300", ",", "999", "]]", "."]
    assert len(encode(format_angles(1, 2, 3))) == 13


def test_vocabulary_is_stable_and_has_room() -> None:
    tokens = build_vocabulary()
    assert len(tokens) == len(set(tokens)) == VOCABULARY_SIZE == len(TOKENIZER)
    assert tokens[:4] == ["<pad>", "<s>", "</s>", "<unk>"]
    assert tuple(tokens[4:1004]) == NUMBERS
    assert sum(token.startswith("<spare") for token in tokens) >= 30
    for text in (*TEMPLATES, "Where is the second person from the left with a red hat?"):
        assert (TOKENIZER.unk_token_id in encode(text)) == ("from" in text)
    assert all(f"▁{word}" in tokens for word in WORDS)


def test_bicubic_is_the_antialiased_one() -> None:
    """Against a direct evaluation of the cubic kernel (a = -0.5) stretched for shrinking."""
    image = np.random.default_rng(1).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    got = ImageSettings(image_size=20).resize(image).astype(float)

    def weights(size: int, target: int) -> np.ndarray:
        scale = size / target
        centres = (np.arange(target) + 0.5) * scale
        t = np.abs((np.arange(size) + 0.5 - centres[:, None]) / scale)
        inner = 1.5 * t**3 - 2.5 * t**2 + 1
        outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        kernel = np.where(t < 1, inner, np.where(t < 2, outer, 0))
        return kernel / kernel.sum(1, keepdims=True)

    rows = np.einsum("ih,hwc->iwc", weights(48, 20), image.astype(float))
    expected = np.einsum("jw,iwc->ijc", weights(60, 20), rows).clip(0, 255)
    assert np.abs(got - expected).max() <= 2
    assert np.abs(got - expected).mean() < 0.5


@pytest.mark.parametrize("resample", ["area", "bicubic"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 500, 3), (64, 64, 3), (32, 32, 3)])
def test_any_size_becomes_normalised_pixels(resample: str, shape: tuple[int, ...]) -> None:
    settings_ = ImageSettings(32, (0.5, 0.5, 0.25), (0.5, 0.25, 0.5), resample)
    image = np.broadcast_to(np.array([255, 0, 51], np.uint8), shape)
    pixels = settings_.pixels(image)
    assert pixels.shape == (3, 32, 32)
    np.testing.assert_allclose(pixels[:, 16, 16], [1.0, -2.0, -0.1], atol=1e-6)
    np.testing.assert_allclose(pixels[:, 0, 31], [1.0, -2.0, -0.1], atol=1e-6)


def test_image_is_not_changed_in_place() -> None:
    image = np.full((32, 32, 3), 100, np.uint8)
    ImageSettings(32, resample="area").pixels(image)
    assert (image == 100).all()


def test_processor_builds_the_sequence(tiny_config: Callable[..., CogVLMConfig]) -> None:
    processor = CogVLMProcessor.embedded(tiny_config())
    image = np.zeros((10, 10, 3), np.uint8)
    batch = processor(image, DETECTION_PROMPT)
    assert batch["pixel_values"].shape == (1, 3, 32, 32)
    assert batch["token_type_ids"][0, :9].tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert batch["position_ids"][0, :9].tolist() == [0, 1, 2, 2, 2, 2, 3, 4, 5]
    assert batch["input_ids"][0, 0] == 1
    assert processor.decode(batch["input_ids"][0, 7:]) == DETECTION_PROMPT


def test_processor_saves_and_loads(
    tiny_config: Callable[..., CogVLMConfig], tmp_path: Path
) -> None:
    config = tiny_config()
    processor = CogVLMProcessor.embedded(config)
    processor.save_pretrained(tmp_path)
    loaded = load_processor(tmp_path, config)
    assert loaded.images == processor.images
    text = format_boxes([(1, 2, 3, 4)])
    assert loaded.encode(text) == processor.encode(text)
    assert loaded.decode(loaded.encode(text)) == text


def test_templates_wrap_the_question(tiny_config: Callable[..., CogVLMConfig]) -> None:
    plain = CogVLMProcessor.embedded(tiny_config())
    chat = CogVLMProcessor.embedded(tiny_config(template_version="chat"))
    assert len(chat.encode_prompt("What is this?")) > len(plain.encode_prompt("What is this?"))
