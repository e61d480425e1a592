# SPDX-License-Identifier: Apache-2.0
"""Constrained decoding: many questions about one image, each answer valid by construction.

Tokens that the grammar forces are not generated one by one but fed together with the next
decision (jump-forward), after a box the token that would open another box is computed along with
the decision whether there is one, and the digits of an angle are decided at once (`digit_tree`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .backend import Ids, Logits
from .digit_tree import CIRCLE, Tree, angle_probabilities, angle_tree, path
from .grammar import Choice, Grammar, Kind
from .lanes import Lanes
from .numbers import by_digits, circular_mean, near_mean

Probabilities = NDArray[np.float64]
Pick = Callable[[Choice, Probabilities], int]


@dataclass(frozen=True)
class Decision:
    """A choice the model made: probabilities over choice.allowed, and the index it took.

    Where an angle's digits were decided at once, both are of its numbers 0..359.
    """

    choice: Choice
    probabilities: Probabilities
    taken: int


@dataclass(frozen=True)
class Answer:
    """Tokens (end token included) and the decisions among them."""

    tokens: list[int]
    decisions: list[Decision]


def most_likely(choice: Choice, probabilities: Probabilities) -> int:
    """What greedy decoding takes, token by token."""
    return int(probabilities.argmax()) if choice.digits is None else by_digits(probabilities)


def expected(choice: Choice, probabilities: Probabilities) -> int:
    """As `most_likely`, but a number that is decided at once stands for its distribution's mean.

    Angles take the circular mean; coordinates the mean near the mode, so that two heads are never
    averaged. The answer remains an answer: only which number is written changes.
    """
    mode, count = int(probabilities.argmax()), len(choice.tokens)
    if choice.kind is not Kind.NUMBER or mode >= count:
        return mode
    if choice.circular:
        return round(circular_mean(probabilities[:count])) % count
    return round(near_mean(probabilities[:count], mode))


class _Lane:
    """One answer in the making: a grammar, and tokens not yet fed to the model."""

    def __init__(self, prompt: Sequence[int], grammar: Grammar):
        self.tokens: list[int] = []
        self.decisions: list[Decision] = []
        self.pending = list(prompt)
        self.choice: Choice | None = None
        self._grammar = grammar
        self._advance(None)

    def _advance(self, token: int | None) -> None:
        """Go on to the next real choice, taking forced tokens on the way."""
        try:
            choice = next(self._grammar) if token is None else self._grammar.send(token)
            while choice.forced:
                forced = int(choice.tokens[0])
                if choice.kind is not Kind.TEXT:  # the only possible number: certain, and free
                    self.decisions.append(Decision(choice, np.ones(1), 0))
                self.tokens.append(forced)
                self.pending.append(forced)
                choice = self._grammar.send(forced)
            self.choice = choice
        except StopIteration:
            self.choice = None

    def chunk(self) -> tuple[list[int], int, Tree | None]:
        """Tokens to feed now, after how many of the last ones logits are needed, and a tree."""
        assert self.choice is not None
        guess, digits = self.choice.guess, self.choice.digits
        chunk = self.pending if guess is None else [*self.pending, guess]
        self.pending = []
        return chunk, 1 if guess is None else 2, None if digits is None else angle_tree(digits)

    def decide(self, logits: Logits, pick: Pick) -> list[int]:
        """Take decisions from the logits that `chunk` asked for; tells which of the tree it took.

        Of two rows without a tree, the second is behind the guess.
        """
        if self.choice is not None and self.choice.digits is not None:
            return self._decide_angle(logits, self.choice.digits, pick)
        for row in logits.astype(np.float64):
            choice = self.choice
            if choice is None or self.pending:
                break
            allowed = choice.allowed if len(choice.allowed) else np.arange(len(row))
            scores = np.exp(row[allowed] - row[allowed].max())
            probabilities = scores / scores.sum()
            taken = pick(choice, probabilities)
            token = int(allowed[taken])
            self.decisions.append(Decision(choice, probabilities, taken))
            self.tokens.append(token)
            if token != choice.guess:  # the guess has been fed already
                self.pending.append(token)
            self._advance(token)
        return []

    def _decide_angle(self, logits: Logits, digits: Ids, pick: Pick) -> list[int]:
        choice = Choice(Kind.NUMBER, np.arange(CIRCLE), circular=True, digits=digits)
        probabilities = angle_probabilities(logits, digits)
        number = pick(choice, probabilities)
        self.decisions.append(Decision(choice, probabilities, number))
        spelt = [int(digits[int(digit)]) for digit in f"{number:03d}"]
        self.tokens += spelt
        self.pending.append(spelt[-1])  # the others are in the tree
        for token in spelt:
            self._advance(token)
        return path(number)


def ask(
    lanes: Lanes,
    prompts: Sequence[Sequence[int]],
    grammars: Sequence[Grammar],
    pick: Pick = most_likely,
) -> list[Answer]:
    """Answers to all prompts (token ids), decoded together; grammars[i] rules answer i."""
    numbers = lanes.open(len(prompts))
    made = [_Lane(p, g) for p, g in zip(prompts, grammars, strict=True)]
    while active := [(n, lane) for n, lane in zip(numbers, made, strict=True) if lane.choice]:
        chunks, keep, trees = zip(*(lane.chunk() for _, lane in active), strict=True)
        logits = lanes.feed([n for n, _ in active], chunks, keep, trees)
        for (number, lane), rows in zip(active, logits, strict=True):
            lanes.adopt(number, lane.decide(rows, pick))
    return [Answer(lane.tokens, lane.decisions) for lane in made]
