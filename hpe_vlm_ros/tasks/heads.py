# SPDX-License-Identifier: Apache-2.0
"""The paper's detection question: every head in the picture (arXiv 2406.01914, Table II)."""

from __future__ import annotations

from collections.abc import Sequence

from .grid import GRID, Box, box_text
from .speller import Grammar, Speller
from .task import Parsed, Reason, Task
from .text import BRACKETS, numbers_of, only_group

DETECTION_PROMPT = "How many human heads are in this image and what are the head bounding boxes?"


def format_boxes(boxes: Sequence[Box]) -> str:
    """The answer naming `boxes` (grid cells) in order; ValueError for a box no answer may hold."""
    return f"Their head bounding boxes are [[{';'.join(map(box_text, boxes))}]]."


def parse_boxes(text: str) -> Parsed[list[Box]]:
    """Boxes (grid cells) in an answer to `DETECTION_PROMPT`, or why invalid.

    Valid: exactly one group ``[[...]]``, no brace, any text around it; in the group nothing, or
    boxes of four three-digit integers with x0 < x1 and y0 < y1. Never raises.
    """
    content = only_group(text, BRACKETS, "[[]]", Reason.ANGLE_FORMAT)
    if isinstance(content, Reason):
        return Parsed(reason=content)
    boxes: list[Box] = []
    for item in content.split(";") if content else ():
        numbers = numbers_of(item, 4)
        if isinstance(numbers, Reason):
            return Parsed(reason=numbers)
        boxes.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    if not all(x0 < x1 and y0 < y1 for x0, y0, x1, y1 in boxes):
        return Parsed(reason=Reason.LOGICAL_ERROR)
    return Parsed(boxes)


LAST = GRID - 1
# Any numbers of three digits: of this example the grammar keeps what stands between them.
_TWO = [(111, 111, 222, 222)] * 2


def grammar(speller: Speller, most: int) -> Grammar:
    """Answers of 0..`most` boxes with x0 < x1 and y0 < y1."""
    if most < 1:
        raise ValueError(f"max_heads is {most}; it must be at least 1")
    head, comma, *_, between, _, _, _, end = speller.fixed(format_boxes(_TWO), 8)
    (empty,) = speller.fixed(format_boxes([]), 0)
    stop = None
    if empty[: len(head)] == head:
        yield from speller.spell(head)
        stop = empty[len(head)]
    else:  # the tokenizer fuses "[[]]": the answers part before the bracket
        ended = yield from speller.part(head, empty)
        if ended:
            return
    for box in range(1, most + 1):
        x0 = yield from speller.number(0, LAST - 1, stop if box == 1 else None)
        if x0 is None:
            yield from speller.spell(empty[len(head) + 1 :])
            return
        yield from speller.spell(comma)
        y0 = yield from speller.number(0, LAST - 1)
        yield from speller.spell(comma)
        yield from speller.number(x0 + 1, LAST)
        yield from speller.spell(comma)
        yield from speller.number((y0 or 0) + 1, LAST)
        if box == most:
            yield from speller.spell(end)
        elif (yield from speller.part(between, end, ahead=True)):
            return


TASK: Task[list[Box]] = Task(
    name="heads",
    question=lambda: DETECTION_PROMPT,
    format=format_boxes,
    parse=parse_boxes,
    grammar=grammar,
    examples=([], [(100, 200, 300, 400), (500, 0, 999, 999)]),
)
