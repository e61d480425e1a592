# SPDX-License-Identifier: Apache-2.0
"""The language of valid answers, as coroutines over tokens.

A grammar is a generator: it yields a `Choice` of allowed next tokens, is sent the token taken, and
returns after the end token. Whatever is sent from among the allowed, the answer is well-formed
and logically valid, and it ends. Works for tokenizers with whole-number tokens ("000".."999") and
for those with one token per digit (Llama); fixed text is always the tokenizer's own tokenisation
of a whole answer, never of fragments. Choices are made once and then looked up, so that the grammar
costs next to nothing beside the model.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property

import numpy as np

from hpe_vlm_ros.answers import format_angles, format_boxes
from hpe_vlm_ros.vlm.backend import Ids

from .tokens import TextTokenizer

LAST = 999  # the largest coordinate
SYMBOLS = re.compile(r"[0-9\[\]{},;.▁]+")


class Kind(Enum):
    TEXT = "text"  # fixed text; usually a single token
    NUMBER = "number"  # a whole number in one token
    DIGIT = "digit"  # one decimal digit of a number
    MORE = "more"  # another box, or the end
    FREE = "free"  # anything goes


@dataclass(frozen=True)
class Choice:
    """Allowed next tokens. For numbers and digits, tokens[i] means the value low + i.

    `stop` is one more allowed token, which ends the answer in place of a first number. `guess` is
    the token to compute ahead, since any other one ends the answer. `circular` marks angles.
    `digits`, the tokens 0..9, marks an angle's hundreds: all its digits may be decided at once.
    """

    kind: Kind
    tokens: Ids
    low: int = 0
    stop: int | None = None
    guess: int | None = None
    circular: bool = False
    digits: Ids | None = None

    @cached_property
    def allowed(self) -> Ids:
        """All allowed ids, `stop` last; empty means the whole vocabulary."""
        return self.tokens if self.stop is None else np.append(self.tokens, self.stop)

    @property
    def forced(self) -> bool:
        return len(self.tokens) == 1 and self.stop is None


Grammar = Generator[Choice, int, None]


def spell(ids: Iterable[int]) -> Grammar:
    """Exactly these tokens."""
    for token in ids:
        yield _forced(token)


@cache
def _forced(token: int) -> Choice:
    return Choice(Kind.TEXT, np.array([token]))


@cache
def _either(one: int, other: int, ahead: bool) -> Choice:
    return Choice(Kind.MORE, np.array([one, other]), guess=one if ahead else None)


class AnswerGrammar:
    """Grammars of the two answers for one tokenizer."""

    def __init__(self, tokenizer: TextTokenizer):
        self._tokenizer = tokenizer
        if tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer has no end token; its files are incomplete")
        self.eos = int(tokenizer.eos_token_id)
        vocabulary = tokenizer.get_vocab()
        self.whole_numbers = all(f"{n:03d}" in vocabulary for n in range(1000))
        texts = [f"{n:03d}" for n in range(1000)] if self.whole_numbers else list("0123456789")
        missing = [text for text in texts if text not in vocabulary]
        if missing:
            raise ValueError(
                f"the tokenizer has neither the tokens 000..999 nor all digits: {missing[:3]} "
                "missing; use the tokenizer files that belong to the checkpoint"
            )
        self._numbers = np.array([vocabulary[text] for text in texts])
        self._values = {vocabulary[text]: value for value, text in enumerate(texts)}
        self._whole = cache(self._whole_number)
        two = [(111, 111, 222, 222)] * 2
        self._box_text = self._fixed(format_boxes(two), 8)
        self._angle_text = self._fixed(format_angles(1, 2, 3), 3)
        self._empty = (*self._encode(format_boxes([])), self.eos)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _fixed(self, answer: str, numbers: int) -> list[tuple[int, ...]]:
        """The token runs around the numbers of an example answer, end token included."""
        runs: list[list[int]] = [[]]
        width = 1 if self.whole_numbers else 3
        seen = 0
        for token in [*self._encode(answer), self.eos]:
            if token not in self._values:
                runs[-1].append(token)
                continue
            seen += 1
            if seen % width == 0:
                runs.append([])
        if len(runs) != numbers + 1:
            raise ValueError(f"the tokenizer splits numbers in an unknown way in {answer!r}")
        return [tuple(run) for run in runs]

    def _whole_number(self, low: int, high: int, stop: int | None, circular: bool) -> Choice:
        return Choice(Kind.NUMBER, self._numbers[low : high + 1], low, stop, circular=circular)

    def _number(
        self, low: int, high: int, stop: int | None = None, circular: bool = False
    ) -> Generator[Choice, int, int | None]:
        """One three-digit number in low..high; returns it, or None if `stop` was taken."""
        if self.whole_numbers:
            token = yield self._whole(low, high, stop, circular)
            return None if token == stop else self._values[token]
        value = 0
        for place in (100, 10, 1):
            first = max(low // place - value * 10, 0)
            last = min(high // place - value * 10, 9)
            tokens = self._numbers[first : last + 1]
            if place == 100:
                digits = self._numbers if circular else None
                token = yield Choice(Kind.DIGIT, tokens, first, stop, digits=digits)
                if token == stop:
                    return None
            else:
                token = yield Choice(Kind.DIGIT, tokens, first)
            value = value * 10 + self._values[token]
        return value

    def angles(self) -> Grammar:
        """ "The head orientation angles are {yyy,ppp,rrr}." with each number in 000..359."""
        head, *separators = self._angle_text
        yield from spell(head)
        for separator in separators:
            yield from self._number(0, 359, circular=True)
            yield from spell(separator)

    def boxes(self, max_heads: int) -> Grammar:
        """ "Their head bounding boxes are [[...]]." with 0..max_heads boxes, x0 < x1, y0 < y1."""
        if max_heads < 1:
            raise ValueError(f"max_heads is {max_heads}; it must be at least 1")
        head, comma, *_, between, _, _, _, end = self._box_text
        stop = None
        if self._empty[: len(head)] == head:
            yield from spell(head)
            stop = self._empty[len(head)]
        else:  # the tokenizer fuses "[[]]": the answers part before the bracket
            ended = yield from self._part(head, self._empty)
            if ended:
                return
        for box in range(1, max_heads + 1):
            x0 = yield from self._number(0, LAST - 1, stop if box == 1 else None)
            if x0 is None:
                yield from spell(self._empty[len(head) + 1 :])
                return
            yield from spell(comma)
            y0 = yield from self._number(0, LAST - 1)
            yield from spell(comma)
            yield from self._number(x0 + 1, LAST)
            yield from spell(comma)
            yield from self._number((y0 or 0) + 1, LAST)
            if box == max_heads:
                yield from spell(end)
            elif (yield from self._part(between, end, ahead=True)):
                return

    def _part(
        self, one: Sequence[int], other: Sequence[int], ahead: bool = False
    ) -> Generator[Choice, int, bool]:
        """Either token run, `other` being an end; returns whether `other` was taken."""
        common = 0
        while one[common] == other[common]:
            common += 1
        yield from spell(one[:common])
        token = yield _either(one[common], other[common], ahead)
        ended = bool(token == other[common])
        yield from spell((other if ended else one)[common + 1 :])
        return ended

    def free(self, limit: int, symbols: bool = False) -> Grammar:
        """Up to the end token or `limit` tokens, anything goes: what the model says by itself.

        With `symbols`, anything out of `symbols`.
        """
        allowed = self.symbols if symbols else np.array([], dtype=np.int64)
        for _ in range(limit):
            token = yield Choice(Kind.FREE, allowed)
            if token == self.eos:
                return

    @cached_property
    def symbols(self) -> Ids:
        """Numbers, brackets and separators, the words of both answers and the end token.

        The fixed token mask that the paper calls "Logit Constraint": it knows no order.
        """
        words = {*self._encode(format_boxes([(0, 0, 1, 1)] * 2)), *self._empty}
        words |= set(self._encode(format_angles(0, 0, 0)))
        vocabulary = self._tokenizer.get_vocab()
        marks = {id for token, id in vocabulary.items() if SYMBOLS.fullmatch(token)}
        return np.array(sorted(words | marks))


def allowed_after(grammar: Grammar, taken: Sequence[int]) -> list[int]:
    """Allowed next tokens after the tokens `taken`; empty once the answer has ended.

    With it, transformers' `prefix_allowed_tokens_fn` enforces the same language.
    """
    try:
        choice = next(grammar)
        for token in taken:
            if token not in choice.allowed:
                raise ValueError(f"token {token} is not in the grammar after {list(taken)}")
            choice = grammar.send(token)
    except StopIteration:
        return []
    return [int(token) for token in choice.allowed]
