# SPDX-License-Identifier: Apache-2.0
"""The paper's question for the pose of one head (arXiv 2406.01914, Table II).

Angles are whole degrees modulo 360 in three digits each, ``{yaw,pitch,roll}``; their signs are
those of `hpe_vlm_ros.geometry`.
"""

from __future__ import annotations

import math

from .grid import Box, box_text
from .speller import Grammar, Speller
from .task import Parsed, Reason, Task
from .text import BRACES, numbers_of, only_group

Angles = tuple[float, float, float]


def pose_prompt(box: Box) -> str:
    """The question for the head in `box` (grid cells)."""
    return f"What is the head yaw pitch roll inside the bounding box [[{box_text(box)}]]?"


def format_angles(yaw: float, pitch: float, roll: float) -> str:
    """The answer naming three angles in degrees, each rounded and taken modulo 360 (000..359)."""
    numbers = []
    for name, angle in (("yaw", yaw), ("pitch", pitch), ("roll", roll)):
        if not math.isfinite(angle):
            raise ValueError(f"{name} is {angle}: an answer can only name finite degrees")
        numbers.append(f"{round(float(angle) % 360) % 360:03d}")
    return f"The head orientation angles are {{{','.join(numbers)}}}."


def parse_angles(text: str) -> Parsed[Angles]:
    """Degrees (yaw, pitch, roll) in (-180, 180], in an answer to `pose_prompt`, or why invalid.

    Valid: exactly one group ``{...}``, no square bracket, any text around it; in the group exactly
    three three-digit integers in 0..360, where 360 means 0. Never raises.
    """
    content = only_group(text, BRACES, "{}", Reason.BOX_FORMAT)
    if isinstance(content, Reason):
        return Parsed(reason=content)
    numbers = numbers_of(content, 3)
    if isinstance(numbers, Reason):
        return Parsed(reason=numbers)
    if max(numbers) > 360:
        return Parsed(reason=Reason.LOGICAL_ERROR)
    yaw, pitch, roll = (float(n - 360 if n > 180 else n) for n in numbers)
    return Parsed((yaw, pitch, roll))


def grammar(speller: Speller) -> Grammar:
    """Answers of three numbers in 000..359."""
    head, *separators = speller.fixed(format_angles(1, 2, 3), 3)
    yield from speller.spell(head)
    for separator in separators:
        yield from speller.number(0, 359, circular=True)
        yield from speller.spell(separator)


TASK: Task[Angles] = Task(
    name="pose",
    question=pose_prompt,
    format=lambda angles: format_angles(*angles),
    parse=parse_angles,
    grammar=grammar,
    examples=((0.0, 0.0, 0.0), (-135.0, 7.0, 180.0)),
)
