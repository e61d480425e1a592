# SPDX-License-Identifier: Apache-2.0
"""Results that show people; made only when images may be saved."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hpe_vlm_ros.drawing import draw_heads
from hpe_vlm_ros.images import ImageError
from hpe_vlm_ros.recordings.frames import Recording, ReplayError, Rgb
from hpe_vlm_ros.recordings.records import FrameRecord

GREEN, ORANGE = (40, 160, 60), (230, 110, 20)
CROP = 220  # pixels, side of a worst case's picture
FPS = 10.0  # of videos of recordings without a course of time


def worst_pictures(worst: Sequence[dict[str, Any]], recordings: Sequence[Recording]) -> list[str]:
    """Addresses of JPEG pictures of the worst cases, in their order."""
    wanted: dict[str, list[int]] = {}
    for case in worst:
        wanted.setdefault(case["recording"], []).append(case["frame"])
    pixels = {}
    for recording in recordings:
        numbers = set(wanted.get(recording.id, ()))
        chosen = [info for info in recording.frames if info.number in numbers]
        for frame in recording.only(chosen).read() if chosen else ():
            pixels[recording.id, frame.info.number] = frame.rgb()
    return [_case(pixels[case["recording"], case["frame"]], case) for case in worst]


def write_video(path: Path, recording: Recording, records: Sequence[FrameRecord]) -> None:
    """The perceived frames of one recording with their heads drawn, as MP4 (or what else the
    suffix says); ReplayError when OpenCV cannot write it."""
    by_number = {record.number: record for record in records if record.error is None}
    if not by_number:
        return
    first = next(iter(by_number.values()))
    size = (first.width, first.height)
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, _rate(recording, records), size)
    if not writer.isOpened():
        raise ReplayError(f"{path}: OpenCV cannot write this video; leave out --video")
    try:
        for image in _drawn(recording, by_number):
            if image.shape[:2] != size[::-1]:
                image = np.asarray(cv2.resize(image, size), np.uint8)
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()


def _drawn(recording: Recording, records: dict[int, FrameRecord]) -> Iterator[Rgb]:
    chosen = [info for info in recording.frames if info.number in records]
    for frame in recording.only(chosen).read():
        try:
            rgb = frame.rgb()
        except ImageError:
            continue
        heads = [head.estimate for head in records[frame.info.number].heads]
        yield draw_heads(rgb, heads)


def _rate(recording: Recording, records: Sequence[FrameRecord]) -> float:
    """Frames a second as they were recorded."""
    span = (records[-1].recorded - records[0].recorded) / 1e9
    if not recording.sequence or span <= 0:
        return FPS
    return min(max((len(records) - 1) / span, 0.5), 120.0)


def _case(rgb: Rgb, case: dict[str, Any]) -> str:
    """The head with both boxes and gazes: green true, orange answered."""
    image = rgb.copy()
    for which, colour in (("true", GREEN), ("found", ORANGE)):
        x0, y0, x1, y1 = (round(v) for v in case[which]["box"])
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, 1)
        _arrow(image, case[which], colour)
    crop = _crop(image, case["true"]["box"])
    bgr = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _arrow(image: Rgb, pose: dict[str, Any], colour: tuple[int, int, int]) -> None:
    """Where the nose points, as the image shows it; nothing for a head without a triple."""
    if None in pose["angles"]:
        return
    yaw, pitch, _ = np.radians(pose["angles"])
    x0, y0, x1, y1 = pose["box"]
    length = 0.6 * max(x1 - x0, y1 - y0)
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    # The nose is -z of the head: minus the third column of Rx(-pitch) Ry(yaw) Rz(roll).
    tip = middle + length * np.array([-np.sin(yaw), -np.sin(pitch) * np.cos(yaw)])
    start, end = (tuple(int(round(v)) for v in point) for point in (middle, tip))
    cv2.arrowedLine(image, start, end, colour, 2, cv2.LINE_AA, tipLength=0.25)


def _crop(image: Rgb, box: Sequence[float]) -> Rgb:
    """A square of twice the box about its middle, CROP pixels wide."""
    height, width = image.shape[:2]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    reach = max(box[2] - box[0], box[3] - box[1], 16.0)
    x0, x1 = int(max(x - reach, 0)), int(min(x + reach, width))
    y0, y1 = int(max(y - reach, 0)), int(min(y + reach, height))
    part = image[y0:y1, x0:x1]
    scale = CROP / max(part.shape[:2])
    return np.asarray(cv2.resize(part, None, fx=scale, fy=scale), np.uint8)
