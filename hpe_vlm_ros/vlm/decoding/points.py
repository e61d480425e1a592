# SPDX-License-Identifier: Apache-2.0
"""What an answer says of a keypoint: its cell, whether it is seen, and how sure both are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpe_vlm_ros.skeleton import ABSENT
from hpe_vlm_ros.tasks.grid import GRID
from hpe_vlm_ros.tasks.keypoints import Point

from .constrained import Answer, Decision
from .grammar import Kind
from .numbers import ROUNDING, Weights

NEAR = 0.1  # of the longer side of the body's box: how near counts as right


@dataclass(frozen=True)
class PointEstimate:
    """One keypoint.

    Attributes:
        written: as the answer prints it, in cells of the grid.
        deviations: standard deviations of column and of row given the column, in cells; NaN of an
            absent point.
        score: the probability that it is as visible as written and lies within NEAR of there; 0 of
            an absent point.
    """

    written: Point
    deviations: tuple[float, float]
    score: float


def point_of(written: Point, answer: Answer, sides: tuple[float, float]) -> PointEstimate:
    """The point in an answer that its grammar has ruled. `sides`: how many columns and rows of the
    grid the longer side of the body's box is long."""
    words = [d for d in answer.decisions if d.choice.kind is Kind.WORD]
    sure = math.prod(float(d.probabilities[d.taken]) for d in words)
    if written[2] == ABSENT:
        return PointEstimate(written, (math.nan, math.nan), 0.0)
    numbers = [d for d in answer.decisions if d.choice.kind is not Kind.WORD]
    half, cells = len(numbers) // 2, np.arange(GRID)
    deviations = []
    parts = numbers[:half], numbers[half:]
    for cell, decisions, side in zip(written[:2], parts, sides, strict=True):
        weights = number_weights(decisions)
        away = cells - cell
        deviations.append(math.hypot(math.sqrt(float(weights @ away**2)), ROUNDING))
        sure *= float(weights[np.abs(away) <= NEAR * side].sum())
    return PointEstimate(written, (deviations[0], deviations[1]), sure)


def number_weights(decisions: Sequence[Decision]) -> Weights:
    """Probabilities (1000,) of a number that was decided at once, or digit by digit.

    Of digits only the way that was taken is known: what lies behind another digit is shared out
    equally among its numbers.
    """
    out, start, share = np.zeros(GRID), 0, 1.0
    place = 1 if decisions[0].choice.kind is Kind.NUMBER else 100
    for decision in decisions:
        low = decision.choice.low
        for index, chance in enumerate(decision.probabilities):
            first = start + (low + index) * place
            out[first : first + place] = share * chance / place
        start += (low + decision.taken) * place
        share *= float(decision.probabilities[decision.taken])
        place //= 10
    return out
