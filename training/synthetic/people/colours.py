# SPDX-License-Identifier: Apache-2.0
"""Random colours of skin, hair and clothes as affine maps of a texture's linear albedo."""

from __future__ import annotations

import numpy as np

from .. import Array

LUMA = np.array([0.2126, 0.7152, 0.0722])
HAIR = np.array(
    [
        [0.010, 0.009, 0.008],
        [0.022, 0.015, 0.011],
        [0.05, 0.030, 0.018],
        [0.10, 0.060, 0.032],
        [0.20, 0.125, 0.060],
        [0.36, 0.25, 0.13],
        [0.16, 0.055, 0.022],
        [0.28, 0.27, 0.26],
        [0.55, 0.54, 0.52],
    ]
)
HAIR_ODDS = np.array([0.2, 0.19, 0.16, 0.12, 0.09, 0.09, 0.04, 0.06, 0.05])


def tinted(colour: Array, mean: Array) -> Array:
    """(3, 4) map that keeps the texture's light and dark and takes `colour` on average."""
    rows = colour[:, None] * (LUMA / max(float(LUMA @ mean), 0.02))[None]
    return np.hstack([rows, np.zeros((3, 1))])


def scaled(gain: Array) -> Array:
    """(3, 4) map that multiplies the channels."""
    return np.hstack([np.diag(gain), np.zeros((3, 1))])


def skin_map(mean: Array, rng: np.random.Generator) -> tuple[Array, str]:
    """Shift a skin texture of this mean (3,), linear RGB, towards another tone: the colour map (3,
    4) and the coarse tone label."""
    light = float(LUMA @ mean)
    target = light * np.exp(rng.normal(0, 0.15))
    if rng.random() < 0.5:
        target = np.exp(rng.uniform(np.log(0.045), np.log(0.5)))
    ratio = float(np.clip(target / light, 0.12, 1.8))
    power = np.array([0.88, 1.0, 1.12]) if ratio < 1 else np.array([1.0, 1.0, 1.0])
    gain = ratio**power * np.exp(rng.normal(0, 0.04, 3))
    final = float(LUMA @ (gain * mean))
    return scaled(gain), "light" if final > 0.26 else "medium" if final > 0.11 else "dark"


def hair_colour(age: float, rng: np.random.Generator) -> Array:
    """A linear RGB colour (3,) of hair, mostly a natural one; greyer where `age`, 0..1, is high."""
    if rng.random() < 0.03:
        return rng.uniform(0.02, 0.5, 3) ** 1.3
    odds = HAIR_ODDS * np.where(np.arange(9) >= 7, 4.0 if age > 0.85 else 0.7, 1.0)
    colour = HAIR[rng.choice(9, p=odds / odds.sum())]
    return np.clip(colour * np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.06, 3)), 0.005, 0.7)


def cloth_map(mean: Array, rng: np.random.Generator) -> Array:
    """A colour map (3, 4) that keeps, permutes or re-tints a clothes texture of this mean (3,),
    linear RGB."""
    kind = rng.random()
    if kind < 0.35:
        return scaled(np.exp(rng.normal(0, 0.3) + rng.normal(0, 0.15, 3)))
    if kind < 0.55:
        order = rng.permutation(3)
        return np.hstack([np.eye(3)[order] * np.exp(rng.normal(0, 0.3)), np.zeros((3, 1))])
    grey = np.exp(rng.uniform(np.log(0.015), np.log(0.75)))
    colour = np.clip(grey * np.exp(rng.normal(0, 0.1 if kind < 0.75 else 0.8, 3)), 0.01, 0.85)
    return tinted(colour, mean)
