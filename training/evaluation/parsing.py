# SPDX-License-Identifier: Apache-2.0
"""Five ways to get valid numbers out of a model's answers (the paper's Table VIII, and our own).

none              what the model says, held to the format
regex-loose       what it says; the first three numbers count, whatever stands around them
regex-strict      what it says; valid if there are exactly three numbers, each in 0..360
logit constraint  only digits, brackets and the words of the formats can be said, in any order;
                  then held to the format
grammar           only valid answers can be said

The same for boxes, with groups of four numbers. All take the most likely token, so that nothing
but the format differs; the deployed model may use the mean of a number's distribution instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hpe_vlm_ros.answers import GRID, Angles, Box, parse_angles, parse_boxes


def numbers(text: str) -> list[int]:
    """All runs of digits in a text."""
    return [int(run) for run in re.findall("[0-9]+", text)]


def loose_angles(text: str) -> Angles | None:
    """The first three numbers anywhere, modulo 360."""
    return _signed(numbers(text)[:3])


def strict_angles(text: str) -> Angles | None:
    """Three numbers in 0..360 and no other, whatever stands around them."""
    found = numbers(text)
    return _signed(found) if max(found, default=0) <= 360 else None


def loose_boxes(text: str) -> list[Box] | None:
    """Each four numbers a box, whatever they are; no box at all only if said in the format."""
    return _fours(numbers(text)) or parse_boxes(text).value


def strict_boxes(text: str) -> list[Box] | None:
    """As `loose_boxes`, but no number is left over, and each box is one and on the grid."""
    found = numbers(text)
    boxes = _fours(found)
    fits = all(x0 < x1 < GRID and y0 < y1 < GRID for x0, y0, x1, y1 in boxes)
    if len(found) > 4 * len(boxes) or not fits:
        return None
    return boxes or parse_boxes(text).value


def referred_box(text: str) -> Box | None:
    """The box of an answer to `referring_prompt`; of several the one around all, as CogVLM's own
    scorer has it; None where the answer is invalid or holds none."""
    boxes = parse_boxes(text).value
    if not boxes:
        return None
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _fours(found: list[int]) -> list[Box]:
    return [(a, b, c, d) for a, b, c, d in zip(*[iter(found)] * 4, strict=False)]


def _signed(found: list[int]) -> Angles | None:
    if len(found) != 3:
        return None
    yaw, pitch, roll = (180.0 - (180 - number) % 360 for number in found)
    return yaw, pitch, roll


@dataclass(frozen=True)
class Format:
    """How answers come about ("free", "symbols" or "grammar") and how they are read."""

    decoding: str
    angles: Callable[[str], Angles | None] = lambda text: parse_angles(text).value
    boxes: Callable[[str], list[Box] | None] = lambda text: parse_boxes(text).value


FORMATS = {
    "none": Format("free"),
    "regex-loose": Format("free", loose_angles, loose_boxes),
    "regex-strict": Format("free", strict_angles, strict_boxes),
    "logit constraint": Format("symbols"),
    "grammar": Format("grammar"),
}
