# SPDX-License-Identifier: Apache-2.0
"""Fit and check a calibration: empirical coverage of predicted covariances, and scores of boxes.

Pure numpy and scipy. Coverage is counted in two ways over the turn from the predicted to the true
rotation, a vector of three components about the optical axes:

- by axis: shares of components within 1 and 2 of their own standard deviations, nominally 68.3 %
  and 95.5 %;
- as a whole: shares of vectors whose squared Mahalanobis distance is below the quantiles of the
  chi squared distribution with 3 degrees of freedom at those same shares (3.53 and 8.02).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import chdtri

from hpe_vlm_ros.evaluation.calibration import NOMINAL
from hpe_vlm_ros.spread import Calibration

Array = NDArray[np.float64]
SHARES = np.array([NOMINAL[1], NOMINAL[2]])
RADII = np.sqrt(chdtri(3, 1 - SHARES))  # Mahalanobis distances that stand for 1 and 2 sigma
LEAST = 50  # heads below which nothing is fitted
STRICT = 20.0  # how much a miss of the nominal coverage weighs against the likelihood
BLUR = 0.1  # relative: how near to its bound an error counts as half within


@dataclass(frozen=True, eq=False)
class Stated:
    """What was stated without calibration, and what came true.

    turns (N, 3) rad and covariances (N, 3, 3) rad^2 of N heads found; yaws (N,) true, degrees, NaN
    without a triple. scores (D,) of all boxes named, hits (D,) whether each is one of a head.
    """

    turns: Array
    covariances: Array
    yaws: Array
    scores: Array
    hits: NDArray[np.bool_]


def fit(stated: Stated) -> Calibration:
    """The calibration that makes what is stated likely, and its coverage nominal.

    ValueError where there are too few heads to tell.
    """
    if len(stated.turns) < LEAST:
        raise ValueError(
            f"{len(stated.turns)} heads were found and {LEAST} are needed: give more scenes, and "
            "scenes on which the model works"
        )
    scale, floor = _fit_rotation(stated)
    slope, offset = _fit_scores(stated)
    return Calibration(*(round(float(v), 4) for v in (scale, floor, slope, offset)))


def coverage(stated: Stated, calibration: Calibration) -> tuple[Array, Array]:
    """Shares within 1 and 2 sigma: (3, 2) by axis, (2,) as a whole."""
    relative, distance = _relative(stated, calibration)
    by_axis = [(relative <= bound).mean(axis=0) for bound in (1, 2)]
    return np.stack(by_axis, axis=1), np.array([(distance <= r).mean() for r in RADII])


def likelihood(stated: Stated, calibration: Calibration) -> float:
    """Mean negative log likelihood of the turns, without its constant; lower is better."""
    _, distance = _relative(stated, calibration)
    spread = np.linalg.slogdet(calibration.covariance(stated.covariances))[1]
    return float((distance**2 + spread).mean() / 2)


def calibrated_scores(stated: Stated, calibration: Calibration) -> Array:
    """(D,) probabilities."""
    return np.array([calibration.score(score) for score in stated.scores])


def brier(probabilities: Array, hits: NDArray[np.bool_]) -> float:
    """Mean squared error of probabilities (Brier 1950)."""
    return float(np.mean((probabilities - hits) ** 2))


def calibration_error(probabilities: Array, hits: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean gap between stated and found shares over bins of equally many (expected calibration
    error)."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), bins)
    gaps = [len(p) * abs(probabilities[p].mean() - hits[p].mean()) for p in parts if len(p)]
    return float(np.sum(gaps) / len(hits))


def _relative(stated: Stated, calibration: Calibration) -> tuple[Array, Array]:
    """Errors in standard deviations, (N, 3), and Mahalanobis distances, (N,)."""
    covariances = calibration.covariance(stated.covariances)
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    solved = np.linalg.solve(covariances, stated.turns[..., None])[..., 0]
    squared = np.einsum("ni,ni->n", stated.turns, solved)
    return np.abs(stated.turns) / deviations, np.sqrt(np.maximum(squared, 0.0))


def _fit_rotation(stated: Stated) -> tuple[float, float]:
    """Scale, and floor in degrees."""

    def cost(logs: Array) -> float:
        calibration = Calibration(float(np.exp(logs[0])), float(np.exp(logs[1])))
        relative, distance = _relative(stated, calibration)
        inside = [_inside(relative, bound) for bound in (1.0, 2.0)]
        inside += [_inside(distance, radius) for radius in RADII]
        missed = np.array(inside) - np.tile(SHARES, 2)
        return likelihood(stated, calibration) + STRICT * float(missed @ missed)

    found = minimize(cost, np.log([0.7, 8.0]), method="Nelder-Mead", options={"xatol": 1e-3}).x
    return float(np.exp(found[0])), float(np.exp(found[1]))


def _inside(values: Array, bound: float) -> float:
    """The share of values below the bound, smooth in both so that it can be minimised."""
    far = np.log(np.maximum(values, 1e-9) / bound) / BLUR
    return float((1 / (1 + np.exp(np.clip(far, -50, 50)))).mean())


def _fit_scores(stated: Stated) -> tuple[float, float]:
    """Slope and offset of the logit (Platt 1999), his targets against overconfidence included."""
    yes, no = int(stated.hits.sum()), int((~stated.hits).sum())
    if not yes or not no:
        return 1.0, 0.0
    aims = np.where(stated.hits, (yes + 1) / (yes + 2), 1 / (no + 2))
    certain = np.clip(stated.scores, 1e-9, 1 - 1e-9)
    logits = np.log(certain / (1 - certain))

    def cost(parameters: Array) -> float:
        sums = np.exp(parameters[0]) * logits + parameters[1]
        return float((np.logaddexp(0, sums) - aims * sums).mean())

    log_slope, offset = minimize(cost, [0.0, 0.0], method="Nelder-Mead").x
    return float(np.exp(log_slope)), float(offset)
