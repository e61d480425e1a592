# SPDX-License-Identifier: Apache-2.0
"""Prompts and answers of HPE-CogVLM (arXiv 2406.01914, Table II): build, read, say what is wrong.

Boxes stand on a grid of 1000 x 1000 cells over the image (column, row; origin top left), written
``[[x0,y0,x1,y1;...]]`` with three digits each. Angles are whole degrees modulo 360, written
``{yaw,pitch,roll}`` with three digits each; their signs are those of `hpe_vlm_ros.geometry`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

Box = tuple[int, int, int, int]
Angles = tuple[float, float, float]
T = TypeVar("T")

GRID = 1000
DETECTION_PROMPT = "How many human heads are in this image and what are the head bounding boxes?"

_NUMBER = re.compile(r"[0-9]{3}")  # not \d, which also matches the digits of other scripts
_NUMERIC = re.compile(r"[0-9,;.+\-\s]*")
_NOT_DELIMITER = re.compile(r"[^\[\]{}]+")
_BRACE_GROUP = re.compile(r"\{([^{}]*)\}")
_BRACKET_GROUP = re.compile(r"\[\[([^\[\]]*)\]\]")


class Reason(str, Enum):
    """Why an answer is invalid; the names are those of the paper's Table II."""

    RECYCLED_OUTPUT = "recycled output"  # a group that never ends, or the answer given again
    WRONG_NUMBER = "wrong number"  # not the asked count of numbers, or of digits
    BOX_FORMAT = "box format"  # boxes where angles were asked
    ANGLE_FORMAT = "angle format"  # angles where boxes were asked
    TEXT = "text"  # words where numbers were asked
    MIXED = "mixed"  # both kinds of brackets, or brackets that do not pair
    LOGICAL_ERROR = "logical error"  # numbers out of range, or a box turned inside out

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """Either a value (then `reason` is None) or the reason why there is none."""

    value: T | None = None
    reason: Reason | None = None

    @property
    def valid(self) -> bool:
        """True if there is a value; an empty list of boxes is one."""
        return self.reason is None


def pose_prompt(box: Box) -> str:
    """The question for the head in `box` (grid cells)."""
    return f"What is the head yaw pitch roll inside the bounding box [[{_box_text(box)}]]?"


def referring_prompt(expression: str) -> str:
    """Question for the box of what the words single out, in the templates of CogVLM's training."""
    return f"Where is {expression}? answer in [[x0,y0,x1,y1]] format."


def format_referred(box: Box) -> str:
    """Answer to `referring_prompt`: [[106,168,148,242]]; `parse_boxes` reads it."""
    return f"[[{_box_text(box)}]]"


def format_boxes(boxes: Sequence[Box]) -> str:
    """The answer naming `boxes` (grid cells) in order; ValueError for a box no answer may hold."""
    return f"Their head bounding boxes are [[{';'.join(map(_box_text, boxes))}]]."


def format_angles(yaw: float, pitch: float, roll: float) -> str:
    """The answer naming three angles in degrees, each rounded and taken modulo 360 (000..359)."""
    numbers = []
    for name, angle in (("yaw", yaw), ("pitch", pitch), ("roll", roll)):
        if not math.isfinite(angle):
            raise ValueError(f"{name} is {angle}: an answer can only name finite degrees")
        numbers.append(f"{round(float(angle) % 360) % 360:03d}")
    return f"The head orientation angles are {{{','.join(numbers)}}}."


def parse_boxes(text: str) -> Parsed[list[Box]]:
    """Boxes (grid cells) in an answer to `DETECTION_PROMPT`, or why invalid.

    Valid: exactly one group ``[[...]]``, no brace, any text around it; in the group nothing, or
    boxes of four three-digit integers with x0 < x1 and y0 < y1. Never raises.
    """
    content = _only_group(text, _BRACKET_GROUP, "[[]]", Reason.ANGLE_FORMAT)
    if isinstance(content, Reason):
        return Parsed(reason=content)
    boxes: list[Box] = []
    for item in content.split(";") if content else ():
        numbers = _numbers(item, 4)
        if isinstance(numbers, Reason):
            return Parsed(reason=numbers)
        boxes.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    if not all(x0 < x1 and y0 < y1 for x0, y0, x1, y1 in boxes):
        return Parsed(reason=Reason.LOGICAL_ERROR)
    return Parsed(boxes)


def parse_angles(text: str) -> Parsed[Angles]:
    """Degrees (yaw, pitch, roll) in (-180, 180], in an answer to `pose_prompt`, or why invalid.

    Valid: exactly one group ``{...}``, no square bracket, any text around it; in the group exactly
    three three-digit integers in 0..360, where 360 means 0. Never raises.
    """
    content = _only_group(text, _BRACE_GROUP, "{}", Reason.BOX_FORMAT)
    if isinstance(content, Reason):
        return Parsed(reason=content)
    numbers = _numbers(content, 3)
    if isinstance(numbers, Reason):
        return Parsed(reason=numbers)
    if max(numbers) > 360:
        return Parsed(reason=Reason.LOGICAL_ERROR)
    yaw, pitch, roll = (float(n - 360 if n > 180 else n) for n in numbers)
    return Parsed((yaw, pitch, roll))


def grid_box(box_px: Sequence[float], width: int, height: int) -> Box:
    """Grid cells of a box x0, y0, x1, y1 in pixels of a `width` x `height` image, clipped to it.

    A box narrower than a cell grows to one cell, so that the result always fits an answer.
    ValueError for a box that is not finite or turned inside out, and for an empty image.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"image of {width} x {height} pixels is empty: give its size in pixels")
    x0, y0, x1, y1 = (float(v) for v in box_px)
    if not (all(map(math.isfinite, (x0, y0, x1, y1))) and x0 <= x1 and y0 <= y1):
        raise ValueError(f"box {tuple(box_px)}: need finite x0 <= x1, y0 <= y1 in x0, y0, x1, y1")
    (left, right), (top, bottom) = _cells(x0, x1, width), _cells(y0, y1, height)
    return left, top, right, bottom


def pixel_box(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """Pixels x0, y0, x1, y1 at the centres of the grid cells of `box`; `grid_box` undoes it."""
    x0, x1 = ((v + 0.5) / GRID * width for v in box[0::2])
    y0, y1 = ((v + 0.5) / GRID * height for v in box[1::2])
    return x0, y0, x1, y1


def _cells(low: float, high: float, size: int) -> tuple[int, int]:
    first, last = (min(GRID - 1, max(0, int(v / size * GRID))) for v in (low, high))
    if first == last:
        first, last = (first, first + 1) if first < GRID - 1 else (first - 1, first)
    return first, last


def _box_text(box: Box) -> str:
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 < GRID and 0 <= y0 < y1 < GRID):
        raise ValueError(f"box {tuple(box)}: need x0 < x1, y0 < y1, all 0..999; see grid_box")
    return ",".join(f"{int(v):03d}" for v in box)


def _only_group(text: str, group: re.Pattern[str], pair: str, other: Reason) -> str | Reason:
    """Content of the one group of `text`, or what is wrong; `other` names the other kind."""
    delimiters = _NOT_DELIMITER.sub("", text) if isinstance(text, str) else ""
    own = [c for c in delimiters if c in pair]
    if not delimiters:
        return Reason.TEXT
    if not own:
        return other
    if len(own) < len(delimiters):
        return Reason.MIXED
    match = group.search(text)
    if delimiters == pair and match:
        return match.group(1)
    unterminated = own.count(pair[0]) > own.count(pair[-1])
    repeated = len(own) > len(pair) and delimiters == pair * (len(own) // len(pair))
    return Reason.RECYCLED_OUTPUT if unterminated or repeated else Reason.MIXED


def _numbers(content: str, count: int) -> list[int] | Reason:
    parts = content.split(",")
    if len(parts) == count and all(map(_NUMBER.fullmatch, parts)):
        return [int(p) for p in parts]
    return Reason.WRONG_NUMBER if _NUMERIC.fullmatch(content) else Reason.TEXT
