# SPDX-License-Identifier: Apache-2.0
"""Box scores from hand-made decisions."""

from __future__ import annotations

import numpy as np
import pytest

from hpe_vlm_ros.vlm.decoding.constrained import Answer, Decision
from hpe_vlm_ros.vlm.decoding.grammar import Choice, Kind
from hpe_vlm_ros.vlm.decoding.scores import box_scores


def number(value: int, mass: dict[int, float], low: int = 0, end: float | None = None) -> Decision:
    """A number decision with given masses; `end` is the probability of the stop token."""
    tokens = np.arange(low, 1000)
    probabilities = np.zeros(len(tokens))
    for number_, part in mass.items():
        probabilities[number_ - low] = part
    if end is None:
        return Decision(Choice(Kind.NUMBER, tokens, low), probabilities, value - low)
    probabilities = np.append(probabilities * (1 - end), end)
    return Decision(Choice(Kind.NUMBER, tokens, low, stop=5000), probabilities, value - low)


def sure(value: int, low: int = 0) -> Decision:
    return number(value, {value: 1.0}, low)


def more(probability: float) -> Decision:
    pair = np.array([1, 2])
    weights = np.array([probability, 1 - probability])
    return Decision(Choice(Kind.MORE, pair), weights, int(weights.argmax()))


def digits(*masses: dict[int, float]) -> list[Decision]:
    made = []
    for mass in masses:
        weights = np.array([mass.get(i, 0.0) for i in range(10)])
        made.append(Decision(Choice(Kind.DIGIT, np.arange(10)), weights, int(weights.argmax())))
    return made


def test_certain_boxes_score_one_and_existence_counts() -> None:
    first = [number(100, {100: 1.0}, end=0.25), sure(200), sure(300, 101), sure(400, 201)]
    second = [sure(500), sure(200), sure(600, 501), sure(400, 201)]
    answer = Answer([], [*first, more(0.6), *second, more(0.1)])
    assert box_scores(answer) == pytest.approx([0.75, 0.6])


def test_mass_far_from_the_number_does_not_count() -> None:
    # the box is 200 wide and 100 high: near is within 30 and 15 cells
    x0 = number(100, {100: 0.5, 130: 0.2, 131: 0.2, 800: 0.1})
    y0 = number(200, {200: 0.6, 215: 0.1, 216: 0.3})
    answer = Answer([], [x0, y0, sure(300, 101), sure(300, 201)])
    assert box_scores(answer) == pytest.approx([0.7 * 0.7])


def test_small_boxes_still_have_some_tolerance() -> None:
    x0 = number(100, {100: 0.5, 108: 0.3, 109: 0.2})
    answer = Answer([], [x0, sure(200), sure(110, 101), sure(210, 201)])
    assert box_scores(answer) == pytest.approx([0.8])


def test_no_heads() -> None:
    stop = number(0, {0: 1.0}, end=0.9)
    stopped = Decision(stop.choice, stop.probabilities, len(stop.choice.tokens))
    assert box_scores(Answer([], [stopped])) == []


def test_digits_count_hundreds_and_neighbouring_tens() -> None:
    x0 = digits({1: 0.8, 2: 0.2}, {2: 0.5, 3: 0.2, 1: 0.1, 7: 0.2}, {5: 0.3, 6: 0.7})
    rest = [digits({a: 1.0}, {0: 1.0}, {0: 1.0}) for a in (2, 3, 4)]
    answer = Answer([], [*x0, *rest[0], *rest[1], *rest[2]])
    assert box_scores(answer) == pytest.approx([0.8 * 0.8])
