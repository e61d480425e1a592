# SPDX-License-Identifier: Apache-2.0
"""Every answer the grammar lets through is valid, and every valid answer gets through."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpe_vlm_ros.answers import format_angles, format_boxes, parse_angles, parse_boxes
from hpe_vlm_ros.vlm.decoding.grammar import AnswerGrammar, Grammar, Kind, allowed_after
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer


@pytest.fixture(scope="session")
def whole() -> AnswerGrammar:
    return AnswerGrammar(build_tokenizer())


@pytest.fixture(scope="session", params=["numbers", "digits", "digits, fused brackets"])
def grammar(request: pytest.FixtureRequest) -> AnswerGrammar:
    """Grammars over number tokens and over digit tokens, with and without a merged "[[]]"."""
    if request.param == "numbers":
        return AnswerGrammar(build_tokenizer())
    return AnswerGrammar(request.getfixturevalue("digit_tokenizers")[request.param])


def wander(grammar: Grammar, source: random.Random, extremes: bool) -> list[int]:
    """Tokens of a random walk; `extremes` takes first or last choices, where bounds bite."""
    tokens: list[int] = []
    try:
        choice = next(grammar)
        while True:
            allowed = choice.allowed
            index = source.choice([0, -1]) if extremes else source.randrange(len(allowed))
            tokens.append(int(allowed[index]))
            assert len(tokens) < 2000, "the answer does not end"
            choice = grammar.send(tokens[-1])
    except StopIteration:
        return tokens


def text_of(grammar: AnswerGrammar, tokens: list[int]) -> str:
    assert tokens[-1] == grammar.eos and grammar.eos not in tokens[:-1]
    return str(grammar._tokenizer.decode(tokens, skip_special_tokens=True)).removeprefix(" ")


def check_boxes(grammar: AnswerGrammar, seed: int, extremes: bool, max_heads: int) -> None:
    tokens = wander(grammar.boxes(max_heads), random.Random(seed), extremes)
    text = text_of(grammar, tokens)
    parsed = parse_boxes(text)
    assert parsed.value is not None, (text, parsed.reason)
    assert len(parsed.value) <= max_heads
    assert text == format_boxes(parsed.value)  # the template word for word
    assert tokens[:-1] == grammar._encode(text)  # and the tokenizer's own tokens


def check_angles(grammar: AnswerGrammar, seed: int, extremes: bool) -> None:
    tokens = wander(grammar.angles(), random.Random(seed), extremes)
    text = text_of(grammar, tokens)
    parsed = parse_angles(text)
    assert parsed.value is not None, (text, parsed.reason)
    assert "360" not in text and text == format_angles(*parsed.value)
    assert tokens[:-1] == grammar._encode(text)


def test_whatever_is_taken_the_answer_is_valid(grammar: AnswerGrammar) -> None:
    @settings(deadline=None, max_examples=100)
    @given(st.integers(0, 2**32), st.booleans(), st.integers(1, 12))
    def check(seed: int, extremes: bool, max_heads: int) -> None:
        check_boxes(grammar, seed, extremes, max_heads)
        check_angles(grammar, seed, extremes)

    check()


def allows(grammar: AnswerGrammar, make: str, text: str, *args: int) -> bool:
    tokens = [*grammar._encode(text), grammar.eos]
    for end in range(len(tokens)):
        if tokens[end] not in allowed_after(getattr(grammar, make)(*args), tokens[:end]):
            return False
    return allowed_after(getattr(grammar, make)(*args), tokens) == []


def test_valid_answers_pass(grammar: AnswerGrammar) -> None:
    boxes = [(0, 0, 1, 1), (998, 998, 999, 999), (106, 168, 148, 242), (99, 100, 100, 101)]
    assert allows(grammar, "boxes", format_boxes([]), 3)
    assert allows(grammar, "boxes", format_boxes(boxes), 4)
    assert not allows(grammar, "boxes", format_boxes(boxes), 3)
    for angles in ((0, 359, 180), (72, 354, 2), (300, 99, 100)):
        assert allows(grammar, "angles", format_angles(*angles))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        ("angles", "The head orientation angles are {360,000,000}."),
        ("angles", "The head orientation angles are {000,432,000}."),
        ("angles", "The head orientation angles are {000,000}."),
        ("angles", "The head orientation angles are {000,000,000,000}."),
        ("angles", "Their head bounding boxes are [[]]."),
        ("boxes", "Their head bounding boxes are [[234,134,100,111]]."),
        ("boxes", "Their head bounding boxes are [[234,134,234,135]]."),
        ("boxes", "Their head bounding boxes are [[999,134,999,135]]."),
        ("boxes", "Their head bounding boxes are [[001,002,003]]."),
        ("boxes", "Their head bounding boxes are [[001,002,003,004;]]."),
        ("boxes", "Their head bounding boxes are [[001,002,003,004"),
        ("boxes", "The head orientation angles are {000,000,000}."),
    ],
)
def test_invalid_answers_do_not(grammar: AnswerGrammar, make: str, text: str) -> None:
    assert not allows(grammar, make, text, *([5] if make == "boxes" else []))


def test_fixed_text_costs_no_decision(grammar: AnswerGrammar) -> None:
    def decisions(grammar: Grammar) -> list[Kind]:
        kinds, choice = [], next(grammar)
        try:
            while True:
                if not choice.forced:
                    kinds.append(choice.kind)
                choice = grammar.send(int(choice.tokens[0]))
        except StopIteration:
            return kinds

    number = [Kind.NUMBER] if grammar.whole_numbers else [Kind.DIGIT] * 3
    assert decisions(grammar.angles()) == number * 3
    boxes = decisions(grammar.boxes(2))
    assert boxes.count(Kind.MORE) <= 2 and Kind.TEXT not in boxes
    assert len(boxes) - boxes.count(Kind.MORE) == 8 * len(number)


def test_free_answers_end_with_the_end_token_or_the_limit(whole: AnswerGrammar) -> None:
    for taken, left in (([5, 6], 1), ([5, whole.eos], 0), ([5, 6, 7], 0)):
        grammar, steps = whole.free(3), 0
        try:
            choice = next(grammar)
            for token in taken:
                assert len(choice.allowed) == 0 and not choice.forced
                steps += 1
                choice = grammar.send(token)
            assert left
        except StopIteration:
            assert not left and steps == len(taken)


def test_symbols_are_all_that_answers_are_made_of(grammar: AnswerGrammar) -> None:
    boxes = [(1, 2, 3, 4), (500, 600, 789, 999)]
    texts = [format_boxes([]), format_boxes(boxes), format_angles(0, 123, 359)]
    needed = {grammar.eos, *(token for text in texts for token in grammar._encode(text))}
    assert needed <= set(grammar.symbols.tolist())
    vocabulary = grammar._tokenizer.get_vocab()
    for word in ("▁many", "?", "<pad>", "<unk>"):
        assert vocabulary[word] not in grammar.symbols
    assert next(grammar.free(3, symbols=True)).allowed.tolist() == grammar.symbols.tolist()


def test_useless_requests_say_why(whole: AnswerGrammar) -> None:
    with pytest.raises(ValueError, match="max_heads is 0"):
        next(whole.boxes(0))
    with pytest.raises(ValueError, match="not in the grammar"):
        allowed_after(whole.angles(), [7])
