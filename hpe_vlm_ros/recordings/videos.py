# SPDX-License-Identifier: Apache-2.0
"""Videos as recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hpe_vlm_ros.camera_model import Calibration
from hpe_vlm_ros.pictures import ImageError, hush_opencv

from .folders import FRAME_ID
from .frames import Frame, FrameInfo, ReplayError, Rgb

START = 10**9
"""Stamp of a video's start, nanoseconds: zero would mean that there is none."""


@dataclass(frozen=True)
class Video:
    """See `Recording`. Stamps are the frames' times from the video's start, after `START`."""

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
        """Its frames in order; those between them are stepped through as well."""
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
        """None: videos bring no calibration."""
        return None


def open_video(path: Path, id: str, most: int | None = None) -> Video:
    """A video file; it is played through once, since files often misstate their length, or for its
    first `most` frames.

    Frames have the times that the container gives them, which phones space unevenly; where it gives
    none, its frame rate.
    """
    capture = _capture(path)
    fps, times = capture.get(cv2.CAP_PROP_FPS), list[float]()
    while len(times) != most and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3)
    capture.release()
    if not times:
        raise ReplayError(
            f"{path}: OpenCV can play no video from it; give a rosbag2, a video, or pictures"
        )
    notes: tuple[str, ...] = ()
    if not _in_order(times):
        known = 1 <= fps <= 1000  # without a rate, files give zero or the ticks of their clock
        fps = fps if known else 25.0
        times = [number / fps for number in range(len(times))]
        why = "as the file says" if known else "since the file says nothing"
        notes = (f"its frames have no times; {fps:g} a second are taken, {why}",)
    stamps = [START + round(seconds * 1e9) for seconds in times]
    frames = [FrameInfo(number, stamp, stamp) for number, stamp in enumerate(stamps)]
    return Video(id, str(path), tuple(frames), notes)


def _in_order(times: Sequence[float]) -> bool:
    """Whether these are the times of frames that follow each other, from zero on.

    Two may share one, as in what programs record of screens.
    """
    known = np.isfinite(times).all() and times[0] >= 0 and (np.diff(times) >= 0).all()
    return bool(known and (len(times) == 1 or times[-1] > times[0]))


def _capture(path: Path) -> cv2.VideoCapture:
    hush_opencv()
    return cv2.VideoCapture(str(path), cv2.CAP_ANY)


def _rgb(bgr: Rgb | None, number: int) -> Rgb:
    if bgr is None:
        raise ImageError("undecodable", f"frame {number} of the video cannot be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
