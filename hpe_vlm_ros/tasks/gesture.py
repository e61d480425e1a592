# SPDX-License-Identifier: Apache-2.0
"""Which gesture a head makes, told from its poses over two seconds: numbers, no picture.

The definitions are those of CCDb-HG: a nod is slight, quick or repeated about the pitch axis, a
shake about the yaw axis; a turn goes to another facing; a tilt lays the ear to the shoulder; updown
is a turn about the pitch axis.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from .label import label_task

LABELS = ("none", "nod", "shake", "turn", "tilt", "updown")
SAMPLES, NUMBERS = 20, 5  # of a window: 2 s at 10 Hz; yaw, pitch, roll, right, down
CENTRES = (100, 300, 500, 700, 900)  # the numbers that stand for zero, REACH numbers about each
REACH = 99
PER_DEGREE, PER_HEIGHT = 2, 500  # numbers for a degree, and for a height of the head's box


def question(window: ArrayLike) -> str:
    """The question about a window (20, 5): yaw, pitch, roll in degrees about the head's own axes
    and the shift of the box's middle to the right and down in heights of the box, all relative to
    the window's mean.

    Each becomes a number of three digits: half degrees, or two thousandths of a height, beside its
    own centre, so that a number alone tells which of the five it is. The five of a
    sample stand together, samples are separated by ";".
    """
    rows = ";".join("".join(f"{n:03d}" for n in row) for row in numbers_of(window))
    return f"What is the head gesture in {{{rows}}}?"


def numbers_of(window: ArrayLike) -> Iterable[list[int]]:
    """The whole numbers 000..999 that stand for a window (20, 5); ValueError for another shape or
    for values that are not finite."""
    values = np.asarray(window, dtype=float)
    if values.shape != (SAMPLES, NUMBERS) or not np.isfinite(values).all():
        raise ValueError(f"a window is {SAMPLES} x {NUMBERS} finite numbers, not {values.shape}")
    units = np.array([PER_DEGREE] * 3 + [PER_HEIGHT] * 2)
    steps = np.clip(np.rint(values * units), -REACH, REACH).astype(int)
    whole: list[list[int]] = (steps + CENTRES).tolist()
    return whole


TASK = label_task("gesture", "head gesture", question, LABELS, sees_image=False, experts="signals")
