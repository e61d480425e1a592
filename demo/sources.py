# SPDX-License-Identifier: Apache-2.0
"""Where camera frames come from: a recording, a camera, or the demo itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from demo import photographs
from demo.bags import bag_frames, write_frames
from demo.frames import Frame, from_pixels
from hpe_vlm_ros.camera_model import is_rectified
from hpe_vlm_ros.pictures import ImageError, hush_opencv, shrunk
from hpe_vlm_ros.recordings.bag_recording import BagRecording
from hpe_vlm_ros.recordings.bags import RAW
from hpe_vlm_ros.recordings.frames import Recording, ReplayError
from hpe_vlm_ros.recordings.sources import open_sources

PICTURES_FPS = 2


@dataclass(frozen=True)
class Source:
    """Frames to play. total: how many, None where unknown. live: they come in their own time.
    rectified: what a bag's topic said of its images, which play under another."""

    name: str
    frames: Iterable[Frame]
    transport: str = "compressed"
    total: int | None = None
    live: bool = False
    rectified: bool = False


def open_source(
    text: str | None,
    workplace: Path,
    topic: str | None = None,
    info_topic: str | None = None,
    most: int | None = None,
) -> Source:
    """The source that `text` names; None is the demo's own.

    workplace: an existing folder for the bag that the demo makes. topic, info_topic: of the images
    in a bag and of their calibration. most: the first frames, None for all. Raises ReplayError.
    """
    captions: Mapping[int, str] = {}
    if text is None:
        text = str(workplace / "input")
        frames = photographs.frames(photographs.clips(), time.time_ns())
        captions = write_frames(Path(text), frames, "/camera/image_raw")
    device = f"/dev/video{text}" if text.isdigit() else text
    if device.startswith("/dev/"):
        return _camera(Path(device), most)
    recordings = open_sources([text], [topic] if topic else [], info_topic, most)
    if len(recordings) > 1:
        raise ReplayError(f"{text}: names {len(recordings)} recordings; name one of them")
    return _recorded(recordings[0], captions)


def _recorded(recording: Recording, captions: Mapping[int, str]) -> Source:
    for note in recording.notes:
        tqdm.write(f"{recording.id}: {note}")
    name, total = f"{recording.kind} {recording.path}", len(recording.frames)
    if not isinstance(recording, BagRecording):
        return Source(name, _coded(recording), total=total)
    return Source(
        f"{name}, {recording.topic}",
        bag_frames(recording, captions),
        "raw" if recording.topics[0].kind == RAW else "compressed",
        total,
        rectified=is_rectified("auto", recording.topic),
    )


def _coded(recording: Recording) -> Iterator[Frame]:
    """The frames that can be read, from now on; ReplayError when none of them can."""
    start, first = time.time_ns(), recording.frames[0].time
    failure: ImageError | None = None
    shown = 0
    for frame in recording.read():
        try:
            pixels = frame.rgb()
        except ImageError as error:
            failure = error
            tqdm.write(f"left out: {error}")
            continue
        shown += 1
        passed = frame.info.time - first
        stamp = start + (passed if recording.sequence else passed // PICTURES_FPS)
        yield from_pixels(shrunk(pixels), stamp, caption=frame.info.name)
    if not shown and failure is not None:
        raise ReplayError(str(failure))


def _camera(path: Path, most: int | None) -> Source:
    """A V4L2 camera."""
    if not path.exists():
        raise ReplayError(f"{path}: there is no such camera; see /dev/video*")
    hush_opencv()
    capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # newest frame, not those of some time ago
    readable, _ = capture.read()
    if not readable:
        capture.release()
        raise ReplayError(
            f"{path}: gives no picture; is it a camera, free, and may you read it (group video)?"
        )
    return Source(f"camera {path}", islice(_read(capture), most), total=most, live=True)


def _read(capture: cv2.VideoCapture) -> Iterator[Frame]:
    try:
        while (found := capture.read())[0]:
            rgb = np.asarray(cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB), np.uint8)
            yield from_pixels(shrunk(rgb), time.time_ns())
    finally:
        capture.release()
