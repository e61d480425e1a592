# SPDX-License-Identifier: Apache-2.0
"""Measures with intervals: bootstrap over blocks of frames.

Frames that follow each other in time show the same heads in nearly the same pose. They are drawn
together, as a block; single pictures are drawn one by one. An interval from few blocks is worth
little, so reports say how many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.recordings.records import FrameRecord

Array = NDArray[np.float64]
Index = NDArray[np.intp]
REPLICATES, ENTRIES = 1000, 20_000_000
"""Bootstrap draws; fewer, but at least 200, where draws times frames would exceed ENTRIES."""
LEVEL = 0.95
FEWEST = 10
"""Blocks below which an interval is called unreliable."""
LEAST = 5
"""What a measure must be averaged over to be given an interval at all."""


class Measure(Protocol):
    """A number computed from frames, each with a weight."""

    def estimates(self, weights: Array) -> Array:
        """Values (R,) under R sets of weights (R, F) on frames; NaN where nothing counts."""

    @property
    def count(self) -> int:
        """What it is averaged over, such as heads."""


@dataclass(frozen=True)
class Ratio:
    """Sum of `over` by sum of `under`, each (F,) a frame: means, recall, precision."""

    over: Array
    under: Array

    def estimates(self, weights: Array) -> Array:
        """Values (R,) under R sets of weights (R, F) on frames; NaN where nothing counts."""
        top, bottom = weights @ self.over, weights @ self.under
        ratio: Array = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
        return ratio

    @property
    def count(self) -> int:
        """What the ratio is averaged over: the sum of `under`."""
        return int(self.under.sum())


@dataclass(frozen=True)
class Quantile:
    """A quantile of `values` (N,) that lie in frames `frame` (N,); the median for share 0.5."""

    values: Array
    frame: Index
    share: float

    def estimates(self, weights: Array) -> Array:
        """Values (R,) under R sets of weights (R, F) on frames; NaN where nothing counts."""
        if not len(self.values):
            return np.full(len(weights), np.nan)
        order = np.argsort(self.values, kind="stable")
        values, frame = self.values[order], self.frame[order]
        return np.array([self._one(values, row[frame]) for row in weights])

    def _one(self, values: Array, weights: Array) -> float:
        mass = np.cumsum(weights)
        if not mass[-1] > 0:
            return float("nan")
        goal = self.share * mass[-1]
        # They differ where the mass up to a value is just the goal: the middle of it and the next
        # then, as in a median of an even number. 1e-9: for the rounding of share * mass.
        low = int(np.searchsorted(mass, goal - 1e-9))
        high = int(np.searchsorted(mass, goal + 1e-9))
        return float(values[low] + values[min(high, len(values) - 1)]) / 2

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.values)


@dataclass(frozen=True)
class Area:
    """Area under the ROC curve of `score` (N,) for `positive` (N,), rows lying in frames."""

    score: Array
    positive: NDArray[np.bool_]
    frame: Index

    def estimates(self, weights: Array) -> Array:
        """Values (R,) under R sets of weights (R, F) on frames; NaN where nothing counts."""
        return np.array([self._one(row[self.frame]) for row in weights])

    def _one(self, weights: Array) -> float:
        alarm, hit = roc(self.score, self.positive, weights)
        if not (hit[-1] > 0 and alarm[-1] > 0):
            return float("nan")
        return float((np.diff(alarm) * (hit[1:] + hit[:-1]) / 2).sum())

    @property
    def count(self) -> int:
        """Rows of the rarer class: an area is no surer than what it knows of that one."""
        return int(min(self.positive.sum(), (~self.positive).sum()))


def roc(score: Array, positive: NDArray[np.bool_], weights: Array) -> tuple[Array, Array]:
    """False and true positive rates, each from 0 to 1, of thresholds from high to low.

    score, positive, weights: (N,). Ties are one step; a class without members keeps the rate 0.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True) if len(score) else np.zeros(0, bool)
    rates = []
    for kind in (~positive, positive):
        mass = np.cumsum(weights[order] * kind[order])[last]
        total = mass[-1] if len(mass) else 0.0
        rates.append(np.concatenate([[0.0], mass / total if total > 0 else mass * 0]))
    return rates[0], rates[1]


@dataclass(frozen=True)
class Blocks:
    """Which block (F,) each frame belongs to, 0 .. count - 1."""

    of_frame: Index
    count: int

    def weights(self, seed: int = 0) -> Array:
        """(R, F): how often each frame is drawn when blocks are drawn with replacement."""
        frames = max(len(self.of_frame), 1)
        replicates = max(200, min(REPLICATES, ENTRIES // frames))
        rng = np.random.default_rng(seed)
        if self.count == 0:
            return np.zeros((replicates, 0))
        drawn = rng.multinomial(self.count, np.full(self.count, 1 / self.count), replicates)
        return drawn.astype(np.float64)[:, self.of_frame]


def blocks(frames: Sequence[FrameRecord], sequences: set[str], seconds: float) -> Blocks:
    """Blocks of frames: `seconds` of a recording that is in `sequences`, else one for each."""
    names: dict[tuple[object, ...], int] = {}
    start: dict[str, int] = {}
    of_frame = []
    for frame in frames:
        name: tuple[object, ...] = frame.key
        if frame.recording in sequences:
            begin = start.setdefault(frame.recording, frame.time)
            name = (frame.recording, "block", int((frame.time - begin) // int(seconds * 1e9)))
        of_frame.append(names.setdefault(name, len(names)))
    return Blocks(np.array(of_frame, dtype=np.intp), len(names))


@dataclass(frozen=True)
class Value:
    """A measure's value, its interval (None where there are too few blocks) and its count."""

    value: float | None
    low: float | None
    high: float | None
    count: int

    def as_json(self) -> dict[str, float | int | None]:
        """As reports keep it: value, low, high, and the count as n."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.count}


def value(measure: Measure, weights: Array) -> Value:
    """A measure with its interval from bootstrap weights (R, F)."""
    (point,) = measure.estimates(np.ones((1, weights.shape[1])))
    low = high = None
    if np.isfinite(point) and measure.count >= LEAST:
        low, high = interval(measure.estimates(weights))
    return Value(tidy(point), low, high, measure.count)


def interval(estimates: Array) -> tuple[float | None, float | None]:
    """The middle 95 % of bootstrap estimates; None when hardly any exists."""
    known = estimates[np.isfinite(estimates)]
    if len(known) < 2:
        return None, None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return tidy(low), tidy(high)


def tidy(number: float) -> float | None:
    """Rounded, so that sums in another order give the same; None for NaN."""
    # + 0.0 makes a zero of -0.0
    return round(float(number), 6) + 0.0 if np.isfinite(number) else None
