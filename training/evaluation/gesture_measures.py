# SPDX-License-Identifier: Apache-2.0
"""Measures of head gestures, those of CCDb-HG: labels of frames, and events that overlap.

An event of the same kind that overlaps by a Dice coefficient of at least 0.1 counts as found.
Frames within two of a true border are not scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.tasks.gesture import LABELS

Array = NDArray[np.float64]
OVERLAP = 0.1
BORDER = 2  # frames
KINDS = LABELS[1:]


@dataclass(frozen=True)
class Event:
    """Seconds and, of true ones, the amplitude in degrees; `reported`: when it was predicted."""

    name: str
    start: float
    end: float
    amplitude: float = 0.0
    reported: float = 0.0


@dataclass(frozen=True)
class FilmedPerson:
    """One person of one film: true events, predicted ones, and frames.

    times (N,), true (N,), predicted (N,): seconds and indices in LABELS of the frames about which
    a prediction is possible. excused: whether a true motion of its kind excuses each of `events`,
    see `senses.excusable`.
    """

    true_events: Sequence[Event]
    events: Sequence[Event]
    times: Array
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    excused: Sequence[bool] = field(default_factory=tuple)


def dice(one: Event, other: Event) -> float:
    """Twice the shared time over the sum of both."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    whole = (one.end - one.start) + (other.end - other.start)
    return max(2 * shared / whole, 0.0) if whole > 0 else 0.0


def matches(event: Event, others: Iterable[Event]) -> bool:
    """Whether an event of its kind among the others overlaps it enough."""
    return any(o.name == event.name and dice(event, o) >= OVERLAP for o in others)


def event_f1(people: Sequence[FilmedPerson], kind: str, least: float = 0.0) -> float:
    """F1 of a kind over all people; true events smaller than `least` degrees are left out, and so
    are predicted ones that match them. NaN where there is neither."""
    found = wanted = right = named = 0
    for one in people:
        true = [e for e in one.true_events if e.name == kind]
        large = [e for e in true if e.amplitude >= least]
        small = [e for e in true if e.amplitude < least]
        predicted = [e for e in one.events if e.name == kind]
        predicted = [e for e in predicted if matches(e, large) or not matches(e, small)]
        wanted += len(large)
        found += sum(matches(e, predicted) for e in large)
        named += len(predicted)
        right += sum(matches(e, large) for e in predicted)
    if not wanted and not named:
        return float("nan")
    recall, precision = found / max(wanted, 1), right / max(named, 1)
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def frame_f1(people: Sequence[FilmedPerson], kind: str) -> float:
    """F1 of a kind over frames, those near a true border left out."""
    true, predicted = (
        np.concatenate([values[_scored(one.true)] for one in people for values in [pick(one)]])
        for pick in (lambda one: one.true, lambda one: one.predicted)
    )
    index = LABELS.index(kind)
    both = ((true == index) & (predicted == index)).sum()
    named = (true == index).sum() + (predicted == index).sum()
    return float(2 * both / named) if named else float("nan")


def _scored(true: NDArray[np.int64]) -> NDArray[np.bool_]:
    keep = np.ones(len(true), bool)
    for border in np.flatnonzero(np.diff(true)) + 1:
        keep[max(border - BORDER, 0) : border + BORDER] = False
    return keep


def false_per_minute(people: Sequence[FilmedPerson], excuse: bool = True) -> float:
    """Predicted events that match no true one, in a minute of one person in view."""
    false = 0
    for one in people:
        excused = one.excused if excuse and one.excused else [False] * len(one.events)
        false += sum(
            not (matches(event, one.true_events) or pardon)
            for event, pardon in zip(one.events, excused, strict=True)
        )
    seconds = sum(float(np.ptp(one.times)) for one in people if len(one.times))
    return 60 * false / seconds if seconds else float("nan")


def delays(people: Sequence[FilmedPerson]) -> list[float]:
    """Seconds from the true beginning of an event that was found to its report."""
    out = []
    for one in people:
        for event in one.events:
            same = [e for e in one.true_events if e.name == event.name]
            best = max(same, key=lambda e, t=event: dice(t, e), default=None)
            if best is not None and dice(event, best) >= OVERLAP:
                out.append(event.reported - best.start)
    return out


def mean_f1(values: Iterable[float]) -> float:
    """The macro mean over kinds that occur."""
    return float(np.nanmean(list(values)))
