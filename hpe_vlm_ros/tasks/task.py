# SPDX-License-Identifier: Apache-2.0
"""What a task is: a question in words, and an answer that a program can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Reason(str, Enum):
    """Why an answer is invalid; the names are those of the paper's Table II, and one for
    answers that are a word."""

    RECYCLED_OUTPUT = "recycled output"  # a group that never ends, or the answer given again
    WRONG_NUMBER = "wrong number"  # not the asked count of numbers, or of digits
    BOX_FORMAT = "box format"  # boxes where angles were asked
    ANGLE_FORMAT = "angle format"  # angles where boxes were asked
    TEXT = "text"  # words where numbers were asked
    MIXED = "mixed"  # both kinds of brackets, or brackets that do not pair
    LOGICAL_ERROR = "logical error"  # numbers out of range, or a box turned inside out
    UNKNOWN_LABEL = "unknown label"  # a word that is none of the asked ones, or several of them

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


@dataclass(frozen=True)
class Task(Generic[T]):
    """A kind of question.

    Attributes:
        name: of the task, such as "pose".
        question: from what the question is about to its text.
        format: from the true value to the text of the answer.
        parse: from the text of an answer to its value, or why there is none; never raises.
        grammar: `grammar(speller, ...)` rules the answer's tokens, see `tasks.grammar`; every
            answer that it lets through is one that `parse` reads.
        examples: values that answers may have, for tests and to find an answer's fixed text.
        sees_image: False for questions that hold all they are about as text: they take no picture.
        experts: the name of the language experts that answer, see `docs/engine.md`.
    """

    name: str
    question: Callable[..., str]
    format: Callable[[T], str]
    parse: Callable[[str], Parsed[T]]
    grammar: Callable[..., Any]
    examples: tuple[T, ...]
    sees_image: bool = True
    experts: str = "heads"
