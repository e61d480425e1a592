# SPDX-License-Identifier: Apache-2.0
"""Answers that are one word out of a few, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from .speller import Grammar, Speller
from .task import Parsed, Reason, Task

_WORD = re.compile(r"[A-Za-z]+")
_DELIMITER = re.compile(r"[\[\]{}]")


def label_task(
    name: str, subject: str, question: Callable[..., str], labels: tuple[str, ...], **facts: Any
) -> Task[str]:
    """A task whose answers say "The <subject> is <label>."; facts: other fields of the task."""

    def answer(label: str) -> str:
        return f"The {subject} is {check_label(label, labels)}."

    def parse(text: str) -> Parsed[str]:
        return parse_label(text, labels)

    def grammar(speller: Speller) -> Grammar:
        return speller.words([answer(label) for label in labels])

    return Task(name, question, answer, parse, grammar, labels, **facts)


def parse_label(text: str, labels: Sequence[str]) -> Parsed[str]:
    """The one of `labels` that an answer names, whatever else it says, or why there is none.

    Upper and lower case are the same; the same label twice is still one. Never raises.
    """
    if not isinstance(text, str) or not text.strip():
        return Parsed(reason=Reason.TEXT)
    if _DELIMITER.search(text):
        return Parsed(reason=Reason.MIXED)
    found = {word.lower() for word in _WORD.findall(text)} & set(labels)
    if len(found) != 1:
        return Parsed(reason=Reason.UNKNOWN_LABEL)
    return Parsed(found.pop())


def check_label(label: str, labels: Sequence[str]) -> str:
    """The label itself; ValueError if it is none."""
    if label not in labels:
        raise ValueError(f"{label!r} is none of {', '.join(labels)}")
    return label
