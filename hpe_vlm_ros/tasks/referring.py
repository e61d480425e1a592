# SPDX-License-Identifier: Apache-2.0
"""Somebody or something described in words, found: the referring questions of CogVLM's training."""

from __future__ import annotations

from .grid import GRID, Box, box_text
from .heads import parse_boxes
from .speller import Grammar, Speller
from .task import Parsed, Reason, Task


def referring_prompt(expression: str) -> str:
    """Question for the box of what the words single out, in the templates of CogVLM's training."""
    return f"Where is {expression}? answer in [[x0,y0,x1,y1]] format."


def format_referred(box: Box) -> str:
    """Answer to `referring_prompt`: [[106,168,148,242]]; `parse_boxes` reads it."""
    return f"[[{box_text(box)}]]"


def parse_referred(text: str) -> Parsed[Box]:
    """The one box of an answer, or why there is none; never raises."""
    parsed = parse_boxes(text)
    if parsed.value is None:
        return Parsed(reason=parsed.reason)
    if len(parsed.value) != 1:
        return Parsed(reason=Reason.WRONG_NUMBER)
    return Parsed(parsed.value[0])


def grammar(speller: Speller) -> Grammar:
    """Answers of one box with x0 < x1 and y0 < y1."""
    # as in heads.py, the numbers of the example do not matter
    head, comma, _, _, end = speller.fixed(format_referred((111, 111, 222, 222)), 4)
    yield from speller.spell(head)
    x0 = yield from speller.number(0, GRID - 2)
    yield from speller.spell(comma)
    y0 = yield from speller.number(0, GRID - 2)
    yield from speller.spell(comma)
    yield from speller.number((x0 or 0) + 1, GRID - 1)
    yield from speller.spell(comma)
    yield from speller.number((y0 or 0) + 1, GRID - 1)
    yield from speller.spell(end)


TASK: Task[Box] = Task(
    name="referring",
    question=referring_prompt,
    format=format_referred,
    parse=parse_referred,
    grammar=grammar,
    examples=((100, 200, 300, 400), (0, 0, 1, 999)),
)
