# SPDX-License-Identifier: Apache-2.0
"""Reading answers: the one group of brackets in a text, and the numbers in it."""

from __future__ import annotations

import re

from .task import Reason

_NUMBER = re.compile(r"[0-9]{3}")  # not \d, which also matches the digits of other scripts
_NUMERIC = re.compile(r"[0-9,;.+\-\s]*")
_NOT_DELIMITER = re.compile(r"[^\[\]{}]+")
BRACES = re.compile(r"\{([^{}]*)\}")
BRACKETS = re.compile(r"\[\[([^\[\]]*)\]\]")


def only_group(text: str, group: re.Pattern[str], pair: str, other: Reason) -> str | Reason:
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


def numbers_of(content: str, count: int) -> list[int] | Reason:
    """So many whole numbers of three digits, separated by commas, or what is wrong."""
    parts = content.split(",")
    if len(parts) == count and all(map(_NUMBER.fullmatch, parts)):
        return [int(p) for p in parts]
    return Reason.WRONG_NUMBER if _NUMERIC.fullmatch(content) else Reason.TEXT
