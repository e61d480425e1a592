# SPDX-License-Identifier: Apache-2.0
"""Which way a head faces, in a word.

Classes are those of EFHQ (Dao et al., 2024) in front of the profile; behind it a head is "extreme",
where EFHQ's rule of angles would call the back of a head left or right. See `hpe_vlm_ros.facing`.
"""

from __future__ import annotations

from .grid import Box, box_text
from .label import check_label, parse_label
from .speller import Grammar, Speller
from .task import Parsed, Task

LABELS = ("frontal", "left", "right", "up", "down", "extreme")


def question(box: Box) -> str:
    """The question for the head in `box` (grid cells)."""
    return f"What is the head facing inside the bounding box [[{box_text(box)}]]?"


def format_answer(label: str) -> str:
    """The answer naming one of LABELS; left and right are the image's."""
    return f"The head facing is {check_label(label, LABELS)}."


def parse(text: str) -> Parsed[str]:
    """The class that an answer names, or why there is none."""
    return parse_label(text, LABELS)


def grammar(speller: Speller) -> Grammar:
    """Answers of one label."""
    return speller.words([format_answer(label) for label in LABELS])


TASK: Task[str] = Task(
    name="facing",
    question=question,
    format=format_answer,
    parse=parse,
    grammar=grammar,
    examples=LABELS,
)
