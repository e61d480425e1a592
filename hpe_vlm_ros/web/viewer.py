# SPDX-License-Identifier: Apache-2.0
"""What the page shows of an image or a video: people, and a drawing of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.drawing import draw_heads
from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.people.people import ROBOT, People, Person, View
from hpe_vlm_ros.people.tracking import Status
from hpe_vlm_ros.pictures import shrunk
from hpe_vlm_ros.rays import usual_camera
from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.videos import open_video

Rgb = NDArray[np.uint8]
FILM_RATE = 10.0  # frames of a video that are answered per second of it, at most


@dataclass(frozen=True, eq=False)
class Seen:
    """drawing: the image with boxes and axes, at most `pictures.LONGEST` pixels long. people: from
    left to right. seconds: time the model took."""

    drawing: Rgb
    people: list[Person]
    seconds: float


class Viewer:
    """Finds people in images with one perceiver, which may be asked from several threads.

    No camera is known: gaze and distance are those before a lens of `rays.FIELD_OF_VIEW` degrees.
    """

    def __init__(self, perceiver: Any) -> None:
        self._perceiver = perceiver
        self._one_at_a_time = threading.Lock()

    def photo(self, rgb: Rgb) -> Seen:
        """One image (uint8 H x W x 3 RGB) by itself."""
        people = People()
        people.tracking = False
        return self.follow(rgb, people, 1)

    def follow(self, rgb: Rgb, people: People, stamp: int) -> Seen:
        """The next image of a stream, taken at `stamp` (nanoseconds)."""
        rgb = shrunk(rgb)
        size = rgb.shape[1], rgb.shape[0]
        with self._one_at_a_time:
            started = time.perf_counter()
            heads = self._perceiver(rgb)
            seconds = time.perf_counter() - started
        (fx, _, cx), (_, fy, cy), _ = usual_camera(rgb.shape[:2]).tolist()
        view = View(size, CameraIntrinsics(fx, fy, cx, cy), self._perceiver.head_shape, rgb=rgb)
        found = [p for p in people.see(stamp, heads, view) if _shows(p)]
        return Seen(draw_heads(rgb, found, marked=map(looks, found)), found, seconds)

    def film(self, source: str | Path, out: Path) -> Iterator[tuple[Seen, float]]:
        """Answers a video, at most `FILM_RATE` frames a second of it, and writes the drawings to
        `out` (WebM, which browsers play). Yields what was seen in each and the share that is done.

        ValueError when there is no video in the source.
        """
        try:
            video = open_video(Path(source), "video")
        except ReplayError as error:
            raise ValueError(f"this is no video that OpenCV can play: {error}") from error
        chosen = thinned([frame.stamp for frame in video.frames], FILM_RATE)
        frames = [video.frames[index] for index in chosen]
        span = (frames[-1].stamp - frames[0].stamp) / 1e9
        rate = (len(frames) - 1) / span if span > 0 else FILM_RATE
        people, writer = People(), None
        try:
            for number, frame in enumerate(video.only(frames).read(), start=1):
                result = self.follow(frame.rgb(), people, frame.info.stamp)
                if writer is None:
                    height, width = result.drawing.shape[:2]
                    code = cv2.VideoWriter.fourcc(*"VP80")
                    writer = cv2.VideoWriter(str(out), code, rate, (width, height))
                    if not writer.isOpened():
                        raise ValueError("this OpenCV cannot write WebM videos (VP8)")
                writer.write(cv2.cvtColor(result.drawing, cv2.COLOR_RGB2BGR))
                yield result, number / len(frames)
        finally:
            if writer is not None:
                writer.release()


def thinned(stamps: list[int], rate: float) -> list[int]:
    """Indices of frames (stamps in nanoseconds, in order) of which at most `rate` fall into a
    second; the first is among them."""
    chosen, due = [], -(2**63)  # before every stamp
    for index, stamp in enumerate(stamps):
        if stamp >= due:
            chosen.append(index)
            due = stamp + round(0.99e9 / rate)  # stamps are rounded to milliseconds
    return chosen


def looks(person: Person) -> bool:
    """Whether a person looks at the camera."""
    return person.gazes[ROBOT].looking


def _shows(person: Person) -> bool:
    return person.posed and person.head.status in (Status.OK, Status.PREDICTED)
