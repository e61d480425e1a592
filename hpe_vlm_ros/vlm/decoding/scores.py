# SPDX-License-Identifier: Apache-2.0
"""How sure the model is of each box it named, read from the probabilities of its tokens.

score = P(there is this box) * product over its four numbers of P(the number is near the one named)

P(there is this box) is one minus the end's probability for the first box, and that of ";" for the
others. "Near" is within 0.15 of the box's side (at least 8 cells of 1000), about what keeps an
overlap of 0.5. With digit tokens, the mass near a number is taken as P(hundreds) times
P(tens within 1 of the one named): units say little and cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .constrained import Answer, Decision
from .grammar import Kind

NEAR_SIDE = 0.15
NEAR_LEAST = 8


def box_scores(answer: Answer) -> list[float]:
    """Scores in 0..1 of the boxes of a detection answer, in order."""
    scores: list[float] = []
    exists, numbers = 1.0, list[list[Decision]]()
    place = 0
    for decision in answer.decisions:
        choice = decision.choice
        if choice.kind is Kind.MORE:
            exists = float(decision.probabilities[0])
            continue
        if choice.stop is not None:
            exists = 1.0 - float(decision.probabilities[-1])
            if decision.taken == len(choice.tokens):
                break
        whole = choice.kind is Kind.NUMBER
        if whole or place == 0:
            numbers.append([])
        numbers[-1].append(decision)
        place = 0 if whole else (place + 1) % 3
        if len(numbers) == 4 and place == 0:
            scores.append(exists * _near(numbers))
            numbers = []
    return scores


def _near(numbers: list[list[Decision]]) -> float:
    values = [_value(decisions) for decisions in numbers]
    product = 1.0
    for index, decisions in enumerate(numbers):
        # x0 with x1, y0 with y1
        side = abs(values[index] - values[(index + 2) % 4])
        product *= _mass(decisions, max(NEAR_LEAST, round(NEAR_SIDE * side)))
    return product


def _value(decisions: list[Decision]) -> int:
    digits = [d.choice.low + d.taken for d in decisions]
    return digits[0] if len(digits) == 1 else digits[0] * 100 + digits[1] * 10 + digits[2]


def _mass(decisions: list[Decision], tolerance: int) -> float:
    if len(decisions) == 3:
        hundreds, tens, _ = decisions
        return float(hundreds.probabilities[hundreds.taken]) * _window(tens, 1)
    return _window(decisions[0], tolerance)


def _window(decision: Decision, tolerance: int) -> float:
    """Probability of the numbers near the one taken, given that there is a number."""
    weights = decision.probabilities[: len(decision.choice.tokens)]
    first = max(decision.taken - tolerance, 0)
    return float(weights[first : decision.taken + tolerance + 1].sum() / np.sum(weights))


def label_probabilities(answer: Answer, runs: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
    """The probability of each label whose whole answers are these `runs` of tokens.

    Labels that begin alike are told apart by later decisions, of which only those on the way that
    was taken are known: what lies behind another branch is shared out equally among its labels.
    """
    left, share = dict(runs), 1.0
    out = dict.fromkeys(runs, 0.0)
    decisions = [d for d in answer.decisions if d.choice.kind is Kind.WORD]
    for decision in decisions:
        place = _first_difference(list(left.values()))
        for index, token in enumerate(decision.choice.tokens):
            behind = [label for label, run in left.items() if run[place] == token]
            if index != decision.taken:
                for label in behind:
                    out[label] = share * float(decision.probabilities[index]) / len(behind)
        share *= float(decision.probabilities[decision.taken])
        taken = decision.choice.tokens[decision.taken]
        left = {label: run for label, run in left.items() if run[place] == taken}
    for label in left:
        out[label] = share / len(left)
    return out


def _first_difference(runs: list[tuple[int, ...]]) -> int:
    place = 0
    while len({run[place] for run in runs}) == 1:
        place += 1
    return place
