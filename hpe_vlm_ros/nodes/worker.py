# SPDX-License-Identifier: Apache-2.0
"""A thread that works on newest items only, and warnings that do not repeat; free of ROS."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
ONLY = ""


class NewestOnly(Generic[Item]):
    """Calls `work(key, item)` in a thread of its own, on the newest items handed in by `put`.

    One slot for each key (a camera), no queue: an item that arrives while another of its key waits
    replaces it, which counts as a drop. Of several that wait, that whose key was served least
    recently is next. `min_period(key)` is asked for the least time in seconds between the starts of
    any work that has one; a waiting item can still be replaced meanwhile. An exception from `work`
    goes to `failed(key, error)`, and the next item is worked on as ever.
    """

    def __init__(
        self,
        work: Callable[[str, Item], None],
        failed: Callable[[str, Exception], None],
        min_period: Callable[[str], float],
    ) -> None:
        self._work, self._failed, self._min_period = work, failed, min_period
        self._changed = threading.Condition()
        self._items: dict[str, Item] = {}
        self._served: dict[str, float] = {}  # when its work last started
        self._dropped: Counter[str] = Counter()
        self._stopping = False
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="newest only", daemon=True)
        self._thread.start()

    def put(self, item: Item, key: str = ONLY) -> None:
        """Hands in an item; never blocks on the work."""
        with self._changed:
            self._dropped[key] += key in self._items
            self._items[key] = item
            self._changed.notify()

    def drop(self, key: str = ONLY) -> None:
        """Counts an item that was given up elsewhere."""
        with self._changed:
            self._dropped[key] += 1

    def take_dropped(self, key: str = ONLY) -> int:
        """How many of this key were dropped since the last call."""
        with self._changed:
            return self._dropped.pop(key, 0)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called, so that nobody waits for the work in hand."""
        return self._stopping

    def busy(self) -> float:
        """Seconds for which the present work has lasted; 0 when there is none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def stop(self, timeout: float | None) -> bool:
        """Takes no further item, waits for the one in work; whether it ended in `timeout` s."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            key, item = taken
            self._busy_since = self._served[key] = time.monotonic()
            try:
                self._work(key, item)
            except Exception as error:  # one bad item must not end the service of the others
                self._failed(key, error)
            finally:
                self._busy_since = None
                del taken, item  # else the last image of a camera that went silent stays

    def _next(self) -> tuple[str, Item] | None:
        """The newest item of the key whose turn it is, once the rate allows; None to stop."""
        with self._changed:
            while not self._stopping:
                waits = {key: self._wait(key) for key in self._items}
                ready = [key for key, wait in waits.items() if wait <= 0]
                if ready:
                    key = min(ready, key=lambda k: self._served.get(k, float("-inf")))
                    return key, self._items.pop(key)
                self._changed.wait(min(waits.values(), default=None))
            return None

    def _wait(self, key: str) -> float:
        period = self._min_period(key)
        if not period:
            return 0.0
        starts = [start for other, start in self._served.items() if self._min_period(other)]
        return max(starts, default=float("-inf")) + period - time.monotonic()


class ThrottledWarnings:
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
