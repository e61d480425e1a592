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

from hpe_vlm_ros.vlm.backend import Ids, Logits

from .batch_sequences import BatchSequences
from .digit_tree import Tree, angle_probabilities, angle_tree, path
from .grammar import Choice, Grammar, Kind
from .numbers import CIRCLE, by_digits, circular_mean, near_mean
from .sequences import Sequences

END = 0.65  # what is named against such odds has a low score, by which it can still be dropped

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
    averaged. The answer remains an answer: only which number is written changes. A list of boxes
    goes on until its end is surer than END: whether there is a head at all is a matter of all its
    numbers together, each of which may be less likely than the end.
    """
    # of its two tokens the second ends the list
    if choice.kind is Kind.MORE:
        return int(probabilities[1] > END)
    if choice.stop is not None:
        if probabilities[-1] > END:
            return len(choice.tokens)
        probabilities = probabilities[:-1]
    mode = int(probabilities.argmax())
    if choice.kind is not Kind.NUMBER:
        return mode
    if choice.circular:
        return round(circular_mean(probabilities)) % len(probabilities)
    return round(near_mean(probabilities, mode))


class _Sequence:
    """One answer in the making: a grammar, and tokens not yet fed to the model."""

    def __init__(
        self,
        prompt: Sequence[int],
        grammar: Grammar,
        draft: Sequence[int] = (),
        slack: int = 0,
        lookahead: int | None = None,
        guesses: bool = True,
    ):
        self.tokens: list[int] = []
        self.decisions: list[Decision] = []
        self.choice: Choice | None = None
        self.surplus = 0  # tokens fed last that do not belong to the answer
        self._grammar = grammar
        self._draft, self._slack, self._lookahead = list(draft), slack, lookahead
        self._guesses = guesses
        self._ahead: list[int] = []  # tokens fed although they were not decided yet
        self._advance(None)
        self.pending = [*prompt, *self.tokens]

    def _advance(self, token: int | None) -> None:
        """Go on to the next real choice, taking forced tokens on the way."""
        try:
            choice = next(self._grammar) if token is None else self._grammar.send(token)
            while choice.forced:
                forced = int(choice.tokens[0])
                if choice.kind is not Kind.TEXT:  # the only possible number: certain, and free
                    self.decisions.append(Decision(choice, np.ones(1), 0))
                self.tokens.append(forced)
                choice = self._grammar.send(forced)
            self.choice = choice
        except StopIteration:
            self.choice = None

    def chunk(self) -> tuple[list[int], int, Tree | None]:
        """Tokens to feed now, after how many of the last ones logits are needed, and a tree."""
        assert self.choice is not None
        digits = self.choice.digits
        self._ahead = [] if digits is not None else self._guessed(self.choice)
        chunk = [*self.pending, *self._ahead]
        self.pending = []
        return chunk, 1 + len(self._ahead), None if digits is None else angle_tree(digits)

    def _guessed(self, choice: Choice) -> list[int]:
        """Tokens that may well come next: those of the draft, else the choice's guess.

        Boxes are all of one length, so a draft is of use behind a wrong number too.
        """
        known, end = len(self.tokens), len(self._draft) - 1  # nothing is decided after the end
        if self._lookahead is not None:
            end = min(end, known + self._lookahead)
        if not self._guesses:
            return []
        guess = [] if choice.guess is None else [choice.guess]
        return self._draft[known : max(end, 0)] or guess

    def decide(self, logits: Logits, pick: Pick) -> list[int]:
        """Take decisions from the logits that `chunk` asked for; tells which of the tree it took.

        Without a tree, row i stands behind i of the tokens fed ahead, and counts as long as they
        are those decided.
        """
        self.surplus = 0
        if self.choice is not None and self.choice.digits is not None:
            return self._decide_angle(logits, self.choice.digits, pick)
        right = 0
        while self.choice is not None and not self.pending:
            choice, start = self.choice, len(self.tokens)
            self._take(logits[right], choice, pick)
            new = self.tokens[start:]
            if new and self._near(choice, new[0], self._ahead[right:]):
                right, new = right + 1, new[1:]
                while new and new[:1] == self._ahead[right : right + 1]:
                    right, new = right + 1, new[1:]
            self.pending = new
        self.surplus = len(self._ahead) - right
        return []

    def _take(self, row: Logits, choice: Choice, pick: Pick) -> None:
        """Decide from logits (vocabulary,), and take what is then forced."""
        allowed = choice.allowed if len(choice.allowed) else np.arange(len(row))
        scores = row[allowed].astype(np.float64)
        scores = np.exp(scores - scores.max())
        probabilities = scores / scores.sum()
        taken = pick(choice, probabilities)
        token = int(allowed[taken])
        self.decisions.append(Decision(choice, probabilities, taken))
        self.tokens.append(token)
        self._advance(token)

    def _near(self, choice: Choice, token: int, ahead: Sequence[int]) -> bool:
        """Whether the token fed ahead may stand for the one decided."""
        if not ahead or token == ahead[0]:
            return bool(ahead)
        values = [np.flatnonzero(choice.tokens == number) for number in (token, ahead[0])]
        numbers = choice.kind is Kind.NUMBER and all(len(value) for value in values)
        return numbers and abs(int(values[0][0] - values[1][0])) <= self._slack

    def _decide_angle(self, logits: Logits, digits: Ids, pick: Pick) -> list[int]:
        choice = Choice(Kind.NUMBER, np.arange(CIRCLE), circular=True, digits=digits)
        probabilities = angle_probabilities(logits, digits)
        number = pick(choice, probabilities)
        self.decisions.append(Decision(choice, probabilities, number))
        start = len(self.tokens)
        for digit in f"{number:03d}":
            token = int(digits[int(digit)])
            self.tokens.append(token)
            self._advance(token)
        self.pending = self.tokens[start + 2 :]  # the two before are in the tree
        return path(number)


def ask(
    sequences: Sequences | BatchSequences,
    prompts: Sequence[Sequence[int]],
    grammars: Sequence[Grammar],
    pick: Pick = most_likely,
    drafts: Sequence[Sequence[int]] | None = None,
    slack: int = 0,
    lookahead: int | None = None,
) -> list[Answer]:
    """Answers to all prompts (token ids), decoded together; grammars[i] rules answer i.

    drafts[i] are the tokens of a whole answer that may be right, () for none. Each forward verifies
    as much of a draft as there is, or `lookahead` tokens of it, up to the first wrong one. Answers
    are those without a draft, unless there is some `slack`: a drafted whole number as near as that
    to the decided one is let stand in the cache, where it influences what follows; the answer still
    has the decided one. Sequences that cannot take tokens back are fed no draft and nothing on the
    chance that it is right.
    """
    shared = shared_beginning(prompts)
    numbers = sequences.open(len(prompts), prompts[0][:shared] if shared else ())
    prompts = [prompt[shared:] for prompt in prompts]
    drafted = [()] * len(prompts) if drafts is None else drafts
    made = [
        _Sequence(*each, slack, lookahead, sequences.rolls_back)
        for each in zip(prompts, grammars, drafted, strict=True)
    ]
    while active := [
        (n, sequence) for n, sequence in zip(numbers, made, strict=True) if sequence.choice
    ]:
        chunks, keep, trees = zip(*(sequence.chunk() for _, sequence in active), strict=True)
        logits = sequences.feed([n for n, _ in active], chunks, keep, trees)
        for (number, sequence), rows in zip(active, logits, strict=True):
            sequences.adopt(number, sequence.decide(rows, pick))
            sequences.take_back(number, sequence.surplus)
    return [Answer(sequence.tokens, sequence.decisions) for sequence in made]


def shared_beginning(prompts: Sequence[Sequence[int]]) -> int:
    """How many first tokens several prompts share; some of each is left."""
    if len(prompts) < 2:
        return 0
    most = min(map(len, prompts)) - 1
    alike = (len(set(tokens)) == 1 for tokens in zip(*prompts, strict=False))
    return next((i for i, same in enumerate(alike) if not same), most) if most > 0 else 0
