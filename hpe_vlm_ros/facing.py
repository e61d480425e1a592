# SPDX-License-Identifier: Apache-2.0
"""Which way a head faces, as one of a few words, and how sure that is.

The classes are those of EFHQ (Dao et al., CVPR 2024) for heads turned away by less than 90 degrees,
told from the direction of the nose in the optical frame: its heading (> 0 to the image's left) and
its elevation (> 0 up). A head turned away by more is "extreme", where EFHQ's rule of angles would
call the back of a head left or right.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .tasks.facing import LABELS

Array = NDArray[np.float64]
SIDE, HIGH, BEHIND = 45.0, 30.0, 90.0  # degrees
FRONTAL, LEFT, RIGHT, UP, DOWN, EXTREME = range(len(LABELS))
POINTS = 512  # turns over which a probability is summed


def facing_of(rotations: ArrayLike) -> NDArray[np.int64]:
    """Index (N,) in `LABELS` for heads (N, 3, 3) in the optical frame."""
    nose = -np.asarray(rotations, dtype=float).reshape(-1, 3, 3)[:, :, 2]
    return _of_noses(nose)


def facing_probabilities(rotation: ArrayLike, covariance: ArrayLike) -> Array:
    """(6,), the probability of each of `LABELS` for a head (3, 3) whose true rotation is off by a
    turn about the optical axes with this covariance (3, 3) in rad^2.

    The covariance is that of the angles' distributions (`spread.turn_covariance`), calibrated.
    """
    nose = -np.asarray(rotation, dtype=float)[:, 2]
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=float))
    turns = _normal() * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    counts = np.bincount(_of_noses(_turned(nose, turns)), minlength=len(LABELS))
    return np.asarray(counts / POINTS)


def _of_noses(nose: Array) -> NDArray[np.int64]:
    heading = np.degrees(np.arctan2(-nose[:, 0], -nose[:, 2]))
    elevation = np.degrees(np.arcsin(np.clip(-nose[:, 1], -1, 1)))
    aside, steep = np.abs(heading) >= SIDE, np.abs(elevation) >= HIGH
    found = np.full(len(nose), FRONTAL)
    found[aside] = np.where(heading[aside] > 0, LEFT, RIGHT)
    found[steep] = np.where(elevation[steep] > 0, UP, DOWN)
    found[(aside & steep) | (np.abs(heading) > BEHIND)] = EXTREME
    return found


def _turned(vector: Array, turns: Array) -> Array:
    """A vector (3,) by each of the rotation vectors (N, 3); Rodrigues' formula."""
    angle = np.linalg.norm(turns, axis=1, keepdims=True)
    axis = np.divide(turns, angle, out=np.zeros_like(turns), where=angle > 0)
    along = (axis @ vector)[:, None] * axis
    across = np.cross(axis, vector)
    turned: Array = along + np.cos(angle) * (vector - along) + np.sin(angle) * across
    return turned


@cache
def _normal() -> Array:
    """(POINTS, 3), spread as a standard normal distribution; mirror images come in pairs."""
    half = np.random.default_rng(0).normal(size=(POINTS // 2, 3))
    both = np.concatenate([half, -half])
    scaled: Array = both / both.std(0)
    return scaled
