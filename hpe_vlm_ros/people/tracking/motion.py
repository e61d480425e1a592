# SPDX-License-Identifier: Apache-2.0
"""Kalman filtering of things that move for a while and then stop: head rotations and boxes.

Velocity is an Ornstein-Uhlenbeck process: it forgets itself within `memory` seconds, and its
standard deviation far from any measurement is `speed`. Over a step dt, with a = exp(-dt / memory),

    value' = value + memory (1 - a) velocity        velocity' = a velocity
    var(value)           += speed^2 memory^2 (2 dt / memory - 3 + 4 a - a^2)
    cov(value, velocity) += speed^2 memory (1 - a)^2
    var(velocity)        += speed^2 (1 - a^2)

(Uhlenbeck and Ornstein 1930, integrated once), which is exact for any dt: frames may come as
unevenly as they like. A rotation's error, velocity and covariance are vectors about the fixed axes
of the optical frame (the error-state filter on SO(3)), so nothing is singular at any pose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpe_vlm_ros.geometry import rotation_from_vector, rotation_vector

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Space:
    """How to move a value by a small vector, and the vector from one value to another."""

    add: Callable[[Array, Array], Array]
    difference: Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Motion:
    """speed: standard deviation of each component of the velocity, per second; memory: seconds."""

    speed: ArrayLike
    memory: float


@dataclass(frozen=True)
class Moving:
    """Mean and covariance of a value and its velocity; never changed in place.

    value: whatever the space holds. velocity: (n,) per second. covariance: (2 n, 2 n), the value's
    n components first.
    """

    space: Space
    value: Array
    velocity: Array
    covariance: Array

    @property
    def value_covariance(self) -> Array:
        """(n, n)."""
        n = len(self.velocity)
        return self.covariance[:n, :n]

    def after(self, seconds: float, motion: Motion) -> Moving:
        """The state that many seconds later, known less well; ValueError for a step back."""
        if not seconds >= 0:
            raise ValueError(f"a step of {seconds} s: time must not run backwards")
        if seconds == 0:
            return self
        tau = motion.memory
        x = seconds / tau
        a = math.exp(-x)
        gone = tau * (1 - a)  # seconds for which the present velocity would have lasted
        # For small x the exact term is a difference of near equals; its series starts at 2/3 x^3.
        spread = 2 * x - 3 + 4 * a - a * a if x > 1e-3 else 2 / 3 * x**3
        n = len(self.velocity)
        value, mixed, speed = (  # blocks of the covariance
            self.covariance[:n, :n],
            self.covariance[:n, n:],
            self.covariance[n:, n:],
        )
        fresh = np.eye(n) * np.square(motion.speed)
        covariance = np.empty_like(self.covariance)
        covariance[:n, :n] = value + gone * (mixed + mixed.T) + gone * gone * speed
        covariance[:n, :n] += tau * tau * spread * fresh
        covariance[:n, n:] = a * (mixed + gone * speed) + tau * (1 - a) ** 2 * fresh
        covariance[n:, :n] = covariance[:n, n:].T
        covariance[n:, n:] = a * a * speed + (1 - a * a) * fresh
        moved = self.space.add(self.value, gone * self.velocity)
        return Moving(self.space, moved, a * self.velocity, covariance)

    def corrected(self, measured: Array, noise: Array, limit: float) -> Moving:
        """The state after a measurement with covariance `noise` (n, n).

        One whose squared Mahalanobis distance exceeds `limit` is trusted that many times less, so
        that a single wild answer bends the track only a little, and several in a row still turn it.
        """
        n = len(self.velocity)
        error = self.space.difference(measured, self.value)
        prior = self.covariance[:n]
        weighed = np.linalg.solve(prior[:, :n] + noise, np.column_stack([error, prior]))
        surprise = float(error @ weighed[:, 0])
        if surprise > limit:
            noise = noise * (surprise / limit)
            weighed[:, 1:] = np.linalg.solve(prior[:, :n] + noise, prior)
        gain = weighed[:, 1:].T
        change = gain @ error
        keep = np.eye(2 * n)
        keep[:, :n] -= gain
        # Joseph's form stays symmetric and positive, whatever the rounding.
        covariance = keep @ self.covariance @ keep.T + gain @ noise @ gain.T
        moved = self.space.add(self.value, change[:n])
        return Moving(self.space, moved, self.velocity + change[n:], covariance)


def at_rest(space: Space, value: Array, noise: Array, motion: Motion) -> Moving:
    """A state known from one measurement alone, with covariance `noise` (n, n): the velocity is
    zero on average, with the deviation that `motion` gives it."""
    n = len(noise)
    covariance = np.zeros((2 * n, 2 * n))
    covariance[:n, :n] = noise
    speeds = np.broadcast_to(np.asarray(motion.speed, dtype=float), n)
    covariance[n:, n:] = np.diag(speeds**2)
    return Moving(space, value, np.zeros(n), covariance)


ROTATIONS = Space(
    add=lambda value, step: rotation_from_vector(step) @ value,
    difference=lambda a, b: rotation_vector(a @ b.T),
)
VECTORS = Space(add=lambda value, step: value + step, difference=lambda a, b: a - b)
