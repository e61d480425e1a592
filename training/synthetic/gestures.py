# SPDX-License-Identifier: Apache-2.0
"""How heads move when they nod, shake, turn, tilt, look up or down, or do nothing in particular.

Motion alone, no pictures: for windows of poses to learn from, and for films (`films`). Angles are
degrees about the head's own axes, as in `people.gestures.window`: yaw > 0 to the subject's
right, pitch > 0 up, roll > 0 to the left ear. Kinds and their definitions are those of CCDb-HG; its
waggle, rhythmic about several axes at once, is none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpe_vlm_ros.tasks.gesture import LABELS

from . import Array

NONE, NOD, SHAKE, TURN, TILT, UPDOWN = range(len(LABELS))
AXES = {NOD: 1, SHAKE: 0, TURN: 0, TILT: 2, UPDOWN: 1}  # of yaw, pitch, roll
ODDS = {NOD: 0.27, SHAKE: 0.25, TURN: 0.17, TILT: 0.17, UPDOWN: 0.14}
FAST_TURN = 25.0  # degrees a second; what turns more slowly only drifts


@dataclass(frozen=True)
class Gesture:
    """One gesture. start, end: seconds. amplitude: degrees, signed by the first movement; of a nod
    or shake from the middle to the first peak, of the others the whole step. cycles: of a nod or
    shake. hold: seconds a step is held before it goes back; infinite if it does not."""

    kind: int
    start: float
    end: float
    amplitude: float
    cycles: float = 0.0
    hold: float = np.inf

    def angle(self, times: Array) -> Array:
        """Degrees (N,) about its axis at these seconds."""
        inside = np.clip((times - self.start) / (self.end - self.start), 0, 1)
        if self.cycles:
            envelope = np.minimum(1, np.minimum(inside, 1 - inside) * 2 * self.cycles + 0.0)
            decay = 1 - 0.35 * inside
            return self.amplitude * decay * envelope * np.sin(2 * np.pi * self.cycles * inside)
        back = np.clip((times - self.end - self.hold) / (self.end - self.start), 0, 1)
        return self.amplitude * (_smooth(inside) - _smooth(back))

    def spans(self) -> list[tuple[float, float]]:
        """Seconds from and to which it moves; a step that goes back moves twice."""
        span = self.end - self.start
        if self.cycles or not np.isfinite(self.hold):
            return [(self.start, self.end)]
        return [(self.start, self.end), (self.end + self.hold, self.end + self.hold + span)]


def random_gesture(rng: np.random.Generator, kind: int, start: float) -> Gesture:
    """A gesture of this kind that starts at this second."""
    sign = rng.choice([-1.0, 1.0])
    if kind in (NOD, SHAKE):
        speed = rng.uniform(1.0, 3.6)
        cycles = rng.uniform(1.0, 4.5) if kind == NOD else rng.uniform(1.5, 4.5)
        cycles = max(min(cycles, 2.8 * speed), 1.0)
        low, high = (2.5, 16.0) if kind == NOD else (3.0, 22.0)
        size = low * (high / low) ** rng.random() / max(1.0, speed / 2.2)
        return Gesture(kind, start, start + cycles / speed, sign * max(size, low), cycles)
    low, high = {TURN: (15.0, 70.0), TILT: (8.0, 28.0), UPDOWN: (10.0, 32.0)}[kind]
    size = rng.uniform(low, high)
    least = size / {TURN: 130.0, TILT: 70.0, UPDOWN: 90.0}[kind]
    span = max(least, rng.uniform(0.35, 0.9))
    if kind == TURN:
        span = min(span, size / FAST_TURN)
    hold = rng.uniform(0.3, 2.0) if rng.random() < 0.6 else np.inf
    return Gesture(kind, start, start + span, sign * size, hold=hold)


@dataclass(frozen=True)
class Script:
    """What a head does over some seconds: gestures, and unrest about yaw, pitch and roll as sums of
    waves (amplitude in degrees, frequency in 1/s, phase), (3, K, 3)."""

    gestures: tuple[Gesture, ...]
    unrest: Array

    def angles(self, times: Array) -> Array:
        """Yaw, pitch, roll (N, 3) in degrees at these seconds."""
        size, speed, phase = np.moveaxis(self.unrest, -1, 0)
        out = (size * np.sin(2 * np.pi * speed * times[:, None, None] + phase)).sum(-1)
        for gesture in self.gestures:
            out[:, AXES[gesture.kind]] += gesture.angle(times)
            if gesture.kind == SHAKE:  # no neck turns about one axis alone
                out[:, 2] += 0.12 * gesture.angle(times)
        return out

    def labels(self, times: Array) -> Array:
        """The gesture (N,) that is going on at each time, NONE where there is none."""
        out = np.zeros(len(times), np.int64)
        for gesture in self.gestures:
            for start, end in gesture.spans():
                out[(times >= start) & (times <= end)] = gesture.kind
        return out


def random_script(
    rng: np.random.Generator, seconds: float, busy: float = 1.0, first: float = 0.0
) -> Script:
    """A script of so many seconds; `busy` is the share of pauses that a gesture ends."""
    gestures: list[Gesture] = []
    time = first + rng.exponential(0.8)
    while time < seconds:
        if rng.random() < busy:
            kind = int(rng.choice(list(ODDS), p=list(ODDS.values())))
            gestures.append(random_gesture(rng, kind, time))
            time = gestures[-1].spans()[-1][1]
        time += 0.5 + rng.exponential(1.0)
    return Script(tuple(gestures), random_unrest(rng))


def random_unrest(rng: np.random.Generator) -> Array:
    """Sway and slow drifts; now and then the steps of somebody walking, or a waggle: (3, 6, 3)
    waves as of `Script`, phases in radians."""
    slow = np.stack(
        [
            rng.exponential(1.2, (3, 4)),
            rng.uniform(0.05, 0.5, (3, 4)),
            rng.uniform(0, 2 * np.pi, (3, 4)),
        ],
        -1,
    )
    kind = rng.random()
    fast = np.zeros((3, 2, 3))
    fast[..., 1] = rng.uniform(0.8, 2.6, (3, 2))
    fast[..., 2] = rng.uniform(0, 2 * np.pi, (3, 2))
    if kind < 0.30:  # steps: once and twice a stride, about all axes
        stride = rng.uniform(0.7, 1.1)
        fast[..., 1] = stride, 2 * stride
        fast[..., 0] = rng.uniform(0, 1.6, (3, 2))
    elif kind < 0.45:  # talking
        fast[..., 0] = rng.exponential(0.5, (3, 2))
    elif kind < 0.52:  # waggle
        fast[..., 0] = rng.uniform(1.5, 5.0) * rng.uniform(0.6, 1.4, (3, 1)) * (1.0, 0.3)
        fast[..., 1] = rng.uniform(0.8, 2.0) * np.ones((3, 1))
    elif kind < 0.65:  # a wide and slow drift, as of somebody who follows something
        slow[:, 0, 0] *= rng.uniform(3, 8, 3)
        slow[:, 0, 1] = rng.uniform(0.03, 0.12, 3)
    return np.concatenate([slow, fast], 1)


def _smooth(share: Array) -> Array:
    """From 0 to 1 with no jerk at either end."""
    return share * share * (3 - 2 * share)
