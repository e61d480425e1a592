# SPDX-License-Identifier: Apache-2.0
"""The gestures of everybody whom one camera sees: windows, questions, events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hpe_vlm_ros.people.tracking import Status, TrackedHead

from . import rule
from .events import Gesture, Hysteresis
from .window import LAG, LEAST_RATE, Array, PoseWindow

PERIOD = 0.2  # seconds between two questions about a head, or three quarters of it
REMEMBERED = 10.0  # seconds for which an ended gesture can be asked for


class Judge(Protocol):
    """Says what windows show. `name`: who it is, for reports."""

    name: str

    def __call__(self, windows: Sequence[Array]) -> Sequence[Array | None]:
        """Probabilities (6,) of `tasks.gesture.LABELS`, for each window (20, 5); None for what is
        not answered."""


class Rule:
    """The fallback, see `gestures.rule`."""

    name = rule.NAME

    def __call__(self, windows: Sequence[Array]) -> list[Array]:
        """Probabilities (6,) of `tasks.gesture.LABELS` for each window (20, 5)."""
        return [rule.judge(window) for window in windows]


class GestureReader:
    """One camera's. Not thread-safe."""

    def __init__(self, judge: Judge | None = None) -> None:
        self.judge = judge or Rule()
        self.least_rate = LEAST_RATE
        self._heads: dict[str, _Head] = {}
        self._past: list[Gesture] = []

    def see(self, stamp: int, heads: Sequence[TrackedHead]) -> list[Gesture]:
        """What began or ended, as known with an image (stamp in nanoseconds) of these heads."""
        changes: list[Gesture] = []
        known = {head.id: head for head in heads if head.id}
        for id in [id for id in self._heads if id not in known]:
            changes += self._heads.pop(id).events.end()
        asked: list[tuple[_Head, Array | None]] = []
        for id, head in known.items():
            one = self._heads.setdefault(id, _Head(id))
            if head.observed is not None and head.observed.rotation is not None:
                one.window.add(stamp, head.observed.rotation, head.observed.box)
                one.detected = stamp
            if one.asked is None or not 0 <= stamp - one.asked < 0.75 * PERIOD * 1e9:
                one.asked = stamp
                # a head that a single image misses is still asked about: its gesture goes on
                current = head.status is Status.OK or stamp - one.detected < PERIOD * 1e9
                asked.append((one, one.window.samples(self.least_rate) if current else None))
        windows = [window for _, window in asked if window is not None]
        answers = iter(self.judge(windows) if windows else ())
        moment = stamp - int(LAG * 1e9)
        for one, window in asked:
            answer = None if window is None else next(answers)
            one.known = answer is not None
            changes += one.events.update(moment, answer, window)
        self._past += [gesture for gesture in changes if gesture.ended]
        self._past = [g for g in self._past if stamp - g.end <= REMEMBERED * 1e9]
        return changes

    def of(self, id: str) -> tuple[Gesture, ...]:
        """What a head has done in the last seconds, and does, in order."""
        going = self._heads[id].events.going if id in self._heads else None
        past = tuple(gesture for gesture in self._past if gesture.id == id)
        return past if going is None else (*past, going)

    def known(self, id: str) -> bool:
        """Whether the newest window said anything."""
        return id in self._heads and self._heads[id].known

    def forget(self) -> list[Gesture]:
        """As after a jump of time; what went on ends."""
        ended = [gesture for one in self._heads.values() for gesture in one.events.end()]
        self._heads, self._past = {}, []
        return ended


class _Head:
    def __init__(self, id: str) -> None:
        self.window, self.events = PoseWindow(), Hysteresis(id)
        self.asked: int | None = None
        self.detected = -(10**18)
        self.known = False
