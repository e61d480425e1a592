# SPDX-License-Identifier: Apache-2.0
"""Videos and folders of pictures as recordings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hpe_vlm_ros.nodes.images import ImageError

from .frames import Calibration, Frame, FrameInfo, ReplayError, Rgb

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
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
            yield Frame(info, FRAME_ID, size, partial(_picture, file))

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
    names = [path.name] if path.is_file() else sorted(_below(path))
    if not names:
        raise ReplayError(f"{path}: neither a rosbag2 nor pictures ({' '.join(PICTURES)})")
    frames = [FrameInfo(i, 0, (i + 1) * 10**9, name=name) for i, name in enumerate(names)]
    return Pictures(id, str(path), tuple(frames))


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


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES


def _below(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            if is_picture(file):
                yield file.relative_to(folder).as_posix()


def _capture(path: Path) -> cv2.VideoCapture:
    cv2.utils.logging.setLogLevel(0)  # what it prints about bad files, the errors here say better
    return cv2.VideoCapture(str(path), cv2.CAP_ANY)


def _picture(file: Path) -> Rgb:
    try:
        bgr = cv2.imread(str(file), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError("undecodable", f"{file}: OpenCV cannot read it ({error.err})") from error
    if bgr is None:
        raise ImageError("undecodable", f"{file}: not a picture that OpenCV reads")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _rgb(bgr: Rgb | None, number: int) -> Rgb:
    if bgr is None:
        raise ImageError("undecodable", f"frame {number} of the video cannot be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
