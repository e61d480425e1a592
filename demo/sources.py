# SPDX-License-Identifier: Apache-2.0
"""Where camera frames come from: a bag, a video file, a camera, pictures, or the demo itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from demo import photographs
from demo.bags import BagImages, write_frames
from demo.frames import Frame, Rgb, SourceError, from_pixels
from hpe_vlm_ros.camera_model import is_rectified
from hpe_vlm_ros.pictures import (
    PICTURES,
    ImageError,
    hush_opencv,
    is_hidden,
    is_picture,
    may_move,
    read_picture,
)
from hpe_vlm_ros.recordings.data_files import ROS1, looks_like_bag

PICTURES_FPS = 2
LONGEST = 1280  # pixels; the model sees less, and larger frames only cost time on their way
KINDS = "a video file, a camera such as /dev/video0, a picture or folder of pictures, or a rosbag2"


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

    def first(self, count: int) -> Source:
        """The first `count` frames; all of them for 0."""
        if not count:
            return self
        total = count if self.total is None else min(count, self.total)
        return replace(self, frames=islice(self.frames, count), total=total)


def open_source(text: str | None, workplace: Path, topic: str | None = None) -> Source:
    """The source that `text` names; None is the demo's own.

    workplace: an existing folder for the bag that the demo makes. topic: of the images in a bag.
    Raises SourceError.
    """
    if text is None:
        return own(workplace / "input")
    path = Path(f"/dev/video{text}" if text.isdigit() else text).expanduser()
    if not path.exists():
        what = "camera" if str(path).startswith("/dev/") else "file or folder"
        raise SourceError(f"{path}: there is no such {what}; the source may be {KINDS}")
    if str(path).startswith("/dev/"):
        return camera(path)
    if path.is_dir():
        return _folder(path, topic)
    if looks_like_bag(path):
        return bag(path, topic)
    if is_picture(path) and not may_move(path):
        return pictures([path])
    return video(path)


def own(folder: Path) -> Source:
    """A bag made on the fly from photographs and rendered scenes."""
    clips = photographs.clips()
    frames = photographs.frames(clips, time.time_ns())
    captions = write_frames(folder, frames, "/camera/image_raw")
    return bag(folder, None, captions)


def bag(path: Path, topic: str | None = None, captions: dict[int, str] | None = None) -> Source:
    """A bag's images; of several topics the one with the most, unless one is named."""
    found = BagImages(path, topic, captions)
    for note in found.notes:
        tqdm.write(f"{path.name}: {note}")
    name = f"bag {path}, {found.topic}" + "".join(f" ({note})" for note in found.choice)
    rectified = is_rectified("auto", found.topic)
    return Source(name, found, found.transport, found.total, rectified=rectified)


def video(path: Path) -> Source:
    """A video file."""
    capture = _capture(path, cv2.CAP_ANY)
    readable, _ = capture.read()
    fps = capture.get(cv2.CAP_PROP_FPS)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    if not readable:
        raise SourceError(f"{path}: OpenCV can play no video from it; the source may be {KINDS}")
    fps = fps if 1 <= fps <= 240 else 25.0
    return Source(f"video {path}", _video(path, fps), total=count if count > 0 else None)


def camera(path: Path) -> Source:
    """A V4L2 camera."""
    capture = _capture(path, cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # newest frame, not those of some time ago
    readable, _ = capture.read()
    if not readable:
        capture.release()
        raise SourceError(
            f"{path}: gives no picture; is it a camera, free, and may you read it (group video)?"
        )
    return Source(f"camera {path}", _camera(capture), live=True)


def pictures(paths: list[Path]) -> Source:
    """Picture files in this order, PICTURES_FPS a second."""
    name = f"picture {paths[0]}" if len(paths) == 1 else f"{len(paths)} pictures"
    return Source(name, _pictures(paths, time.time_ns()), total=len(paths))


def _folder(path: Path, topic: str | None) -> Source:
    found = (file for file in path.iterdir() if not is_hidden(file.name))
    files = sorted(file for file in found if file.is_file())
    old = [file for file in files if file.suffix == ROS1]
    if len(old) == 1 and not any(map(is_picture, files)):
        return bag(old[0], topic)
    if looks_like_bag(path):
        return bag(path, topic)
    shown = [file for file in files if is_picture(file)]
    if not shown:
        raise SourceError(
            f"{path}: neither a rosbag2 (no .mcap or .db3) nor pictures ({' '.join(PICTURES)})"
        )
    return pictures(shown)


def _capture(path: Path, backend: int) -> cv2.VideoCapture:
    hush_opencv()
    return cv2.VideoCapture(str(path), backend)


def _video(path: Path, fps: float) -> Iterator[Frame]:
    capture, start = _capture(path, cv2.CAP_ANY), time.time_ns()
    try:
        seconds = -1 / fps
        while (found := capture.read())[0]:
            given = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3  # phones space frames unevenly
            seconds = given if given > seconds else seconds + 1 / fps
            yield from_pixels(_rgb(found[1]), start + round(seconds * 1e9))
    finally:
        capture.release()


def _camera(capture: cv2.VideoCapture) -> Iterator[Frame]:
    try:
        while (found := capture.read())[0]:
            yield from_pixels(_rgb(found[1]), time.time_ns())
    finally:
        capture.release()


def _pictures(paths: list[Path], start: int) -> Iterator[Frame]:
    """Those that can be read; SourceError when none of them can."""
    failure: ImageError | None = None
    shown = 0
    for number, path in enumerate(paths):
        try:
            pixels = read_picture(path)
        except ImageError as error:
            failure = error
            tqdm.write(f"left out: {error}")
            continue
        shown += 1
        stamp = start + int(number * 1e9 / PICTURES_FPS)
        yield from_pixels(_small(pixels), stamp, caption=path.name)
    if not shown and failure is not None:
        raise SourceError(str(failure))


def _rgb(bgr: np.ndarray) -> Rgb:
    return _small(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))


def _small(rgb: Rgb) -> Rgb:
    """The picture, no longer than LONGEST pixels."""
    ratio = LONGEST / max(rgb.shape[:2])
    if ratio >= 1:
        return rgb
    small = cv2.resize(rgb, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
