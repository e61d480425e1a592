# SPDX-License-Identifier: Apache-2.0
"""What the probabilities of a number say beyond the number: its mean, and how sure it is.

An angle is a distribution over the circle of 360 whole degrees. With R the length of its mean
vector, the circular mean is that vector's direction and the circular standard deviation is
sqrt(-2 ln R) (Mardia and Jupp, Directional Statistics, 2000), which is the plain one for narrow
distributions. Weights need not sum to one.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
CIRCLE = 360
NEAR_CELL = 12  # cells: two heads' coordinates are farther apart, and must not be averaged
UNIFORM = 180 / math.sqrt(3)  # degrees, the deviation of an angle of which nothing is known
ROUNDING = 1 / math.sqrt(12)  # degrees or cells: the deviation that writing a whole number adds

_DIRECTIONS = np.exp(2j * np.pi * np.arange(CIRCLE) / CIRCLE)


def circular_mean(weights: Weights) -> float:
    """Degrees in 0..360 of weights (360,); the heaviest number where there is no direction."""
    mean = complex(weights @ _DIRECTIONS)
    if abs(mean) < 1e-9 * weights.sum():
        return float(weights.argmax())
    return math.degrees(cmath.phase(mean)) % CIRCLE


def circular_deviation(weights: Weights) -> float:
    """Degrees, from ROUNDING for a certain number up to UNIFORM, of weights (360,)."""
    length = abs(complex(weights @ _DIRECTIONS)) / float(weights.sum())
    spread = math.degrees(math.sqrt(-2 * math.log(min(max(length, 1e-9), 1.0))))
    return min(math.hypot(spread, ROUNDING), UNIFORM)


def near_mean(weights: Weights, mode: int, reach: int = NEAR_CELL) -> float:
    """Mean index of weights (N,) within `reach` of `mode`, on a line."""
    near = np.arange(max(mode - reach, 0), min(mode + reach + 1, len(weights)))
    return float((weights[near] * near).sum() / weights[near].sum())


def by_digits(weights: Weights) -> int:
    """The number that is reached by taking the likeliest digit each time; weights (N,) of 0..N-1.

    What a model that writes digits says, greedily: not always the likeliest number.
    """
    first, count = 0, len(weights)
    for place in (100, 10, 1):
        starts = np.arange(first, min(first + 10 * place, count), place)
        first = int(starts[np.argmax([weights[s : s + place].sum() for s in starts])])
    return first
