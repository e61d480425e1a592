# SPDX-License-Identifier: Apache-2.0
"""Whether stated covariances are honest: do errors fall as often as stated within their bounds?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NOMINAL = {1: 0.6827, 2: 0.9545}
"""Share of a Gaussian within so many standard deviations."""


def within_sigma(turn: Array, covariance: Array, count: int) -> NDArray[np.bool_]:
    """(N, 3): whether each component of `turn` (N, 3), rad, is within `count` standard deviations
    of its variance in `covariance` (N, 3, 3); False where that is not stated."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        inside: NDArray[np.bool_] = np.abs(turn) <= count * np.sqrt(np.maximum(variance, 0.0))
    return inside


def surprise(turn: Array, covariance: Array) -> Array:
    """(N,) in 0..1: the share of errors that would be smaller if the covariance were true.

    The cumulative chi squared distribution, three degrees of freedom, of the Mahalanobis distance.
    Uniform when the covariance is honest; NaN where it is not stated or has no inverse.
    """
    out = np.full(len(turn), np.nan)
    for row, (vector, matrix) in enumerate(zip(turn, covariance, strict=True)):
        if np.isfinite(matrix).all() and np.isfinite(vector).all():
            try:
                distance = float(vector @ np.linalg.solve(matrix, vector))
            except np.linalg.LinAlgError:
                continue
            if distance >= 0:
                out[row] = chi_squared_share(distance)
    return out


def chi_squared_share(squared: float) -> float:
    """P(chi squared with three degrees of freedom <= squared): Maxwell's distribution of speeds."""
    root = math.sqrt(squared / 2)
    return math.erf(root) - 2 / math.sqrt(math.pi) * root * math.exp(-squared / 2)


def reliability(surprises: Array, points: int = 20) -> tuple[Array, Array]:
    """Stated shares (P,) and the shares of errors found within them (P,)."""
    stated: Array = np.linspace(0, 1, points + 1)
    known = np.sort(surprises[np.isfinite(surprises)])
    if not len(known):
        return stated, np.full(points + 1, np.nan)
    found: Array = np.searchsorted(known, stated, side="right") / len(known)
    return stated, found
