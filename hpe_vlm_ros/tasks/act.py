# SPDX-License-Identifier: Apache-2.0
"""What a person does: how the body is held and what the arms do, told from its keypoints alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

from numpy.typing import ArrayLike

from .body_text import body_text
from .label import check_label
from .speller import Grammar, Speller
from .task import Parsed, Reason, Task

POSTURES = ("standing", "sitting")
ARMS = (
    "arms down",
    "left hand raised",
    "right hand raised",
    "both hands raised",
    "arms crossed",
    "hand at the face",
)
LABELS = tuple(f"{posture}, {arms}" for posture in POSTURES for arms in ARMS)


def question(points: ArrayLike) -> str:
    """The question about a body with keypoints (17, 3), see `body_text`. Left and right are the
    person's own."""
    return f"What is the person doing in {{{body_text(points)}}}?"


def format_answer(label: str) -> str:
    """The answer naming one of LABELS."""
    return f"The person is {check_label(label, LABELS)}."


def parse(text: str) -> Parsed[str]:
    """The label that an answer names, or why there is none; never raises."""
    if not isinstance(text, str) or not text.strip():
        return Parsed(reason=Reason.TEXT)
    if re.search(r"[\[\]{}]", text):
        return Parsed(reason=Reason.MIXED)
    words = " ".join(re.findall(r"[a-z]+", text.lower()))
    found = [[one for one in kind if re.search(rf"\b{one}\b", words)] for kind in (POSTURES, ARMS)]
    if any(len(kind) != 1 for kind in found):
        return Parsed(reason=Reason.UNKNOWN_LABEL)
    (posture,), (arms,) = found
    return Parsed(f"{posture}, {arms}")


def grammar(speller: Speller) -> Grammar:
    """Answers of one posture and one word for the arms."""
    return speller.words([format_answer(label) for label in LABELS])


def marginals(answer: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Probabilities of POSTURES and of ARMS, from those of LABELS."""
    postures, arms = dict.fromkeys(POSTURES, 0.0), dict.fromkeys(ARMS, 0.0)
    for label, probability in answer.items():
        posture, _, held = label.partition(", ")
        postures[posture] += probability
        arms[held] += probability
    return postures, arms


TASK: Task[str] = Task(
    name="act",
    question=question,
    format=format_answer,
    parse=parse,
    grammar=grammar,
    examples=LABELS,
    sees_image=False,
    experts="signals",
)
