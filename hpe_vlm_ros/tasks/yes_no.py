# SPDX-License-Identifier: Apache-2.0
"""Whether something is so of a person's body, told from its keypoints alone."""

from __future__ import annotations

from numpy.typing import ArrayLike

from .body_text import body_text
from .label import check_label, label_task

LABELS = ("yes", "no")
STATEMENTS = {
    "standing": "Is the person standing",
    "sitting": "Is the person sitting",
    "knees bent": "Is the person with knees bent",
    "left hand raised": "Is the left hand raised",
    "right hand raised": "Is the right hand raised",
    "both hands raised": "Is the person with both hands raised",
    "arms crossed": "Is the person with arms crossed",
    "hand at the face": "Is a hand at the face",
}
"""How each statement is asked; left and right are the person's own."""


def question(statement: str, points: ArrayLike) -> str:
    """Whether one of STATEMENTS is so of a body with keypoints (17, 3), see `body_text`."""
    return f"{STATEMENTS[check_label(statement, tuple(STATEMENTS))]} in {{{body_text(points)}}}?"


TASK = label_task("yes_no", "answer", question, LABELS, sees_image=False, experts="signals")
