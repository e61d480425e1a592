# SPDX-License-Identifier: Apache-2.0
"""Llama's tokenizer, which the 17B model speaks: prompts, answers and the grammar over its tokens.

The expected ids were made by another program: llama-tokenizer-js 1.2.2 with the whole vocabulary.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vicuna import sentencepiece_file

from benchmarks.llama_subset import llama_subset
from hpe_vlm_ros.answers import (
    DETECTION_PROMPT,
    format_angles,
    format_boxes,
    format_referred,
    parse_angles,
    parse_boxes,
    pose_prompt,
)
from hpe_vlm_ros.vlm.decoding.grammar import AnswerGrammar, Grammar
from hpe_vlm_ros.vlm.facts import ModelFacts
from hpe_vlm_ros.vlm.model_folder import load_processor

TOKENIZER = llama_subset()
EOS = 2
DIGITS = (29900, 29896, 29906, 29941, 29946, 29945, 29953, 29955, 29947, 29929)
COMMA, SEMICOLON = 29892, 29936
FIRST, SECOND = (106, 168, 148, 242), (245, 168, 270, 230)


def digits(*numbers: int, between: int = COMMA) -> list[int]:
    """Three tokens a number, and one between two."""
    ids: list[int] = []
    for number in numbers:
        ids += [DIGITS[int(digit)] for digit in f"{number:03d}"] + [between]
    return ids[:-1]


HEADS = [11275, 2343, 3216, 292, 16273, 526]  # "Their head bounding boxes are"
QUESTION = [1724, 338, 278, 2343, 343, 1450, 15905, 9679, 2768, 278, 3216, 292, 3800]
GOLDEN = [
    (
        DETECTION_PROMPT,
        [1128, 1784, 5199, 15883, 526, 297, 445, 1967, 322, 825, 526, 278, 2343, 3216, 292]
        + [16273, 29973],
    ),
    (pose_prompt(FIRST), [*QUESTION, 5519, *digits(*FIRST), 5262, 29973]),
    (
        format_angles(72, -6, 2),
        [450, 2343, 19843, 23619, 526, 426, *digits(72, 354, 2), 1836],
    ),
    (format_boxes([]), [*HEADS, 518, 2636, 1822]),
    (format_boxes([FIRST]), [*HEADS, 5519, *digits(*FIRST), 29962, 1822]),
    (
        format_boxes([FIRST, SECOND]),
        [*HEADS, 5519, *digits(*FIRST), SEMICOLON, *digits(*SECOND), 29962, 1822],
    ),
    (format_referred(FIRST), [5519, *digits(*FIRST), 5262]),
]


@pytest.mark.parametrize(("text", "ids"), GOLDEN, ids=[text[:30] for text, _ in GOLDEN])
def test_texts_are_cut_as_by_the_whole_vocabulary(text: str, ids: list[int]) -> None:
    assert TOKENIZER.encode(text, add_special_tokens=False) == ids
    assert TOKENIZER.decode([*ids, EOS], skip_special_tokens=True) == text


def test_counts_on_which_costs_rest() -> None:
    """Detection: 17 in, 8 + 16 a box out. Pose: 31 in, 18 out, 9 of them decided."""

    def count(text: str) -> int:
        return len(TOKENIZER.encode(text, add_special_tokens=False))

    assert count(DETECTION_PROMPT) == 17 and count(pose_prompt(SECOND)) == 31
    assert count(format_angles(1, 2, 3)) == 18
    assert [count(format_boxes([FIRST] * n)) for n in (1, 2, 7)] == [8 + 16 * n for n in (1, 2, 7)]


def walk(grammar: Grammar, draw: st.DataObject) -> list[int]:
    """Tokens of an answer, each drawn from those allowed."""
    taken = []
    choice = next(grammar)
    while True:
        token = int(draw.draw(st.sampled_from(choice.allowed.tolist())))
        taken.append(token)
        try:
            choice = grammar.send(token)
        except StopIteration:
            return taken


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 4))
def test_every_walk_is_an_answer_in_its_proper_tokens(data: st.DataObject, heads: int) -> None:
    """Fused pieces included: "[[" and "[]" after a space, "]" "]." at the end, "}."."""
    grammar = AnswerGrammar(TOKENIZER)
    for answer, parse in ((grammar.boxes(heads), parse_boxes), (grammar.angles(), parse_angles)):
        *tokens, end = walk(answer, data)
        text = TOKENIZER.decode(tokens)
        assert end == EOS and parse(text).valid, text
        assert TOKENIZER.encode(text, add_special_tokens=False) == tokens


def test_both_first_answers_can_be_reached() -> None:
    """No heads and some heads part before the bracket, since "[[" and "[]" are other tokens."""
    grammar = AnswerGrammar(TOKENIZER).boxes(3)
    choice = next(grammar)
    while choice.forced:
        choice = grammar.send(int(choice.tokens[0]))
    assert sorted(choice.allowed.tolist()) == [518, 5519]


def test_the_sentencepiece_file_of_vicuna_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_file())
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "LlamaTokenizer", "legacy": false, "add_bos_token": true,'
        ' "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}'
    )
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoConfig": "a.B"}}')
    processor = load_processor(tmp_path, ModelFacts())
    for text, ids in GOLDEN:
        assert processor.encode(text) == ids
        assert processor.decode([*ids, EOS]).strip() == text
    assert AnswerGrammar(processor.tokenizer).eos == EOS
