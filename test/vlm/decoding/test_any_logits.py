# SPDX-License-Identifier: Apache-2.0
"""Whatever a model computes, its answers are valid: random logits of every size and shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpe_vlm_ros.vlm.decoding.constrained import Pick, expected, most_likely
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.decoding.tokens import TextTokenizer
from hpe_vlm_ros.vlm.facts import ModelFacts
from hpe_vlm_ros.vlm.processing import CogVLMProcessor, ImageSettings
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer

FACTS = ModelFacts(vocab_size=1280, image_size=32, patch_size=16)
WORDS = build_tokenizer()


class Dice:
    """A backend whose logits are drawn: `scale` says how sure it is, `steps` makes ties."""

    name, device, lookahead, at_once, packs = "dice", "none", None, 1, True

    def __init__(self, seed: int, scale: float, steps: int):
        self._generator = np.random.default_rng(seed)
        self._scale, self._steps = scale, steps
        self.length, self.start = FACTS.num_image_tokens + 1, 4

    def encode(self, pixels: NDArray[np.float32]) -> Dice:
        return self

    def append(
        self, ids: NDArray, positions: NDArray, mask: NDArray, wanted: NDArray
    ) -> NDArray[np.float32]:
        assert mask.shape == (len(ids), self.length + len(ids))
        assert mask[:, : FACTS.num_image_tokens + 1].all()  # every token sees the image
        self.length += len(ids)
        drawn = self._generator.normal(size=(len(wanted), FACTS.vocab_size))
        return (np.round(drawn * self._steps) / self._steps * self._scale).astype(np.float32)

    def shrink(self, length: int) -> None:
        self.length = length


def check(tokenizer: TextTokenizer, dice: Dice, pick: Pick, heads: int, slack: int) -> None:
    engine = Engine(dice, CogVLMProcessor(tokenizer, FACTS, ImageSettings(32)))
    look = engine.look(np.zeros((3, 32, 32), np.float32), pick=pick)
    draft = None
    for _ in range(2):
        found = look.detect(heads, draft, slack)  # an invalid answer raises
        assert len(found) <= heads
        for detection in found:
            x0, y0, x1, y1 = detection.box
            assert 0 <= x0 < x1 <= 999 and 0 <= y0 < y1 <= 999
            assert 0 <= detection.score <= 1
        draft = [detection.box for detection in found]
    for angles in look.poses(draft or []):
        assert all(-180 < angle <= 180 for angle in angles)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1e-6, 1.0, 30.0, 1e30]),
    st.sampled_from([1, 1000]),
    st.sampled_from([most_likely, expected]),
    st.integers(1, 6),
    st.sampled_from([0, 50]),
)
def test_answers_are_valid_in_number_tokens(
    seed: int, scale: float, steps: int, pick: Pick, heads: int, slack: int
) -> None:
    check(WORDS, Dice(seed, scale, steps), pick, heads, slack)


@pytest.mark.parametrize("kind", ["digits", "digits, fused brackets"])
@pytest.mark.parametrize("pick", [most_likely, expected])
def test_answers_are_valid_in_digit_tokens(kind: str, pick: Pick, digit_tokenizers: dict) -> None:
    for seed in range(8):
        check(digit_tokenizers[kind], Dice(seed, 10.0 ** (seed - 4), 1000), pick, 3, 5)
