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

from hpe_vlm_ros.tasks import Task, heads, pose
from hpe_vlm_ros.tasks.heads import format_boxes
from hpe_vlm_ros.tasks.pose import format_angles
from hpe_vlm_ros.vlm.backend import Ids

from .tokens import TextTokenizer

LAST = 999  # the largest coordinate
SYMBOLS = re.compile(r"[0-9\[\]{},;.▁]+")


class Kind(Enum):
    """What is decided at one place of an answer."""

    TEXT = "text"  # fixed text; usually a single token
    NUMBER = "number"  # a whole number in one token
    DIGIT = "digit"  # one decimal digit of a number
    MORE = "more"  # another box, or the end
    WORD = "word"  # one of a few words
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
        """Whether the grammar leaves one token only, which then needs no forward pass."""
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


@cache
def _word(tokens: tuple[int, ...]) -> Choice:
    return _forced(tokens[0]) if len(tokens) == 1 else Choice(Kind.WORD, np.array(tokens))


class AnswerGrammar:
    """What grammars are made of for one tokenizer, see `tasks.speller`, and the paper's two; `lead`
    stands before an answer's first word."""

    spell = staticmethod(spell)

    def __init__(self, tokenizer: TextTokenizer, lead: str = ""):
        self._tokenizer, self._lead = tokenizer, lead
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
        self._runs: dict[tuple[str, int], list[tuple[int, ...]]] = {}
        # a tokenizer that splits numbers in another way is refused now, not at the first question
        for example, numbers in ((format_boxes([]), 0), (format_angles(1, 2, 3), 3)):
            self.fixed(example, numbers)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(self._lead + text, add_special_tokens=False))

    def fixed(self, answer: str, numbers: int) -> list[tuple[int, ...]]:
        """The token runs around the numbers of an example answer, end token included."""
        if (answer, numbers) not in self._runs:
            self._runs[answer, numbers] = self._split(answer, numbers)
        return self._runs[answer, numbers]

    def label_runs(self, task: Task[str]) -> dict[str, tuple[int, ...]]:
        """The token run of each answer of a task whose answers are one of its labels."""
        return {label: self._only_run(task.format(label)) for label in task.examples}

    def _split(self, answer: str, numbers: int) -> list[tuple[int, ...]]:
        runs: list[list[int]] = [[]]
        width = 1 if self.whole_numbers else 3
        count = 0
        for token in [*self._encode(answer), self.eos]:
            if token not in self._values:
                runs[-1].append(token)
                continue
            count += 1
            if count % width == 0:
                runs.append([])
        if len(runs) != numbers + 1:
            raise ValueError(f"the tokenizer splits numbers in an unknown way in {answer!r}")
        return [tuple(run) for run in runs]

    def _whole_number(self, low: int, high: int, stop: int | None, circular: bool) -> Choice:
        return Choice(Kind.NUMBER, self._numbers[low : high + 1], low, stop, circular=circular)

    def number(
        self, low: int, high: int, stop: int | None = None, circular: bool = False
    ) -> Generator[Choice, int, int | None]:
        """One three-digit number in low..high; returns it, or None if `stop` was taken."""
        if self.whole_numbers:
            token = yield self._whole(low, high, stop, circular)
            return None if token == stop else self._values[token]
        value = 0
        for place in (100, 10, 1):
            # digits from which a number in low..high can still be reached
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
        return pose.grammar(self)

    def boxes(self, max_heads: int) -> Grammar:
        """ "Their head bounding boxes are [[...]]." with 0..max_heads boxes, x0 < x1, y0 < y1."""
        return heads.grammar(self, max_heads)

    def words(self, answers: Sequence[str]) -> Grammar:
        """One of these whole answers, as a tree of what tells them apart."""
        runs = [self._only_run(answer) for answer in answers]
        if len(set(runs)) != len(answers):
            raise ValueError(f"the tokenizer cannot tell the answers {answers} apart")
        yield from self.one_of(runs)

    def one_of(self, runs: Sequence[tuple[int, ...]]) -> Generator[Choice, int, int]:
        """One of these runs, none of which begins another, as such a tree; its index."""
        left, place = dict(enumerate(runs)), 0
        while any(len(run) > place for run in left.values()):
            token = yield _word(tuple(dict.fromkeys(run[place] for run in left.values())))
            left = {index: run for index, run in left.items() if run[place] == token}
            place += 1
        (taken,) = left
        return taken

    def _only_run(self, answer: str) -> tuple[int, ...]:
        (run,) = self.fixed(answer, 0)
        return run

    def part(
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
        words = {*self._encode(format_boxes([(0, 0, 1, 1)] * 2)), *self._encode(format_boxes([]))}
        words.add(self.eos)
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
