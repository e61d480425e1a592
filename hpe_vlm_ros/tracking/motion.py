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

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        n, tau = len(self.velocity), motion.memory
        x = seconds / tau
        a = np.exp(-x)
        step = _blocks(np.array([[1.0, tau * (1 - a)], [0.0, a]]), np.ones(n))
        # For small x the exact term is a difference of near equals; its series starts at 2/3 x^3.
        spread = 2 * x - 3 + 4 * a - a * a if x > 1e-3 else 2 / 3 * x**3
        noise = np.array(
            [[tau * tau * spread, tau * (1 - a) ** 2], [tau * (1 - a) ** 2, 1 - a * a]]
        )
        speeds = np.broadcast_to(np.asarray(motion.speed, dtype=float), n)
        return replace(
            self,
            value=self.space.add(self.value, tau * (1 - a) * self.velocity),
            velocity=a * self.velocity,
            covariance=step @ self.covariance @ step.T + _blocks(noise, speeds**2),
        )

    def corrected(self, measured: Array, noise: Array, limit: float) -> Moving:
        """The state after a measurement with covariance `noise` (n, n).

        One whose squared Mahalanobis distance exceeds `limit` is trusted that many times less, so
        that a single wild answer bends the track only a little, and several in a row still turn it.
        """
        n = len(self.velocity)
        error = self.space.difference(measured, self.value)
        spread = self.value_covariance + noise
        surprise = float(error @ np.linalg.solve(spread, error))
        if surprise > limit:
            noise = noise * (surprise / limit)
            spread = self.value_covariance + noise
        gain = np.linalg.solve(spread, self.covariance[:n]).T
        change = gain @ error
        keep = np.eye(2 * n)
        keep[:, :n] -= gain
        # Joseph's form stays symmetric and positive, whatever the rounding.
        covariance = keep @ self.covariance @ keep.T + gain @ noise @ gain.T
        return replace(
            self,
            value=self.space.add(self.value, change[:n]),
            velocity=self.velocity + change[n:],
            covariance=covariance,
        )


def at_rest(space: Space, value: Array, noise: Array, motion: Motion) -> Moving:
    """A state known from one measurement alone."""
    n = len(noise)
    covariance = np.zeros((2 * n, 2 * n))
    covariance[:n, :n] = noise
    speeds = np.broadcast_to(np.asarray(motion.speed, dtype=float), n)
    covariance[n:, n:] = np.diag(speeds**2)
    return Moving(space, value, np.zeros(n), covariance)


def _blocks(matrix: Array, diagonal: Array) -> Array:
    """np.kron(matrix, np.diag(diagonal)) of a (2, 2) matrix, four times as fast."""
    n = len(diagonal)
    blocks = np.zeros((2, n, 2, n))
    each = np.arange(n)
    blocks[:, each, :, each] = diagonal[:, None, None] * matrix
    return blocks.reshape(2 * n, 2 * n)


def rotation_of(vector: ArrayLike) -> Array:
    """Rotation (3, 3) by the length of `vector` (3,) in radians about its direction."""
    x, y, z = v = np.asarray(vector, dtype=float)
    angle = float(np.linalg.norm(v))
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    # sin(a)/a and (1 - cos a)/a^2; np.sinc keeps both exact at zero.
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / 2 / np.pi) ** 2
    rotation: Array = np.eye(3) + first * cross + second * cross @ cross
    return rotation


def vector_of(rotation: ArrayLike) -> Array:
    """The vector (3,) in radians, of length 0..pi, that `rotation_of` turns into this rotation."""
    from hpe_vlm_ros.geometry import quaternion_from_matrix

    x, y, z, w = quaternion_from_matrix(rotation)
    sine = float(np.linalg.norm((x, y, z)))
    if sine < 1e-12:
        return np.zeros(3)
    return np.array([x, y, z]) * (2 * np.arctan2(sine, w) / sine)


ROTATIONS = Space(
    add=lambda value, step: rotation_of(step) @ value,
    difference=lambda a, b: vector_of(a @ b.T),
)
VECTORS = Space(add=lambda value, step: value + step, difference=lambda a, b: a - b)
