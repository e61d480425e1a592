# SPDX-License-Identifier: Apache-2.0
"""What a task's grammar is written with: pieces of answers, whatever the tokenizer.

A grammar is a generator. It yields choices of allowed next tokens, is sent the token taken, and
returns after the end token; `vlm` makes the choices and knows what they are.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

Run = tuple[int, ...]
Grammar = Generator[Any, int, None]
Number = Generator[Any, int, int | None]
Part = Generator[Any, int, bool]


class Speller(Protocol):
    """Pieces of answers for one tokenizer."""

    def fixed(self, answer: str, numbers: int) -> Sequence[Run]:
        """The runs of tokens around so many numbers of an example answer, end token included."""

    def spell(self, ids: Sequence[int]) -> Grammar:
        """Exactly these tokens."""

    def number(
        self, low: int, high: int, stop: int | None = None, circular: bool = False
    ) -> Number:
        """A number of three digits in low..high; None if the token `stop` was taken instead.
        `circular` marks an angle."""

    def part(self, one: Sequence[int], other: Sequence[int], ahead: bool = False) -> Part:
        """Either run, `other` being an end; whether that was taken. `ahead`: `one` may be computed
        before it is decided."""

    def one_of(self, runs: Sequence[Run]) -> Generator[Any, int, int]:
        """One of these runs, none of which begins another; its index. What they share is no
        choice."""

    def words(self, answers: Sequence[str]) -> Grammar:
        """One of these whole answers; what they share is no choice."""
