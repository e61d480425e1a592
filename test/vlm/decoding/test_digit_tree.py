# SPDX-License-Identifier: Apache-2.0
"""The distribution over all 360 angles, against the model asked for each prefix by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpe_vlm_ros.answers import format_angles, parse_angles, pose_prompt
from hpe_vlm_ros.vlm.decoding.constrained import ask, expected, most_likely
from hpe_vlm_ros.vlm.decoding.digit_tree import SIZE, angle_probabilities, angle_tree, path
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.decoding.sequences import Sequences
from hpe_vlm_ros.vlm.processing import CogVLMProcessor, ImageSettings
from hpe_vlm_ros.vlm.pytorch.backend import TorchBackend
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

BOXES = [(10, 20, 300, 400), (500, 100, 700, 900)]
DIGITS = np.arange(100, 110)


@pytest.fixture
def engine(tiny_config: Callable, digit_tokenizers: dict) -> Engine:
    tokenizer = digit_tokenizers["digits"]
    model = CogVLMForCausalLM(tiny_config(vocab_size=len(tokenizer)))
    return Engine(TorchBackend(model), CogVLMProcessor(tokenizer, model.config, ImageSettings(32)))


def one_by_one(engine: Engine, picture: NDArray[np.uint8], prompt: str, said: str) -> np.ndarray:
    """(360,) by asking the model for the next digit after each beginning of a number."""
    tokenizer, batch = engine.processor.tokenizer, engine.processor(picture, prompt)
    digits = tokenizer.convert_tokens_to_ids(list("0123456789"))
    start = tokenizer.encode(said, add_special_tokens=False)

    def next_digit(beginning: str, allowed: int) -> np.ndarray:
        more = [*start, *(digits[int(d)] for d in beginning)]
        ids = torch.cat((batch["input_ids"], torch.tensor([more])), dim=1)
        types = torch.cat((batch["token_type_ids"], torch.zeros(1, len(more)).long()), dim=1)
        with torch.inference_mode():
            logits = engine.backend.model(
                input_ids=ids, token_type_ids=types, pixel_values=batch["pixel_values"]
            ).logits[0, -1]
        return logits[digits[:allowed]].double().softmax(0).numpy()

    first = next_digit("", 4)
    numbers = []
    for hundred in range(4):
        second = next_digit(str(hundred), 6 if hundred == 3 else 10)
        for ten, share in enumerate(second):
            numbers.extend(first[hundred] * share * next_digit(f"{hundred}{ten}", 10))
    return np.array(numbers)


def test_the_tree_gives_the_exact_distribution(engine: Engine, picture: NDArray[np.uint8]) -> None:
    """Two heads at once, so that trees of other sequences lie between; yaw, then pitch after it."""
    prompts = [pose_prompt(box) for box in BOXES]
    sequences = Sequences(engine.backend.encode(engine.processor.pixels(picture)))
    ids = [engine.processor.encode_prompt(prompt) for prompt in prompts]
    answers = ask(sequences, ids, [engine.grammar.angles() for _ in ids], expected)
    for prompt, answer in zip(prompts, answers, strict=True):
        text = engine.processor.decode(answer.tokens).strip()
        yaw, pitch, roll = answer.decisions
        assert text == format_angles(*(d.taken for d in (yaw, pitch, roll)))
        beginning, _, rest = text.partition("{")
        for decision, said in ((yaw, beginning + "{"), (pitch, f"{beginning}{{{rest[:4]}")):
            truth = one_by_one(engine, picture, prompt, said)
            np.testing.assert_allclose(decision.probabilities, truth, rtol=2e-4)
            assert decision.probabilities.sum() == pytest.approx(1)


def test_three_forwards_for_all_heads(engine: Engine, picture: NDArray[np.uint8]) -> None:
    calls: list[int] = []
    engine.backend.model.lm_head.register_forward_hook(lambda *_: calls.append(1))
    look = engine.look(engine.processor.pixels(picture), pick=most_likely)
    assert len(look.poses(BOXES)) == 2 and len(calls) == 3


def test_each_prefix_sees_what_leads_to_it() -> None:
    tree = angle_tree(DIGITS)
    assert len(tree.tokens) == SIZE == 40
    for number in (0, 7, 42, 199, 200, 359):
        first, second = path(number)
        spelt = [100 + number // 100, 100 + number // 10 % 10]
        assert [tree.tokens[first], tree.tokens[second]] == spelt
        assert np.flatnonzero(tree.ancestors()[second]).tolist() == [first, second]
        assert tree.depths()[[first, second]].tolist() == [0, 1]
    assert tree.ancestors()[:4, :4].tolist() == np.eye(4, dtype=bool).tolist()


def test_numbers_beyond_359_are_impossible() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (1 + SIZE, 120)).astype(np.float32)
    logits[0, 104:110] = 50  # 400 and more
    logits[4, 106:110] = 50  # 360 and more
    logits[:, :100] = 99  # no digits
    probabilities = angle_probabilities(logits, DIGITS)
    assert probabilities.shape == (360,) and probabilities.sum() == pytest.approx(1)
    ones = np.exp(logits[1 + 4 + 35, 100:110].astype(float))  # after "35"
    np.testing.assert_allclose(probabilities[350:] / probabilities[350:].sum(), ones / ones.sum())
    assert parse_angles(format_angles(probabilities.argmax(), 0, 0)).valid
