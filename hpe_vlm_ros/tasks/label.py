# SPDX-License-Identifier: Apache-2.0
"""Answers that are one word out of a few, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .task import Parsed, Reason

_WORD = re.compile(r"[A-Za-z]+")
_DELIMITER = re.compile(r"[\[\]{}]")


def parse_label(text: str, labels: Sequence[str]) -> Parsed[str]:
    """The one of `labels` that an answer names, whatever else it says, or why there is none.

    Upper and lower case are the same; the same label twice is still one. Never raises.
    """
    if not isinstance(text, str) or not text.strip():
        return Parsed(reason=Reason.TEXT)
    if _DELIMITER.search(text):
        return Parsed(reason=Reason.MIXED)
    said = {word.lower() for word in _WORD.findall(text)} & set(labels)
    if len(said) != 1:
        return Parsed(reason=Reason.UNKNOWN_LABEL)
    return Parsed(said.pop())


def check_label(label: str, labels: Sequence[str]) -> str:
    """The label itself; ValueError if it is none."""
    if label not in labels:
        raise ValueError(f"{label!r} is none of {', '.join(labels)}")
    return label
