# SPDX-License-Identifier: Apache-2.0
"""Shared-prefix, packed, jump-forward decoding against plain `generate()` per question."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpe_vlm_ros.answers import DETECTION_PROMPT, parse_boxes, pose_prompt
from hpe_vlm_ros.vlm.decoding.constrained import Decision, ask, expected, most_likely
from hpe_vlm_ros.vlm.decoding.engine import Engine, Look
from hpe_vlm_ros.vlm.decoding.grammar import Choice, Grammar, Kind, allowed_after, spell
from hpe_vlm_ros.vlm.decoding.sequences import Sequences
from hpe_vlm_ros.vlm.processing import CogVLMProcessor, ImageSettings
from hpe_vlm_ros.vlm.pytorch.backend import Rows, TorchBackend
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

Engines = Callable[..., Engine]
Picture = NDArray[np.uint8]
BOXES = [(10, 20, 300, 400), (500, 100, 700, 900), (0, 0, 999, 999)]


def digit_engine(tiny_config: Callable, tokenizer: object, seed: int) -> Engine:
    torch.manual_seed(seed)
    model = CogVLMForCausalLM(tiny_config(vocab_size=len(tokenizer)))  # type: ignore[arg-type]
    processor = CogVLMProcessor(tokenizer, model.config, ImageSettings(32))  # type: ignore[arg-type]
    return Engine(TorchBackend(model), processor)


def generated(
    engine: Engine, picture: Picture, prompt: str, make: Callable[[], Grammar] | None
) -> list[int]:
    """Tokens of transformers' own greedy loop under the same constraint."""
    batch = engine.processor(picture, prompt)
    start = batch["input_ids"].shape[1]
    rule = None
    if make is not None:
        rule = lambda _, ids: allowed_after(make(), ids[start:].tolist())  # noqa: E731
    made = engine.backend.model.generate(
        **batch, do_sample=False, max_new_tokens=150, prefix_allowed_tokens_fn=rule
    )
    return made[0, start:].tolist()


def sequences_of(engine: Engine, picture: Picture) -> Sequences:
    return Sequences(engine.backend.encode(engine.processor.pixels(picture)))


def check_against_generate(engine: Engine, picture: Picture) -> int:
    """Detection, then three poses in one batch over the same cache; returns the boxes found."""
    grammar, encode = engine.grammar, engine.processor.encode_prompt
    sequences = sequences_of(engine, picture)
    (found,) = ask(sequences, [encode(DETECTION_PROMPT)], [grammar.boxes(4)])
    expected_tokens = generated(engine, picture, DETECTION_PROMPT, lambda: grammar.boxes(4))
    assert found.tokens == expected_tokens
    prompts = [pose_prompt(box) for box in BOXES]
    answers = ask(sequences, [encode(p) for p in prompts], [grammar.angles() for _ in prompts])
    for prompt, answer in zip(prompts, answers, strict=True):
        assert answer.tokens == generated(engine, picture, prompt, grammar.angles)
    return len(parse_boxes(engine.processor.decode(found.tokens)).value or [])


def noise(seed: int) -> Picture:
    """Another picture for each seed, of any size."""
    generator = np.random.default_rng(seed)
    size = (*generator.integers(8, 90, 2), 3)
    return generator.integers(0, 256, size, dtype=np.uint8)


def test_tokens_equal_generate_with_number_tokens(tiny_engine: Engines) -> None:
    counts = [check_against_generate(tiny_engine(seed), noise(seed)) for seed in range(8)]
    assert max(counts) > 1 and min(counts) < 4  # both ways out of the loop have been taken


@pytest.mark.parametrize("kind", ["digits", "digits, fused brackets"])
def test_tokens_equal_generate_with_digit_tokens(
    kind: str, digit_tokenizers: dict, tiny_config: Callable, picture: Picture
) -> None:
    counts = []
    for seed in range(4):
        engine = digit_engine(tiny_config, digit_tokenizers[kind], seed)
        counts.append(check_against_generate(engine, picture))
    assert len(set(counts)) > 1


def test_free_answers_equal_generate(tiny_engine: Engines, picture: Picture) -> None:
    engine = tiny_engine(1)
    made = generated(engine, picture, DETECTION_PROMPT, None)[:20]
    text = engine.look(engine.processor.pixels(picture)).free([DETECTION_PROMPT], 20)
    assert text == [engine.processor.decode(made)]


@pytest.mark.parametrize("pick", [most_likely, expected])
def test_prefix_reuse_changes_no_answer(
    tiny_engine: Engines, picture: Picture, pick: Callable
) -> None:
    for seed in range(4):
        engine = tiny_engine(seed)
        pixels = engine.processor.pixels(picture)
        shared, apart = (engine.look(pixels, reuse, pick) for reuse in (True, False))
        ours, theirs = shared.detect(4), apart.detect(4)
        assert [d.box for d in ours] == [d.box for d in theirs]
        assert [d.score for d in ours] == pytest.approx([d.score for d in theirs], rel=1e-3)
        assert shared.poses(BOXES) == apart.poses(BOXES)
        assert shared.poses([]) == [] and apart.poses([]) == []


def test_the_image_is_encoded_once_per_frame(tiny_engine: Engines, picture: Picture) -> None:
    engine = tiny_engine(0)
    passes: list[int] = []
    engine.backend.model.model.vision.register_forward_hook(lambda *_: passes.append(1))
    for reuse, encoded in ((True, 1), (False, 4)):
        passes.clear()
        look = engine.look(engine.processor.pixels(picture), reuse)
        look.detect(4)
        look.poses(BOXES)
        assert len(passes) == encoded


def test_forced_tokens_cost_no_forward(tiny_engine: Engines, picture: Picture) -> None:
    engine = tiny_engine(0)
    sequences = sequences_of(engine, picture)
    calls: list[int] = []
    engine.backend.model.lm_head.register_forward_hook(lambda *_: calls.append(1))
    prompts = [engine.processor.encode_prompt(pose_prompt(box)) for box in BOXES]
    ask(sequences, prompts, [engine.grammar.angles() for _ in prompts])
    assert len(calls) == 3  # yaw, pitch, roll: for all heads together
    calls.clear()
    prompt = engine.processor.encode_prompt(DETECTION_PROMPT)
    (answer,) = ask(sequences, [prompt], [engine.grammar.boxes(3)])
    boxes = parse_boxes(engine.processor.decode(answer.tokens)).value
    assert boxes is not None and len(calls) <= max(1, 4 * len(boxes)) + 1


def test_computing_ahead_changes_no_answer(tiny_engine: Engines, picture: Picture) -> None:
    """Also where forced text follows the guess, so that what was computed ahead is of no use."""

    def grammar(ahead: bool, between: list[int]) -> Grammar:
        for _ in range(3):
            pair = np.array([1010, 1006])
            token = yield Choice(Kind.MORE, pair, guess=1010 if ahead else None)
            if token == 1006:
                return
            yield from spell(between)
            yield Choice(Kind.TEXT, np.arange(4, 1004))

    lengths = set()
    for seed in range(6):
        engine = tiny_engine(seed)
        prompt = engine.processor.encode_prompt(DETECTION_PROMPT)
        for between in ([], [1012]):
            sequences = sequences_of(engine, picture)
            answers = [ask(sequences, [prompt], [grammar(a, between)])[0] for a in (True, False)]
            assert answers[0].tokens == answers[1].tokens
            lengths.add(len(answers[0].tokens))
    assert len(lengths) > 2


def decide(kind: Kind, weights: list[float], circular: bool = False) -> int:
    probabilities = np.array(weights) / sum(weights)
    choice = Choice(kind, np.arange(100, 100 + len(weights)), circular=circular)
    return expected(choice, probabilities)


def test_expected_angle_is_the_circular_mean() -> None:
    weights = [0.0] * 360
    weights[350], weights[20] = 1, 1
    assert decide(Kind.NUMBER, weights, circular=True) == 5
    weights = [0.0] * 360
    weights[358], weights[0] = 1, 1
    assert decide(Kind.NUMBER, weights, circular=True) == 359
    weights[358], weights[0], weights[359] = 1, 1, 0
    weights[0] = 1.2
    assert decide(Kind.NUMBER, weights, circular=True) == 359


def test_expected_coordinate_is_the_mean_near_the_mode() -> None:
    weights = [0.0] * 900
    weights[100], weights[104], weights[500] = 3, 1, 2.9  # another head at 500 has no say
    assert decide(Kind.NUMBER, weights) == 101
    assert decide(Kind.MORE, [1, 2]) == 1
    assert decide(Kind.DIGIT, [1, 5, 4]) == 1


@pytest.mark.parametrize(("end", "ends"), [(0.3, False), (0.6, False), (0.7, True)])
def test_expected_list_ends_where_the_end_is_sure(end: float, ends: bool) -> None:
    """Behind a box, and before the first, where the end is likelier than any single number."""
    more = Choice(Kind.MORE, np.array([7, 8]))
    assert expected(more, np.array([1 - end, end])) == int(ends)
    first = Choice(Kind.NUMBER, np.arange(100, 109), stop=5)
    numbers = np.array([0, 0, 1, 2, 4, 2, 1, 0, 0]) * (1 - end) / 10
    assert expected(first, np.array([*numbers, end])) == (9 if ends else 4)


def test_decisions_hold_probabilities(tiny_engine: Engines, picture: Picture) -> None:
    engine = tiny_engine(0)
    prompt = engine.processor.encode_prompt(DETECTION_PROMPT)
    (answer,) = ask(sequences_of(engine, picture), [prompt], [engine.grammar.boxes(2)])
    assert answer.decisions
    for decision in answer.decisions:
        assert isinstance(decision, Decision)
        assert len(decision.probabilities) == len(decision.choice.allowed)
        assert decision.probabilities.sum() == pytest.approx(1)
        assert decision.taken == decision.probabilities.argmax()


def detected(look: Look, **drafted: object) -> list[tuple[int, int, int, int]]:
    return [detection.box for detection in look.detect(5, **drafted)]  # type: ignore[arg-type]


def test_exact_drafts_change_no_answer(tiny_engine: Engines, picture: Picture) -> None:
    generator = np.random.default_rng(0)
    for seed in range(6):
        engine = tiny_engine(seed)
        look = engine.look(engine.processor.pixels(picture))
        full = look.detect(5)
        boxes = [detection.box for detection in full]
        moved = [(x0, y0, x1, min(y1 + 1, 999)) for x0, y0, x1, y1 in boxes]
        corners = [np.sort(generator.choice(1000, (2, 2), replace=False), axis=0) for _ in range(3)]
        random = [tuple(int(v) for v in pair.ravel()) for pair in corners]
        drafts = [boxes, moved, boxes[:-1], boxes[::-1], [*boxes, BOXES[0]], random, [], BOXES]
        for draft in drafts:
            again = look.detect(5, draft)
            assert [d.box for d in again] == boxes
            assert [d.score for d in again] == pytest.approx([d.score for d in full], rel=1e-3)


def test_drafts_of_digits_change_no_answer(
    digit_tokenizers: dict, tiny_config: Callable, picture: Picture
) -> None:
    for kind, tokenizer in digit_tokenizers.items():
        engine = digit_engine(tiny_config, tokenizer, 1)
        look = engine.look(engine.processor.pixels(picture))
        boxes = detected(look)
        for draft in (boxes, boxes[:1], [], BOXES):
            assert detected(look, draft=draft, slack=9) == boxes, kind


def talkative(tiny_engine: Engines, picture: Picture) -> tuple[Look, list, list[int]]:
    """A look in which some heads are found, those heads, and a list that grows with each forward"""
    for seed in range(20):
        engine = tiny_engine(seed)
        look = engine.look(engine.processor.pixels(picture))
        boxes = detected(look)
        if 1 < len(boxes) < 5 and boxes[0][3] < 990:
            break
    else:
        raise AssertionError("no random model finds some heads")
    calls: list[int] = []
    engine.backend.model.lm_head.register_forward_hook(lambda *_: calls.append(1))
    return look, boxes, calls


def test_a_right_draft_costs_one_forward(tiny_engine: Engines, picture: Picture) -> None:
    look, boxes, calls = talkative(tiny_engine, picture)
    assert detected(look) == boxes
    plain, calls[:] = len(calls), []
    assert detected(look, draft=boxes) == boxes and len(calls) == 1 < plain
    calls.clear()
    assert detected(look, draft=[*boxes[:-1], (0, 0, 1, 1)]) == boxes
    assert 1 < len(calls) < plain
    calls.clear()
    assert detected(look, draft=BOXES) == boxes and len(calls) <= plain  # wrong, and costs nothing


def test_slack_lets_near_drafts_stand(tiny_engine: Engines, picture: Picture) -> None:
    look, boxes, calls = talkative(tiny_engine, picture)
    near = [(x0, y0, x1, y1 + (2 if y1 < 990 else -2)) for x0, y0, x1, y1 in boxes]
    found = detected(look, draft=near, slack=2)
    assert found[0] == boxes[0]  # decided, not copied from the draft
    near_calls, calls[:] = len(calls), []
    detected(look, draft=near, slack=1)
    assert near_calls < len(calls)


def test_the_image_is_viewed_not_copied(tiny_engine: Engines, picture: Picture) -> None:
    """Its keys and values stay where they were written, and as they were."""
    engine = tiny_engine(0)
    cache = engine.backend.encode(engine.processor.pixels(picture))
    rows, length = cache._rows, cache.length
    places = [t.data_ptr() for pair in rows.layers for t in pair]
    before = [t[:, :, :length].clone() for pair in rows.layers for t in pair]
    sequences = Sequences(cache)
    prompts = [engine.processor.encode_prompt(pose_prompt(box)) for box in BOXES]
    ask(sequences, prompts, [engine.grammar.angles() for _ in prompts])
    assert cache.length > length
    seen = [t for pair in rows.layers for t in pair]
    assert [t.data_ptr() for t in seen] == places
    assert all(bool((a == b[:, :, :length]).all()) for a, b in zip(before, seen, strict=True))
    with torch.inference_mode():
        key, value = rows.update(seen[0][:, :, :1], seen[1][:, :, :1], 0)
    assert (key.data_ptr(), value.data_ptr()) == (places[0], places[1])
    sequences.clear()
    assert cache.length == rows.length == length


def test_rows_grow_without_forgetting() -> None:
    rows, wanted = Rows(4), []
    for step in range(9):
        keys, values = torch.randn(2, 1, 2, 1 + step % 3, 5)
        wanted.append((keys, values))
        for layer in range(2):
            got = rows.update(keys + layer, values + layer, layer)
            for index, tensor in enumerate(got):
                whole = torch.cat([pair[index] + layer for pair in wanted], dim=2)
                assert torch.equal(tensor, whole)
        if step == 5:
            rows.length -= 2
            cut = torch.cat([pair[0] for pair in wanted], 2), torch.cat([p[1] for p in wanted], 2)
            wanted = [(cut[0][:, :, :-2], cut[1][:, :, :-2])]


def test_words_that_questions_share_are_fed_once(tiny_engine: Engines, picture: Picture) -> None:
    engine = tiny_engine(0)
    sequences = sequences_of(engine, picture)
    fed: list[int] = []
    engine.backend.model.model.embed_tokens.register_forward_hook(
        lambda _, inputs, __: fed.append(inputs[0].numel())
    )
    prompts = [engine.processor.encode_prompt(pose_prompt(box)) for box in BOXES]
    ask(sequences, prompts, [engine.grammar.angles() for _ in prompts])
    encode = engine.processor.encode
    beginning = encode("What is the head yaw pitch roll inside the bounding box [[")
    text = encode("The head orientation angles are {")
    own = len(prompts[0]) - len(beginning) + len(text)
    assert fed[0] == len(beginning) + len(BOXES) * own
