# SPDX-License-Identifier: Apache-2.0
"""The grammars that servers are told hold the answers, and nothing that is no answer."""

from __future__ import annotations

import re

import pytest
from dialect_servers import from_gbnf
from hypothesis import given, settings
from hypothesis import strategies as st

from hpe_vlm_ros.answers import (
    Reason,
    format_angles,
    format_boxes,
    format_referred,
    parse_angles,
    parse_boxes,
)
from hpe_vlm_ros.remote.language import angles, boxes, literal, one_box, one_text_of
from hpe_vlm_ros.remote.probe import FORCED
from hpe_vlm_ros.tasks import TASKS

CELLS = st.integers(0, 998).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 1, 999)))
BOXES = st.builds(lambda x, y: (x[0], y[0], x[1], y[1]), CELLS, CELLS)
LANGUAGES = {"boxes": boxes(3), "angles": angles(), "one box": one_box(), "probe": FORCED}
LANGUAGES |= {
    name: one_text_of([TASKS[name].format(label) for label in TASKS[name].examples])
    for name in ("facing", "gesture")
}


@settings(max_examples=30)
@given(st.lists(BOXES, max_size=20))
def test_lists_of_boxes_are_in_it_up_to_the_most(found: list[tuple[int, int, int, int]]) -> None:
    text = format_boxes(found)
    assert boxes(20).matches(text)
    assert boxes(2).matches(text) == (len(found) <= 2)


@given(BOXES)
def test_one_box_is_in_it(box: tuple[int, int, int, int]) -> None:
    assert one_box().matches(format_referred(box)) and not one_box().matches("[[]]")


@given(*[st.integers(-400, 400)] * 3)
def test_all_angles_are_in_it(yaw: int, pitch: int, roll: int) -> None:
    assert angles().matches(format_angles(yaw, pitch, roll))


@settings(max_examples=30)
@given(st.from_regex(boxes(5).regex, fullmatch=True))
def test_what_is_in_it_is_an_answer_but_for_boxes_inside_out(text: str) -> None:
    assert parse_boxes(text).reason in (None, Reason.LOGICAL_ERROR)


@given(st.from_regex(angles().regex, fullmatch=True))
def test_angles_in_it_are_valid(text: str) -> None:
    assert parse_angles(text).valid


@pytest.mark.parametrize("name", LANGUAGES)
@settings(max_examples=30)
@given(data=st.data())
def test_both_notations_mean_the_same(name: str, data: st.DataObject) -> None:
    """Read back by the tests' own reader; llama.cpp's reads it in benchmarks/remote_llama_cpp."""
    language = LANGUAGES[name]
    back = from_gbnf(language.rules)
    text = data.draw(st.from_regex(language.regex, fullmatch=True))
    assert re.fullmatch(back, text)
    other = data.draw(st.from_regex(back, fullmatch=True))
    place = data.draw(st.integers(0, len(other)))
    spoilt = other[:place] + data.draw(st.sampled_from('0",{[]}|\\ ')) + other[place + 1 :]
    assert language.matches(other)
    assert language.matches(spoilt) == bool(re.fullmatch(back, spoilt))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_literal_is_itself_alone(text: str) -> None:
    alone = literal(text)
    assert alone.matches(text) and not alone.matches(text + text)
    assert re.fullmatch(from_gbnf(alone.rules), text)


@pytest.mark.parametrize("text", ["Sure! {000,000,000}", "{360,000,000}", "", "{12,000,000}"])
def test_other_texts_are_not_in_it(text: str) -> None:
    answer = text and f"The head orientation angles are {text}."
    assert not angles().matches(answer) and not boxes(20).matches(answer)


@pytest.mark.parametrize("name", LANGUAGES)
def test_only_what_every_engine_reads_is_used(name: str) -> None:
    """No lookahead, no (?:, no \\d: xgrammar, outlines and llguidance differ in those."""
    assert re.fullmatch(
        r"(\\[^a-zA-Z0-9]|\[[0-9]-[0-9]\]|[()|]|\{\d+,\d+\}|[\w ,;])*", LANGUAGES[name].regex
    )
