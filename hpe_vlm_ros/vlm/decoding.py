# SPDX-License-Identifier: Apache-2.0
"""Constrained decoding: many questions about one image, each answer valid by construction.

Tokens that the grammar forces are not generated one by one but fed together with the next
decision (jump-forward), and after a box the token that would open another box is computed along
with the decision whether there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .backend import Logits
from .grammar import Choice, Grammar, Kind
from .lanes import Lanes

Probabilities = NDArray[np.float64]
Pick = Callable[[Choice, Probabilities], int]
CIRCLE = 360
WINDOW = 12  # cells: a coordinate's mean is taken this near to its mode


@dataclass(frozen=True)
class Decision:
    """A choice the model made: probabilities over choice.allowed, and the index it took."""

    choice: Choice
    probabilities: Probabilities
    taken: int


@dataclass(frozen=True)
class Answer:
    """Tokens (end token included) and the decisions among them."""

    tokens: list[int]
    decisions: list[Decision]


def most_likely(choice: Choice, probabilities: Probabilities) -> int:
    return int(probabilities.argmax())


def expected(choice: Choice, probabilities: Probabilities) -> int:
    """As `most_likely`, but a whole-number token stands for the mean of its distribution.

    Angles take the circular mean; coordinates the mean near the mode, so that two heads are never
    averaged. The answer remains an answer: only which number is written changes.
    """
    mode = most_likely(choice, probabilities)
    count = len(choice.tokens)
    if choice.kind is not Kind.NUMBER or mode >= count:
        return mode
    weights = probabilities[:count]
    if choice.circular:
        phase = np.exp(2j * np.pi * np.arange(count) / CIRCLE)
        mean = np.angle((weights * phase).sum()) % (2 * np.pi) / (2 * np.pi) * CIRCLE
        return round(float(mean)) % count
    near = np.arange(max(mode - WINDOW, 0), min(mode + WINDOW + 1, count))
    return round(float((weights[near] * near).sum() / weights[near].sum()))


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

    def chunk(self) -> tuple[list[int], int]:
        """Tokens to feed now, and after how many of the last ones logits are needed."""
        assert self.choice is not None
        guess = self.choice.guess
        chunk = self.pending if guess is None else [*self.pending, guess]
        self.pending = []
        return chunk, 1 if guess is None else 2

    def decide(self, logits: Logits, pick: Pick) -> None:
        """Take decisions from logits (1 or 2, vocabulary); the second row is behind the guess."""
        for row in logits.astype(np.float64):
            choice = self.choice
            if choice is None or self.pending:
                return
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
        chunks, keep = zip(*(lane.chunk() for _, lane in active), strict=True)
        logits = lanes.feed([n for n, _ in active], chunks, keep)
        for (_, lane), rows in zip(active, logits, strict=True):
            lane.decide(rows, pick)
    return [Answer(lane.tokens, lane.decisions) for lane in made]
