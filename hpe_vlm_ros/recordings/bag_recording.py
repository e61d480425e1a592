# SPDX-License-Identifier: Apache-2.0
"""The images of one topic of a bag as a recording."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hpe_vlm_ros.camera_model import UNKNOWN, Calibration
from hpe_vlm_ros.images import ImageError, to_rgb

from .bags import CAMERA_INFO, Bag, Broken, Topic, shared_bag
from .frames import Frame, FrameInfo, ReplayError, Rgb
from .topics import calibration_topic, chosen_topic, image_topic

_STAMP = struct.Struct("<iI")  # a message begins with its header, that with sec and nanosec


@dataclass(frozen=True)
class BagRecording:
    """See `Recording`. damaged: it is read as far as it goes."""

    id: str
    path: str
    topic: str
    frames: tuple[FrameInfo, ...]
    cameras: tuple[Calibration, ...] = ()
    notes: tuple[str, ...] = ()
    damaged: bool = False
    bytes: int = 0
    info_topic: str = ""

    kind = "bag"
    sequence = True

    def only(self, frames: Sequence[FrameInfo]) -> BagRecording:
        return replace(self, frames=tuple(frames))

    @property
    def topics(self) -> list[Topic]:
        """The images and, where there is one, their camera_info."""
        bag = shared_bag(self.path, self.damaged)
        infos = [t for t in bag.topics if (t.name, t.kind) == (self.info_topic, CAMERA_INFO)]
        return [image_topic(bag, self.topic), *infos]

    def messages(self) -> Iterator[tuple[Topic, int, Any]]:
        """Those of `topics` as they were recorded, with the times of that (ns)."""
        return shared_bag(self.path, self.damaged).messages(self.topics)

    def read(self) -> Iterator[Frame]:
        """Its frames in the order of recording; ReplayError where some have gone since the bag was
        listed."""
        if not self.frames:
            return
        wanted = {(f.recorded, f.nth): f for f in self.frames}
        times = [f.recorded for f in self.frames]
        bag = shared_bag(self.path, self.damaged)
        counts: Counter[int] = Counter()
        topics = [image_topic(bag, self.topic)]
        # + 1: the end of the span is not part of it
        for topic, recorded, data in bag.messages(topics, min(times), max(times) + 1):
            info = wanted.pop((recorded, counts[recorded]), None)
            counts[recorded] += 1
            if info is not None:
                yield _frame(bag, topic, info, data)
            if not wanted:
                return
        if wanted:
            raise ReplayError(
                f"{self.path}: {len(wanted)} frames that were there have gone; leave the bag alone "
                "while it is replayed"
            )

    def camera(self, info: FrameInfo) -> Calibration | None:
        """The newest calibration recorded before the frame, else the first of all."""
        place = bisect_right([camera.recorded for camera in self.cameras], info.recorded)
        return self.cameras[max(place - 1, 0)] if self.cameras else None


def open_bag(
    path: Path,
    id: str,
    topic: str | None = None,
    info_topic: str | None = None,
    most: int | None = None,
) -> BagRecording:
    """Reads the bag once, for the list of its frames. ReplayError when there are none.

    topic: None takes the one with the most images, raw before compressed, depth left out. most:
    leave it at so many frames, which saves reading the others.
    """
    try:
        return _indexed(path, id, topic, info_topic, most, damaged=False)
    except Broken:
        return _indexed(path, id, topic, info_topic, most, damaged=True)


def _indexed(
    path: Path,
    id: str,
    topic: str | None,
    info_topic: str | None,
    most: int | None,
    damaged: bool,
) -> BagRecording:
    bag = shared_bag(str(path), damaged)
    chosen, notes = chosen_topic(bag, topic)
    calibration = calibration_topic(bag, chosen, info_topic)
    frames: list[FrameInfo] = []
    cameras: list[Calibration] = []
    counts: Counter[int] = Counter()
    size = 0
    topics = [chosen, calibration] if calibration else [chosen]
    try:
        for found, recorded, data in bag.messages(topics):
            if found.kind == CAMERA_INFO:
                _add_camera(cameras, bag, recorded, data)
                continue
            size += len(data)
            frames.append(FrameInfo(len(frames), header_stamp(data), recorded, counts[recorded]))
            counts[recorded] += 1
            if len(frames) == most:
                break
    except Broken:  # a ReplayError too, but one that `open_bag` has a remedy for
        raise
    except ReplayError as error:
        notes.append(f"{error}; the {len(frames)} images that can be read are used")
    if not frames:
        raise ReplayError(f"{path}: no images on {chosen.name}; name another with --topic")
    notes += bag.notes + bag.losses() + _oddities(frames)
    if not calibration:
        notes.append(f"no camera_info, {UNKNOWN}; see --camera-info")
    elif not cameras:
        notes.append(
            f"no camera_info on {calibration.name} can be read, {UNKNOWN}; see --camera-info"
        )
    cameras.sort(key=lambda camera: camera.recorded)  # they may lie in a file of their own
    return BagRecording(
        id, str(path), chosen.name, tuple(frames), tuple(cameras), tuple(notes), damaged, size,
        calibration.name if calibration else "",
    )  # fmt: skip


def _add_camera(cameras: list[Calibration], bag: Bag, recorded: int, data: bytes) -> None:
    """Keeps the calibration if it is a new one."""
    try:
        info = bag.decode(data, CAMERA_INFO)
    except ReplayError:
        return
    found = Calibration.read(info, recorded)
    if not cameras or found != cameras[-1]:
        cameras.append(found)


def header_stamp(data: bytes) -> int:
    """Nanoseconds of a message's header, after the four bytes that say the byte order."""
    if len(data) < 12:  # those, then four bytes each of seconds and nanoseconds
        return 0
    order = _STAMP if data[1] == 1 else struct.Struct(">iI")
    seconds, rest = order.unpack_from(data, 4)
    return int(seconds) * 10**9 + int(rest)


def _oddities(frames: Sequence[FrameInfo]) -> list[str]:
    """What is wrong with the stamps, in words."""
    stamps = [f.stamp for f in frames if f.stamp]
    zero, back = len(frames) - len(stamps), sum(b < a for a, b in zip(stamps, stamps[1:]))  # noqa: B905
    double = len(stamps) - len(set(stamps))
    notes = []
    if zero:
        notes.append(f"images without a stamp: {zero}; their time of recording stands in for it")
    if back:
        notes.append(f"images out of order: {back}; kept, in the order of recording")
    if double:
        notes.append(f"images that repeat an earlier stamp: {double}; kept, told apart by number")
    return notes


def _frame(bag: Bag, topic: Topic, info: FrameInfo, data: bytes) -> Frame:
    try:
        message = bag.decode(data, topic.kind)
    except ReplayError as error:
        return Frame(info, "", len(data), partial(_undecodable, str(error)))
    frame_id = str(message.header.frame_id)
    return Frame(info, frame_id, len(data), partial(to_rgb, message))


def _undecodable(text: str) -> Rgb:
    raise ImageError("undecodable", text)
