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
ROUND = 1e-6  # of the variance: what the axes of a round spread differ by through rounding
# of a gaze's direction: `looking_probability` divides by it
LEAST_DEVIATION = math.radians(0.5)
REACH = 8  # standard deviations beyond which nothing is left
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)  # errs by 1e-4 at most, 1e-10 if round


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
        self, head: str, target: str, offset: ArrayLike, covariance: Array | None = None
    ) -> Gaze:
        """Judges an `offset` as of `gaze_offset`; `covariance` as of `gaze_covariance`."""
        angle = math.hypot(*np.asarray(offset, dtype=float).tolist())
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
        score = math.nan if covariance is None else looking_probability(offset, covariance, limit)
        return Gaze(angle, score, looking)

    def keep(self, heads: Iterable[str]) -> None:
        """Forgets all other heads."""
        kept = set(heads)
        self._looking = {pair for pair in self._looking if pair[0] in kept}

    def forget(self) -> None:
        """Forgets who looked at what, so that every pair has to come within `limit` again."""
        self._looking.clear()


def gaze_offset(rotation: ArrayLike, sellion: ArrayLike, target: ArrayLike) -> Array:
    """How far a point lies off the gaze, (2,) radians along the gaze frame's x and y (REP-155:
    z runs along the gaze); NaN where a position is.

    The offset's length is the angle between the gaze and the ray to the point, its direction that
    in which the gaze would have to turn. rotation: (3, 3) head in the optical frame. sellion,
    target: (3,) metres in that frame.
    """
    ray = np.asarray(target, dtype=float) - np.asarray(sellion, dtype=float)
    x, y, z = (gaze_rotation(rotation).T @ ray).tolist()
    across = math.hypot(x, y)
    if not math.hypot(across, z) > 0:  # NaN as well
        return np.full(2, math.nan)
    angle = math.atan2(across, z)
    return np.array([x, y]) * (angle / across) if across else np.array([angle, 0.0])


def gaze_angle(rotation: ArrayLike, sellion: ArrayLike, target: ArrayLike) -> float:
    """Radians, 0..pi, between the gaze and the ray to a point: the length of `gaze_offset`."""
    return math.hypot(*gaze_offset(rotation, sellion, target).tolist())


def gaze_covariance(rotation: ArrayLike, covariance: ArrayLike) -> Array | None:
    """Covariance (2, 2) in rad^2 of the gaze's direction, on the axes of `gaze_offset`, or None.

    covariance: (3, 3) rad^2, turns about the optical axes; NaN or zero means unknown. A turn about
    the gaze itself moves it not; one about its y axis moves it along x, one about x against y.
    """
    spread = np.asarray(covariance, dtype=float)
    if not np.isfinite(spread).all() or not spread.any():
        return None
    x, y, _ = gaze_rotation(rotation).T
    moves = np.stack([y, -x])
    across: Array = moves @ spread @ moves.T
    return across


def looking_probability(offset: ArrayLike, covariance: ArrayLike, limit: float) -> float:
    """P(the true angle is within limit), the gaze's direction being a Gaussian; radians.

    offset: (2,) from the gaze to the target. covariance: (2, 2). That is an oval Gaussian's share
    inside a disc, added up over strips along the oval's long axis; the plane stands for the sphere,
    which errs little below 60 degrees.
    """
    (xx, xy), (_, yy) = np.asarray(covariance, dtype=float).tolist()
    x, y = np.asarray(offset, dtype=float).tolist()
    middle, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    wide, narrow = (math.sqrt(max(v, LEAST_DEVIATION**2)) for v in (middle + half, middle - half))
    # Of the long axis; a round spread has none, and is added up best across the way to the target.
    oval = half > ROUND * middle
    turn = math.atan2(2 * xy, xx - yy) / 2 if oval else math.atan2(-x, y)
    along = x * math.cos(turn) + y * math.sin(turn)
    beside = y * math.cos(turn) - x * math.sin(turn)
    # x = limit sin(t): strips grow thin towards the disc's edge, where their length falls fastest.
    first = math.asin(max(-1.0, min(1.0, (beside - REACH * narrow) / limit)))
    last = math.asin(max(-1.0, min(1.0, (beside + REACH * narrow) / limit)))
    t = first + (last - first) * (NODES + 1) / 2
    density = np.exp(-0.5 * ((limit * np.sin(t) - beside) / narrow) ** 2) / narrow
    half_length = limit * np.cos(t)
    ends = ((half_length - along) / wide).tolist(), ((-half_length - along) / wide).tolist()
    strips = density * half_length * [_below(b) - _below(a) for b, a in zip(*ends, strict=True)]
    value = float(strips @ NODE_WEIGHTS) * (last - first) / 2 / math.sqrt(2 * math.pi)
    return min(1.0, max(0.0, value))


def _below(deviations: float) -> float:
    """The normal distribution's share below so many standard deviations."""
    return 0.5 * math.erfc(-deviations / math.sqrt(2))
