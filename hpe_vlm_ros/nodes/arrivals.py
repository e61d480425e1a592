# SPDX-License-Identifier: Apache-2.0
"""What has come from a camera and what has come of it, for the node's health; free of ROS."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

WINDOW = 5.0  # seconds, for losses
PAUSE = 10.0  # seconds without images, after which one begins anew
MOST = 0.5  # share of the images
FEW = 8  # images that say nothing yet


class Arrivals:
    """Times of a camera's images. Used from one thread.

    Attributes:
        last: when the last image came, by the clock.
        reason: why the newest image that was not answered was not; reason_kind groups such texts.
        latency: seconds that the model took for the last answer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.last = float("-inf")
        self.reason = self.reason_kind = ""
        self.latency = 0.0
        self._waiting_since: float | None = None
        # so long ago that the first losses begin anew, also where the clock starts at zero
        self._losing_since = self._losing_last = -2 * WINDOW
        self._share = 0.0
        # bounded, for nothing is thrown away before `losing` is asked
        self._images: deque[tuple[float, int]] = deque(maxlen=2000)  # when, stamp
        self._infos: deque[tuple[float, int]] = deque(maxlen=2000)
        self._lost: deque[tuple[float, int]] = deque(maxlen=2000)  # when, how many

    def image(self, stamp: int) -> None:
        """An image has come; its stamp in nanoseconds."""
        now = self._clock()
        if self._waiting_since is None or now - self.last > PAUSE:
            self._waiting_since, self.reason = now, ""
        self.last = now
        self._images.append((now, stamp))

    def info(self, stamp: int) -> None:
        """A camera_info has come."""
        self._infos.append((self._clock(), stamp))

    def lost(self, count: int) -> None:
        """The middleware says that so many images have not come."""
        self._lost.append((self._clock(), count))

    def answered(self, latency: float) -> None:
        """An answer has been published."""
        self._waiting_since, self.latency = None, latency
        self.dropped("", "")

    def dropped(self, kind: str, text: str) -> None:
        """An image is not answered, for a reason of this kind."""
        self.reason_kind, self.reason = kind, text

    def silence(self) -> float:
        """Seconds since the last image; infinite before the first."""
        return self._clock() - self.last

    def unanswered(self) -> float:
        """Seconds for which images have come of which none was answered."""
        return 0.0 if self._waiting_since is None else self._clock() - self._waiting_since

    def losing(self) -> tuple[float, float]:
        """Share of the images that never came when that was most of them last, and the seconds for
        which it has been, 0 when it is over. To be asked about once a second."""
        now = self._clock()
        for events in (self._images, self._infos, self._lost):
            while events and events[0][0] < now - WINDOW:
                events.popleft()
        share = share_lost(
            [stamp for _, stamp in self._images],
            len({stamp for _, stamp in self._infos}),
            sum(count for _, count in self._lost),
        )
        if now - self._losing_last > WINDOW:
            self._losing_since = now
        if share > MOST:
            self._losing_last, self._share = now, share
        return self._share, max(0.0, self._losing_last - self._losing_since)


def share_lost(stamps: Sequence[int], infos: int, lost: int) -> float:
    """Which share of a camera's images never came: the largest that any evidence speaks for.

    stamps: of the images that came, nanoseconds. infos: how many camera_info messages came, which
    cameras send with each image. lost: how many images the middleware knows to be lost.

    Where images get lost at random, intervals are several periods long, now more, now fewer, and
    the shortest show the period. A stream that is regular loses none: somebody may have thinned it
    out, and left its camera_info as it was.
    """
    came = len(stamps)
    shares = [lost / (lost + came)] if lost else [0.0]
    if not came and infos >= FEW:
        shares.append(1.0)
    intervals = np.diff(sorted(stamps)) / 1e9
    intervals = intervals[intervals > 0]
    if len(intervals) < 2:
        return max(shares)
    # 1.5: from there on, an interval is nearer to two periods than to one
    low, middle, high = np.percentile(intervals, (10, 50, 90))
    if high > 1.5 * low and infos > came:
        shares.append(1 - came / infos)
    if len(intervals) >= FEW and middle > 1.5 * low:
        # where even the shortest intervals lack images, they are two or three periods long
        candidates = [low / parts for low in (low, intervals.min()) for parts in (1, 2, 3)]
        found = [_missing(intervals, candidate) for candidate in candidates]
        shares.append(min((share for share in found if share), default=0.0))  # the longest period
    return max(shares)


def _missing(intervals: NDArray[np.float64], period: float) -> float:
    """Share of the images that are missing where a camera sends one each period (s), or about that;
    0 where the intervals are not of such a camera."""
    # a small error of the period adds up over long gaps, so they do not help to correct it
    near = intervals[intervals < 8.5 * period]
    period = float(near.sum() / max(np.round(near / period).sum(), 1))
    steps = intervals / period
    # a camera's stamps jitter: most intervals, not all, must be near to whole numbers of periods
    if np.mean(np.abs(steps - np.round(steps)) < 0.15) < 0.8:
        return 0.0
    return 1 - len(intervals) / float(np.round(steps).sum())
