# SPDX-License-Identifier: Apache-2.0
"""What a camera's stream has been like lately; free of ROS."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

WINDOW = 10.0  # seconds


@dataclass
class Statistics:
    """Counts since the start, and times of the last seconds. Used from one thread.

    Counts: received, answered, published, heads, invalid (answers), late (answers older than
    max_age, or than one published before), failed, and "dropped: <why>".
    """

    clock: Callable[[], float] = time.monotonic
    counts: Counter[str] = field(default_factory=Counter)
    _events: deque[tuple[float, str, float]] = field(default_factory=lambda: deque(maxlen=10_000))

    def count(self, name: str, by: int = 1) -> None:
        """Adds so many events, which also count for `rate`; adding 0 makes the count appear."""
        self.counts[name] += by
        if by:
            self._events.append((self.clock(), name, float(by)))

    def note(self, name: str, value: float) -> None:
        """A measurement: latency (of the model) or age (of an image when published), seconds."""
        self._events.append((self.clock(), name, value))

    def recent(self, name: str) -> list[float]:
        """What was counted or noted under a name within the last WINDOW seconds, oldest first."""
        since = self.clock() - WINDOW
        while self._events and self._events[0][0] < since:
            self._events.popleft()
        return [value for _, what, value in self._events if what == name]

    def rate(self, name: str) -> float:
        """Events a second, lately."""
        return sum(self.recent(name)) / WINDOW

    def percentiles(self, name: str) -> tuple[float, float] | None:
        """Median and 95th percentile, lately; None when there was nothing."""
        values = self.recent(name)
        if not values:
            return None
        middle, high = np.percentile(values, (50, 95))
        return float(middle), float(high)
