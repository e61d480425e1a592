# SPDX-License-Identifier: Apache-2.0
"""Who looks at what: the angle between a head's gaze and the ray to a target, judged with memory.

The gaze is the ray from the sellion straight out of the face (without eyes, the head stands for
them). The judgement is about the ray to the target, never about yaw and pitch alone: a head at the
image's border that is turned to the camera has a yaw far from zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpe_vlm_ros.geometry import gaze_rotation

Array = NDArray[np.float64]
LEAST_DEVIATION = math.radians(0.5)
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)  # errs by 1e-10


@dataclass(frozen=True)
class Gaze:
    """One head and one target.

    Attributes:
        angle: radians, 0..pi, between gaze and the ray to the target; NaN where unknown.
        score: 0..1, the probability that the true angle is within the limit; NaN where unknown.
        looking: the judgement, with hysteresis; False where unknown.
    """

    angle: float
    score: float
    looking: bool


UNKNOWN = Gaze(math.nan, math.nan, False)


class Judge:
    """Decides for each pair of head and target, and remembers what it decided.

    A head begins to look when the angle is at most `limit` degrees, and stops when it exceeds
    `limit + hysteresis`, so that a head at the border does not flicker. Heads without an id have no
    past.
    """

    def __init__(self, limit: float = 15.0, hysteresis: float = 5.0) -> None:
        self.limit, self.hysteresis = limit, hysteresis
        self._looking: set[tuple[str, str]] = set()

    def __call__(
        self, head: str, target: str, angle: float, deviation: float | None = None
    ) -> Gaze:
        """Judges `angle` in radians; `deviation` as of `gaze_deviation`."""
        if not math.isfinite(angle):
            self._looking.discard((head, target))
            return UNKNOWN
        before = (head, target) in self._looking
        looking = math.degrees(angle) <= self.limit + (self.hysteresis if before else 0.0)
        if looking and head:
            self._looking.add((head, target))
        else:
            self._looking.discard((head, target))
        limit = math.radians(self.limit)
        score = math.nan if deviation is None else looking_probability(angle, deviation, limit)
        return Gaze(angle, score, looking)

    def keep(self, heads: Iterable[str]) -> None:
        """Forgets all other heads."""
        kept = set(heads)
        self._looking = {pair for pair in self._looking if pair[0] in kept}

    def forget(self) -> None:
        self._looking.clear()


def gaze_angle(rotation: ArrayLike, sellion: ArrayLike, target: ArrayLike) -> float:
    """Radians between the gaze and the ray to a point; NaN where a position is.

    rotation: (3, 3) head in the optical frame. sellion, target: (3,) metres in that frame.
    """
    ray = np.asarray(target, dtype=float) - np.asarray(sellion, dtype=float)
    distance = float(np.linalg.norm(ray))
    if not distance > 0:  # NaN as well
        return math.nan
    cosine = float(gaze_rotation(rotation)[:, 2] @ ray / distance)
    return math.acos(min(1.0, max(-1.0, cosine)))


def gaze_deviation(rotation: ArrayLike, covariance: ArrayLike) -> float | None:
    """Standard deviation in radians of the gaze's direction about each axis across it, or None.

    covariance: (3, 3) rad^2, turns about the optical axes; NaN or zero means unknown.
    """
    spread = np.asarray(covariance, dtype=float)
    if not np.isfinite(spread).all() or not spread.any():
        return None
    along = gaze_rotation(rotation)[:, 2]
    across = float(np.trace(spread) - along @ spread @ along)  # turning about the gaze moves it not
    return max(math.sqrt(max(across, 0.0) / 2), LEAST_DEVIATION)


def looking_probability(angle: float, deviation: float, limit: float) -> float:
    """P(the true angle is within limit), the gaze's direction being a round Gaussian; radians.

    That is the Gaussian's share inside a disc (Rice's distribution), added up over strips across
    the line from the gaze to the target; the plane stands for the sphere, which errs little below
    60 degrees.
    """
    reach = 8 * deviation
    if angle >= limit + reach:
        return 0.0
    # x = limit sin(t): strips grow thin towards the disc's edge, where their length falls fastest.
    first = math.asin(max(-1.0, (angle - reach) / limit))
    last = math.asin(min(1.0, (angle + reach) / limit))
    t = first + (last - first) * (NODES + 1) / 2
    density = np.exp(-0.5 * ((limit * np.sin(t) - angle) / deviation) ** 2)
    half_length = limit * np.cos(t) / (deviation * math.sqrt(2))
    strips = density * half_length * [math.erf(h) for h in half_length]
    value = float(strips @ NODE_WEIGHTS) * (last - first) / 2 / math.sqrt(math.pi)
    return min(1.0, max(0.0, value))
