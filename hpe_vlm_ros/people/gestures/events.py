# SPDX-License-Identifier: Apache-2.0
"""From probabilities, window after window, to gestures that begin and end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.tasks.gesture import LABELS

from .window import LAG, PERIOD

Array = NDArray[np.float64]
AXES = {"nod": 1, "shake": 0, "turn": 0, "tilt": 2, "updown": 1}
SWINGS = ("nod", "shake")
BEGIN, GO_ON = 0.6, 0.4  # probabilities
TWICE = 2  # answers in a row that begin one
SURE = 0.95  # a single answer as sure as this begins one too
JOIN = 0.3  # seconds: two of a kind with less between them are one
# Degrees: a nod or shake of less is not told from errors that change from image to image.
LEAST_SWING = 2.5
ONSET = 3  # samples before the first moment judged, which a gesture may have begun in


@dataclass(frozen=True)
class Gesture:
    """A gesture of one head.

    Attributes:
        id: the head's.
        name: one of `tasks.gesture.LABELS` but "none".
        start, end: nanoseconds; end is the newest known moment while it goes on.
        score: 0..1, the largest probability so far.
        amplitude: degrees; of a nod or shake half of the way between its extremes, of the others
            the way gone.
        direction: +1 or -1, the sign of the first movement: of yaw (+1 to the subject's right) for
            shake and turn, of pitch (+1 up) for nod and updown, of roll (+1 to the left ear).
        cycles: back and forth, of a nod or shake; 0 for the others.
        ended: whether it has.
    """

    id: str
    name: str
    start: int
    end: int
    score: float
    amplitude: float
    direction: int
    cycles: float
    ended: bool = False


class Hysteresis:
    """The gestures of one head. Times are nanoseconds of what is judged, and grow."""

    def __init__(self, id: str) -> None:
        self._id = id
        self.going: Gesture | None = None
        self._hopeful: tuple[str, int, float] | None = None  # a kind, since when, how sure
        self._times = 0  # answers in a row for it

    def update(self, time: int, probabilities: Array | None, window: Array | None) -> list[Gesture]:
        """What began or ended with an answer about `time`.

        probabilities (6,): of `tasks.gesture.LABELS`; None where there are none, which ends what
        goes on. window (20, 5): what was judged; `time` is LAG before its newest sample.
        """
        if probabilities is None or window is None:
            self._hopeful, self._times = None, 0
            return self.end()
        out: list[Gesture] = []
        best = int(np.argmax(probabilities))
        name, sure = LABELS[best], float(probabilities[best])
        if self.going is not None:
            out += self._go_on(time, probabilities, window)
        elsewhere = self.going is None or name != self.going.name
        if name == "none" or sure <= BEGIN or not elsewhere:
            self._hopeful, self._times = None, 0
            return out
        if self._hopeful is None or self._hopeful[0] != name:
            self._hopeful, self._times = (name, time, sure), 0
        self._times += 1
        if self.going is None and (self._times >= TWICE or sure > SURE):
            start = self._hopeful[1]
            amplitude, direction, cycles = measured(window, name, time - start)
            if name in SWINGS and amplitude < LEAST_SWING:
                return out
            self.going = Gesture(self._id, name, start, time, sure, amplitude, direction, cycles)
            self._hopeful, self._times = None, 0
            out.append(self.going)
        return out

    def end(self) -> list[Gesture]:
        """Ends what goes on, as when the head is lost."""
        going, self.going = self.going, None
        return [] if going is None else [replace(going, ended=True)]

    def _go_on(self, time: int, probabilities: Array, window: Array) -> list[Gesture]:
        going = self.going
        assert going is not None
        likely = float(probabilities[LABELS.index(going.name)])
        if likely >= GO_ON:
            amplitude, _, cycles = measured(window, going.name, time - going.start)
            self.going = replace(
                going,
                end=time,
                score=max(going.score, likely),
                amplitude=max(going.amplitude, amplitude),
                cycles=max(going.cycles, cycles),
            )
            return []
        # of the other gestures; label 0 is "none"
        other = float(np.delete(probabilities, [0, LABELS.index(going.name)]).max())
        if time - going.end >= JOIN * 1e9 or other > BEGIN:
            return self.end()
        return []


def measured(window: Array, name: str, lasting: int) -> tuple[float, int, float]:
    """Amplitude in degrees, direction and cycles of a gesture in a window (20, 5) that was judged
    `lasting` nanoseconds after it began."""
    axis = AXES[name]
    since = round((lasting / 1e9 + LAG) / PERIOD) + ONSET
    first = max(len(window) - since - 1, 0)
    way = window[first:, axis]
    if name not in SWINGS:
        low, high = int(way.argmin()), int(way.argmax())
        return float(np.ptp(way)), 1 if high > low else -1, 0.0
    about = way - np.median(way)
    strong = np.abs(about) > 0.4 * np.abs(about).max()
    signs = np.sign(about[strong])
    changes = int((np.diff(signs) != 0).sum()) if len(signs) else 0
    step = np.diff(way)
    first_large = int(np.argmax(np.abs(step) > 0.35 * np.abs(step).max())) if len(step) else 0
    direction = -1 if len(step) and step[first_large] < 0 else 1
    return float(np.ptp(way)) / 2, direction, (changes + 1) / 2
