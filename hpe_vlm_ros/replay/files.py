# SPDX-License-Identifier: Apache-2.0
"""Videos and folders of pictures as recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hpe_vlm_ros.pictures import NOT_READ, PICTURES, ImageError, pictures_below, read_picture

from .frames import Calibration, Frame, FrameInfo, ReplayError, Rgb

FRAME_ID = "camera_optical"


@dataclass(frozen=True)
class Pictures:
    """See `Recording`. Pictures have no time: `FrameInfo.recorded` counts seconds from one."""

    id: str
    path: str
    frames: tuple[FrameInfo, ...]
    notes: tuple[str, ...] = ()

    kind = "pictures"
    topic = ""
    sequence = False

    def only(self, frames: Sequence[FrameInfo]) -> Pictures:
        return replace(self, frames=tuple(frames))

    def read(self) -> Iterator[Frame]:
        folder = Path(self.path)
        for info in self.frames:
            file = folder / info.name if folder.is_dir() else folder
            size = file.stat().st_size if file.is_file() else 0
            yield Frame(info, FRAME_ID, size, partial(read_picture, file))

    def camera(self, info: FrameInfo) -> Calibration | None:
        return None


@dataclass(frozen=True)
class Video:
    """See `Recording`. Stamps are the frames' times from the video's start."""

    id: str
    path: str
    frames: tuple[FrameInfo, ...]
    notes: tuple[str, ...] = ()

    kind = "video"
    topic = ""
    sequence = True

    def only(self, frames: Sequence[FrameInfo]) -> Video:
        return replace(self, frames=tuple(frames))

    def read(self) -> Iterator[Frame]:
        capture = _capture(Path(self.path))
        wanted = {info.number: info for info in self.frames}
        try:
            for number in range(max(wanted, default=-1) + 1):
                if not capture.grab():  # seeking would be quicker, but is inexact in many codecs
                    raise ReplayError(f"{self.path}: ends before frame {number}; has it changed?")
                if number in wanted:
                    readable, bgr = capture.retrieve()
                    pixels = np.asarray(bgr, np.uint8) if readable else None
                    size = 0 if pixels is None else pixels.nbytes
                    yield Frame(wanted[number], FRAME_ID, size, partial(_rgb, pixels, number))
        finally:
            capture.release()

    def camera(self, info: FrameInfo) -> Calibration | None:
        return None


def open_pictures(path: Path, id: str) -> Pictures:
    """A picture, or all pictures below a folder by name; ReplayError when there are none."""
    names = [path.name] if path.is_file() else pictures_below(path)
    notes = _not_read(path)
    if not names:
        why = f"neither a rosbag2 nor pictures ({' '.join(PICTURES)})"
        raise ReplayError("; ".join((f"{path}: {why}", *notes)))
    frames = [FrameInfo(i, 0, (i + 1) * 10**9, name=name) for i, name in enumerate(names)]
    return Pictures(id, str(path), tuple(frames), notes)


def _not_read(folder: Path) -> tuple[str, ...]:
    """A note on the pictures below a folder that are of a kind which OpenCV does not read."""
    names = pictures_below(folder, NOT_READ)
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (
        f"{len(names)} left out, of a kind that OpenCV does not read ({shown}): "
        "convert to JPEG or PNG",
    )


def open_video(path: Path, id: str) -> Video:
    """A video file; it is played through once, since files often misstate their length."""
    capture = _capture(path)
    fps = capture.get(cv2.CAP_PROP_FPS)
    notes: tuple[str, ...] = ()
    if not 1 <= fps <= 1000:
        fps, notes = 25.0, (f"{path.name}: states no frame rate; 25 per second are assumed",)
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    if not count:
        raise ReplayError(
            f"{path}: OpenCV can play no video from it; give a rosbag2, a video, or pictures"
        )
    start = 10**9  # a stamp of zero would mean that there is none
    frames = [
        FrameInfo(i, start + int(i * 1e9 / fps), start + int(i * 1e9 / fps)) for i in range(count)
    ]
    return Video(id, str(path), tuple(frames), notes)


def _capture(path: Path) -> cv2.VideoCapture:
    cv2.utils.logging.setLogLevel(0)  # what it prints about bad files, the errors here say better
    return cv2.VideoCapture(str(path), cv2.CAP_ANY)


def _rgb(bgr: Rgb | None, number: int) -> Rgb:
    if bgr is None:
        raise ImageError("undecodable", f"frame {number} of the video cannot be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
