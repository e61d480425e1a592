# SPDX-License-Identifier: Apache-2.0
"""A thread that works on the newest item only, and warnings that do not repeat; free of ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestOnly(Generic[Item]):
    """Calls `work(item)` in a thread of its own, on the newest item handed in by `put`.

    One slot, no queue: an item that arrives while another waits replaces it, which counts as a
    drop. `min_period()` is asked before each item for the least time in seconds between starts; a
    waiting item can still be replaced meanwhile. An exception from `work` goes to `failed`, and the
    next item is worked on as ever.
    """

    def __init__(
        self,
        work: Callable[[Item], None],
        failed: Callable[[Exception], None],
        min_period: Callable[[], float],
    ) -> None:
        self._work, self._failed, self._min_period = work, failed, min_period
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._dropped = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="newest only", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hands in an item; never blocks on the work."""
        with self._changed:
            self._dropped += self._item is not None
            self._item = item
            self._changed.notify()

    def drop(self) -> None:
        """Counts an item that was given up elsewhere."""
        with self._changed:
            self._dropped += 1

    def take_dropped(self) -> int:
        """How many were dropped since the last call."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    @property
    def stopping(self) -> bool:
        return self._stopping

    def stop(self, timeout: float | None) -> bool:
        """Takes no further item, waits for the one in work; whether it ended in `timeout` s."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        started = float("-inf")
        while (item := self._next(started)) is not None:
            started = time.monotonic()
            try:
                self._work(item)
            except Exception as error:  # one bad item must not end the service of the others
                self._failed(error)

    def _next(self, last_start: float) -> Item | None:
        """The newest item, as soon as there is one and the rate limit allows; None to stop."""
        with self._changed:
            while not self._stopping:
                wait = last_start + self._min_period() - time.monotonic()
                if self._item is not None and wait <= 0:
                    item, self._item = self._item, None
                    return item
                self._changed.wait(wait if self._item is not None else None)
            return None


class Complaints:
    """Passes on one warning of each kind per `period` seconds, with the number left out between."""

    def __init__(self, warn: Callable[[str], object], period: float = 5.0) -> None:
        self._warn, self._period = warn, period
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[float, int]] = {}  # time of the last warning, left out since

    def __call__(self, kind: str, text: str) -> None:
        now = time.monotonic()
        with self._lock:
            last, left_out = self._kinds.get(kind, (float("-inf"), 0))
            if now - last < self._period:
                self._kinds[kind] = (last, left_out + 1)
                return
            self._kinds[kind] = (now, 0)
        self._warn(f"{text} ({left_out} more since)" if left_out else text)
