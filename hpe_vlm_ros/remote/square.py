# SPDX-License-Identifier: Apache-2.0
"""One test of a new server: does a square drawn at a known place come back at that place?

Servers resize pictures in their own ways, and coordinates may refer to the picture sent, to the
resized one or to one with borders. llama.cpp was found to be 60 of 1200 pixels off for Qwen3-VL on
pictures that are not square (github.com/ggml-org/llama.cpp/issues/16880). Every head would be off
as well, with no error, so the picture has the shape of a camera's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..answers import GRID, Box, grid_box, parse_boxes, referring_prompt

WIDTH, HEIGHT = 960, 540
SQUARE = (620, 90, 780, 250)  # pixels x0, y0, x1, y1: in no axis near the middle
GREY, RED = (110, 112, 115), (225, 20, 25)
QUESTION = referring_prompt("the red square")
TOKENS = 32  # of the answer
TOLERANCE = 25  # grid cells, 2.5 % of a side: models are seldom so far off


class Verdict(NamedTuple):
    """`right` is None where the model gave no box to judge by; `text` is for people."""

    right: bool | None
    text: str


def picture() -> NDArray[np.uint8]:
    """RGB (HEIGHT, WIDTH, 3)."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    x0, y0, x1, y1 = SQUARE
    image[y0:y1, x0:x1] = RED
    return image


def place() -> Box:
    """The square in grid cells."""
    return grid_box(SQUARE, WIDTH, HEIGHT)


def judge(answer: str) -> Verdict:
    """What the answer to QUESTION about `picture` says of the server."""
    found = parse_boxes(answer).value
    if found is None or len(found) != 1:
        return Verdict(None, "no valid box in the answer, so places were not tested")
    (box,) = found
    off = [answered - true for answered, true in zip(box, place(), strict=True)]
    worst = max(map(abs, off))
    if worst <= TOLERANCE:
        return Verdict(True, f"right to {100 * worst / GRID:.1f} % of a side")
    sides = (WIDTH, HEIGHT) * 2
    pixels = [round(cells * side / GRID) for cells, side in zip(off, sides, strict=True)]
    shifts = ", ".join(f"{shift:+d}" for shift in pixels)
    return Verdict(
        False,
        f"off by {shifts} pixels (x0, y0, x1, y1) in a picture of {WIDTH} x {HEIGHT}: boxes from "
        "this server are wrong for pictures that are not square",
    )
