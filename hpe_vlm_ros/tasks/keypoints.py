# SPDX-License-Identifier: Apache-2.0
"""Where a named point of a person or thing is, and whether it is seen.

Points are asked for by name and description, one a question, as in LocLLM (Wang et al., 2024) of
people and in CapeLLM (arXiv 2411.06869) of things: the model is told what a wrist is, so that a
point that it was not taught can be asked for as well. A person is the category whose 17 points have
fixed names; all else about the question and its answer is the same for a mug. The
answer names a cell of the grid of 1000 x 1000 over the picture, see `grid`.
"""

from __future__ import annotations

from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, SEEN

from .grid import GRID, Box, box_text
from .label import parse_label
from .speller import Grammar, Speller
from .task import Parsed, Reason, Task
from .text import BRACKETS, numbers_of, only_group

Point = tuple[int, int, int]
"""Column and row of a cell, and a visibility of `skeleton`; ABSENT has the cell 0, 0."""

PERSON = "person"  # the category of KEYPOINTS
LABELS = ("absent", "hidden", "visible")  # by visibility
_PARTS = {
    "nose": "the tip of the nose in the middle of the face",
    "eye": "the middle of the eye on the {side} of the face",
    "ear": "the middle of the ear on the {side} of the head",
    "shoulder": "the joint of the {side} upper arm and the body",
    "elbow": "the joint between the {side} upper and lower arm",
    "wrist": "the joint between the {side} lower arm and hand",
    "hip": "the joint of the {side} upper leg and the body",
    "knee": "the joint between the {side} upper and lower leg",
    "ankle": "the joint between the {side} lower leg and foot",
}


def _description(name: str) -> str:
    side, _, part = name.rpartition(" ")
    return _PARTS[part].format(side=side)


DESCRIPTIONS = {name: _description(name) for name in KEYPOINTS}
"""What each of the 17 keypoints is; left and right are the person's own."""


def question(box: Box, name: str, description: str | None = None, category: str = PERSON) -> str:
    """The question for a point of what is in `box` (grid cells), of a category such as "mug".

    description: what the point is; None: as in DESCRIPTIONS for a person, of other things the name
    alone; "": the name alone. ValueError for a person's point without a description that is none of
    KEYPOINTS.
    """
    if description is None and category == PERSON:
        if name not in DESCRIPTIONS:
            known = ", ".join(KEYPOINTS)
            raise ValueError(f"{name!r} is no keypoint: describe it, or ask for one of {known}")
        description = DESCRIPTIONS[name]
    what = f"the {name}, {description}" if description else f"the {name}"
    return f"For the {category} inside the bounding box [[{box_text(box)}]], where is {what}?"


def format_answer(point: Point) -> str:
    """The answer naming a point; ValueError for one that no answer may hold."""
    x, y, visibility = point
    if not (0 <= x < GRID and 0 <= y < GRID and ABSENT <= visibility <= SEEN):
        raise ValueError(f"point {point}: need a cell 0..999, 0..999 and a visibility 0, 1 or 2")
    if visibility == ABSENT:
        return f"The point is {LABELS[ABSENT]}."
    return f"The point is {LABELS[visibility]} at [[{x:03d},{y:03d}]]."


def parse(text: str) -> Parsed[Point]:
    """The point that an answer names, or why there is none.

    Valid: one of LABELS; without a bracket where that is "absent", else with exactly one group
    ``[[...]]`` of two three-digit integers; any text around. Never raises.
    """
    content = only_group(text, BRACKETS, "[[]]", Reason.ANGLE_FORMAT)
    if content is Reason.TEXT:
        label = parse_label(text, LABELS)
        if label.value is None:
            return Parsed(reason=label.reason)
        return Parsed((0, 0, ABSENT)) if label.value == LABELS[ABSENT] else Parsed(reason=content)
    if isinstance(content, Reason):
        return Parsed(reason=content)
    label = parse_label(text.replace(f"[[{content}]]", ""), LABELS)
    if label.value is None:
        return Parsed(reason=label.reason)
    if label.value == LABELS[ABSENT]:
        return Parsed(reason=Reason.LOGICAL_ERROR)
    numbers = numbers_of(content, 2)
    if isinstance(numbers, Reason):
        return Parsed(reason=numbers)
    return Parsed((numbers[0], numbers[1], LABELS.index(label.value)))


def grammar(speller: Speller) -> Grammar:
    """Answers of one point: first whether it is seen, then where."""
    absent = speller.fixed(format_answer((0, 0, ABSENT)), 0)
    there = [
        speller.fixed(format_answer((111, 222, visibility)), 2) for visibility in range(1, SEEN + 1)
    ]
    chosen = yield from speller.one_of([absent[0], *(head for head, *_ in there)])
    if chosen == ABSENT:
        return
    for between in there[chosen - 1][1:]:
        yield from speller.number(0, GRID - 1)
        yield from speller.spell(between)


TASK: Task[Point] = Task(
    name="keypoints",
    question=question,
    format=format_answer,
    parse=parse,
    grammar=grammar,
    examples=((0, 0, 0), (452, 310, 2), (7, 999, 1)),
)
