# SPDX-License-Identifier: Apache-2.0
"""The heads that one camera sees, over time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import numpy as np

from hpe_vlm_ros.boxes import PixelBox
from hpe_vlm_ros.geometry import box_iou, geodesic_degrees
from hpe_vlm_ros.wording import seconds

from .assignment import generalised_iou, pairs
from .motion import Array
from .settings import Settings
from .track import OTHER_COLOURS, Observation, Status, Track, TrackedHead

__all__ = ["Ids", "LateFrame", "Observation", "Settings", "Status", "TrackedHead", "Tracker"]

GATE = 16.3  # 99.9 % of chi squared with three degrees of freedom: how far a head may have jumped
DOUBLE = 0.5  # overlap above which an unassigned box is a second one of a known head
THERE = 0.4  # generalised overlap from which a detection is where a head is expected
ALIKE = 0.2  # up to which even an unsure detection there is the same
NEWCOMER = 0.1  # cost added for a head without an id: established ones are served first
LATE_IN_A_ROW = 5  # images from the past after which it is time that has jumped


class LateFrame(ValueError):
    """An image that is not newer than the one before; the tracks are as they were."""


class Ids:
    """h0001, h0002, ...: never the same twice. One such source may serve several trackers.

    prefix: where it is not empty, what ids begin with, before an underscore; may be replaced.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def next(self) -> str:
        """An id that was never given; may be called from any thread."""
        with self._lock:
            number = f"h{next(self._numbers):04d}"
        return f"{self.prefix}_{number}" if self.prefix else number


class Tracker:
    """Gives heads ids that stay, and their poses at each image's stamp.

    `settings` may be replaced at any time. Not thread-safe.
    """

    def __init__(self, settings: Settings | None = None, ids: Ids | None = None) -> None:
        self.settings = settings or Settings()
        self._ids = ids or Ids()
        self._tracks: list[Track] = []
        self._stamp: int | None = None
        self._size: tuple[float, float] | None = None
        self._late = 0

    def reset(self) -> None:
        """Forgets every head; ids go on where they were."""
        self._tracks, self._stamp, self._late = [], None, 0

    def update(
        self, stamp: int, found: Sequence[Observation], size: tuple[float, float] | None = None
    ) -> list[TrackedHead]:
        """Heads at this image, from left to right; those not found in it are predicted.

        Args:
            stamp: nanoseconds, of the image.
            found: the model's answer; boxes of positive size.
            size: width and height of the image in pixels; heads predicted beyond it are not shown,
                but keep their ids should they come back before the timeout.

        Raises:
            LateFrame: the stamp is not after the last one. When it is earlier by more than the
                timeout, or this happens several times in a row, time has jumped (a bag that
                starts again): then every head is forgotten instead.
        """
        self._check(stamp)
        for track in self._tracks:
            track.advance(stamp, self.settings)
        self._assign(stamp, found)
        self._stamp = stamp
        self._size = size
        heads = [(track, track.at(stamp, self.settings)) for track in self._tracks]
        shown = [head for track, head in heads if self._shown(track, head)]
        self._tracks = [track for track, head in heads if self._lives(track, head)]
        return sorted(shown, key=lambda head: head.box[0] + head.box[2])

    def predict(self, stamp: int) -> list[TrackedHead]:
        """Heads with ids at a time without an answer; changes nothing. LateFrame as in update."""
        if self._stamp is not None and stamp < self._stamp:
            raise LateFrame(f"{seconds(self._stamp - stamp)} before the newest image")
        heads = [(track, track.at(stamp, self.settings)) for track in self._tracks if track.id]
        shown = [head for track, head in heads if self._shown(track, head)]
        return sorted(shown, key=lambda head: head.box[0] + head.box[2])

    def _check(self, stamp: int) -> None:
        if self._stamp is None or stamp > self._stamp:
            self._late = 0
            return
        back = self._stamp - stamp
        self._late += 1
        if back <= self.settings.timeout * 1e9 and self._late < LATE_IN_A_ROW:
            how = seconds(back) if back else "neither after nor"
            raise LateFrame(f"its stamp is {how} before that of the image answered last")
        self.reset()

    def _assign(self, stamp: int, found: Sequence[Observation]) -> None:
        """Sure detections choose first, among all heads; then unsure ones among those left (the
        idea of ByteTrack, Zhang et al., ECCV 2022)."""
        sure = [detection for detection in found if detection.score >= self.settings.birth_score]
        unsure = [detection for detection in found if detection.score < self.settings.birth_score]
        left, new = self._match(self._tracks, sure, False)
        left, newer = self._match(left, unsure, True)
        for track in left:
            track.miss()
        # what was found in this image; a lost head's prediction must not swallow a newcomer
        known = [track.box for track in self._tracks if not track.misses]
        for detection in [*new, *newer]:
            if not _double(detection.box, known):
                self._tracks.append(Track(stamp, detection, self.settings))
                known.append(detection.box)
        for track in list(self._tracks):
            enough = track.hits >= self.settings.birth_frames
            if not track.id and enough and track.best_score >= self.settings.birth_score:
                self._name(track)

    def _match(
        self, tracks: list[Track], found: list[Observation], unsure: bool
    ) -> tuple[list[Track], list[Observation]]:
        """Updates the tracks that are found; which tracks and which detections are left."""
        chosen = pairs(*self._cost(tracks, found, unsure))
        for row, column in chosen:
            tracks[row].hit(found[column], self.settings)
        hit, taken = {row for row, _ in chosen}, {column for _, column in chosen}
        return (
            [track for row, track in enumerate(tracks) if row not in hit],
            [detection for column, detection in enumerate(found) if column not in taken],
        )

    def _cost(
        self, tracks: list[Track], found: list[Observation], unsure: bool
    ) -> tuple[Array, np.ndarray]:
        """Cost (tracks, found) and which pairs may be."""
        shape = len(tracks), len(found)
        cost, allowed = np.zeros(shape), np.zeros(shape, bool)
        if 0 in shape:
            return cost, allowed
        weight = self.settings.pose_weight
        overlap = generalised_iou(
            [track.box for track in tracks], [detection.box for detection in found]
        )
        for row, track in enumerate(tracks):
            for column, detection in enumerate(found):
                if track.distance(detection.box, self.settings) > GATE:
                    continue
                # of half a turn; what is unknown counts as midway between alike and opposite
                turn = 0.5 if track.rotation is None or detection.rotation is None else (
                    float(geodesic_degrees(track.rotation, detection.rotation)) / 180
                )  # fmt: skip
                near, colours = (1 - overlap[row, column]) / 2, track.looks(detection)
                cost[row, column] = (1 - weight) * near + weight * turn + NEWCOMER * (not track.id)
                cost[row, column] += self.settings.colour_weight * (colours or 0.0)
                alike = (
                    not unsure
                    if colours is None
                    else colours <= (ALIKE if unsure else OTHER_COLOURS)
                )
                allowed[row, column] = overlap[row, column] >= THERE or alike
        return cost, allowed

    def _name(self, track: Track) -> None:
        """A new head gets the id of a lost one that it must be, else a new one."""
        lost = [other for other in self._tracks if other.id and other is not track]
        far = [track.continues(other, self.settings) for other in lost]
        if lost and min(far) < np.inf:
            known = lost[int(np.argmin(far))]
            track.take_over(known)
            self._tracks.remove(known)
        else:
            track.id = self._ids.next()

    def _shown(self, track: Track, head: TrackedHead) -> bool:
        """Heads without an id are shown where they are found only, however unsure; others while
        they live, where they are in the picture."""
        if not track.id:
            return track.misses == 0
        inside = head.status is Status.OK or self._size is None or _within(head.box, self._size)
        return inside and self._lives(track, head)

    def _lives(self, track: Track, head: TrackedHead) -> bool:
        # one miss is forgiven a head that has no id yet
        return head.unseen <= self.settings.timeout if track.id else track.misses < 2


def _double(box: PixelBox, known: Sequence[PixelBox]) -> bool:
    return bool(known) and bool((box_iou([box], known) > DOUBLE).any())


def _within(box: PixelBox, size: tuple[float, float]) -> bool:
    """Whether the box's middle lies in the image."""
    return 0 <= box[0] + box[2] <= 2 * size[0] and 0 <= box[1] + box[3] <= 2 * size[1]
