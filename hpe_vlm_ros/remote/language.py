# SPDX-License-Identifier: Apache-2.0
"""The forms of an answer, in the two notations that servers read: regular expressions and GBNF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_

from ..answers import format_angles, format_boxes, format_referred


@dataclass(frozen=True)
class Language:
    """A set of texts.

    Attributes:
        regex: matches each text as a whole. Only literals, classes, groups, "|" and "{m,n}", which
            xgrammar, outlines and llguidance read alike.
        gbnf: the same set as the right side of a GBNF rule (llama.cpp, grammars/README.md).
    """

    regex: str
    gbnf: str

    def __add__(self, other: Language) -> Language:
        return Language(self.regex + other.regex, f"{self.gbnf} {other.gbnf}")

    def __or__(self, other: Language) -> Language:
        return Language(f"({self.regex}|{other.regex})", f"({self.gbnf} | {other.gbnf})")

    def repeated(self, low: int, high: int) -> Language:
        """The text `low` to `high` times, each time a text of this language."""
        return Language(f"({self.regex}){{{low},{high}}}", f"({self.gbnf}){{{low},{high}}}")

    def matches(self, text: str) -> bool:
        """Whether this very text, from its first to its last character, belongs to the language."""
        return re.fullmatch(self.regex, text) is not None

    @property
    def rules(self) -> str:
        """A whole GBNF grammar."""
        return f"root ::= {self.gbnf}"


def literal(text: str) -> Language:
    """This text alone; printable ASCII."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return Language(re.sub(r"([][{}().*+?|^$\\])", r"\\\1", text), f'"{quoted}"')


def one_of(characters: str) -> Language:
    """One character of a class such as 0-9."""
    return Language(f"[{characters}]", f"[{characters}]")


DIGIT = one_of("0-9")
NUMBER = DIGIT + DIGIT + DIGIT
ANGLE = (one_of("0-2") + DIGIT + DIGIT) | (literal("3") + one_of("0-5") + DIGIT)  # 000..359
BOX = NUMBER + (literal(",") + NUMBER).repeated(3, 3)


@cache
def boxes(most: int) -> Language:
    """Answers that name 0 to `most` boxes, in any order; a box may be turned inside out."""
    before, _, after = format_boxes([(0, 0, 1, 1)]).partition("000,000,001,001")
    some = BOX + (literal(";") + BOX).repeated(0, most - 1)
    return literal(before) + some.repeated(0, 1) + literal(after)


@cache
def angles() -> Language:
    """Answers about a pose, each number in 000..359."""
    before, _, after = format_angles(0, 0, 0).partition("000,000,000")
    return literal(before) + ANGLE + (literal(",") + ANGLE).repeated(2, 2) + literal(after)


def one_text_of(texts: Sequence[str]) -> Language:
    """These texts alone, such as the answers of a task whose answers are a label."""
    return reduce(or_, map(literal, texts))


@cache
def one_box() -> Language:
    """Answers to `referring_prompt`."""
    before, _, after = format_referred((0, 0, 1, 1)).partition("000,000,001,001")
    return literal(before) + BOX + literal(after)
