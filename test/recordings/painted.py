# SPDX-License-Identifier: Apache-2.0
"""Pictures with painted heads, a perceiver that finds exactly those, and bags of them.

A head is a rectangle with full red; its green and blue say yaw and pitch. The perceiver knows the
picture alone, so a frame that is mixed up, doubled or decoded wrongly gives other answers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, seen_by
from hpe_vlm_ros.recordings.bag_writer import VERSION, BagWriter
from hpe_vlm_ros.recordings.bags import CAMERA_INFO, COMPRESSED, HEADS, RAW, shared_bag, typestore
from hpe_vlm_ros.recordings.frames import Recording
from hpe_vlm_ros.recordings.records import FrameRecord
from hpe_vlm_ros.recordings.result_bag import Builder
from hpe_vlm_ros.recordings.sources import open_sources
from hpe_vlm_ros.recordings.truth_heads import true_head

WIDTH, HEIGHT = 160, 120
FRAME_ID = "painted_optical"
START = 1_700_000_000 * 10**9
STEP = 10**8  # ns between frames
FOCAL = WIDTH / 2 / np.tan(np.radians(30))  # of the camera that poses are told for
TYPES = typestore()
Head = tuple[int, int, int, int, int, int]  # x0, y0, x1, y1, yaw, pitch


def paint(heads: Sequence[Head]) -> np.ndarray:
    """RGB picture (HEIGHT, WIDTH, 3); yaw in -120..120 and pitch in -80..80, whole degrees."""
    image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    for x0, y0, x1, y1, yaw, pitch in heads:
        image[y0:y1, x0:x1] = (255, yaw + 128, pitch + 128)
    return image


def heads_of(number: int) -> list[Head]:
    """Two heads that move and turn a little from frame to frame; every seventh frame shows none."""
    if number % 7 == 6:
        return []
    shift = number % 30
    return [
        (10 + shift, 20, 50 + shift, 70, -60 + number % 100, 10),
        (100, 30, 140, 80, 20, -5 - number % 40),
    ]


class Painted:
    """The perceiver."""

    model_id, input_size, device = "painted", 100, "cpu"
    head_shape = HeadShape(0.25, (0.0, 0.0, -0.09))

    def warning(self) -> str:
        return ""

    def __call__(
        self, image: np.ndarray, camera: CameraIntrinsics | None = None, *, mounted: Any = None
    ) -> list[HeadEstimate]:
        count, labels = cv2.connectedComponents((image[..., 0] == 255).astype(np.uint8))
        found = []
        for label in range(1, count):
            rows, columns = np.nonzero(labels == label)
            box = float(columns.min()), float(rows.min()), columns.max() + 1.0, rows.max() + 1.0
            _, green, blue = (int(v) for v in image[rows[0], columns[0]])
            angles = float(green - 128), float(blue - 128), 0.0
            found.append(HeadEstimate(box, *angles, rotation_from_angles(*angles), 0.9))
        found.sort(key=lambda head: head.box[0])
        return seen_by(camera, found, (image.shape[1], image.shape[0]), mounted)


@dataclass(frozen=True)
class Load:
    """Makes a `Painted`."""

    def __call__(self) -> Painted:
        return Painted()


@dataclass(frozen=True)
class Fatal:
    """Makes a perceiver that kills its process at the first frame with this yaw, `times` times in
    all; `folder` counts them."""

    folder: Path
    yaw: int
    times: int = 1

    def __call__(self) -> Callable[..., Any]:
        return _Dying(self)


class _Dying(Painted):
    def __init__(self, how: Fatal) -> None:
        self._how = how

    def __call__(self, image: np.ndarray, *more: Any, **named: Any) -> list[HeadEstimate]:
        heads = super().__call__(image, *more, **named)
        if any(head.yaw == self._how.yaw for head in super().__call__(image)):
            for number in range(self._how.times):
                try:
                    (self._how.folder / f"death{number}").touch(exist_ok=False)
                except FileExistsError:
                    continue
                os._exit(9)
        return heads


def header(stamp: int, frame_id: str = FRAME_ID) -> Any:
    made = TYPES.types
    time = made["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
    return made["std_msgs/msg/Header"](time, frame_id)


def raw(image: np.ndarray, stamp: int, encoding: str = "rgb8") -> Any:
    height, width = image.shape[:2]
    step = image.nbytes // height
    data = np.ascontiguousarray(image).view(np.uint8).ravel()
    return TYPES.types[RAW](header(stamp), height, width, encoding, 0, step, data)


def png(image: np.ndarray, stamp: int) -> Any:
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return TYPES.types[COMPRESSED](header(stamp), "png", data.ravel())


def camera_info(stamp: int, focal: float = FOCAL) -> Any:
    made = TYPES.types
    k = np.array([focal, 0, WIDTH / 2, 0, focal, HEIGHT / 2, 0, 0, 1.0])
    roi = made["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    empty = np.zeros(0), k, np.eye(3).ravel(), np.zeros(12)
    return made[CAMERA_INFO](header(stamp), HEIGHT, WIDTH, "plumb_bob", *empty, 0, 0, roi)


Entry = tuple[str, int, str, Any]  # topic, time of recording, type, message


def entries(
    count: int, make: Callable[..., Any] = png, info: bool = True, first: int = 0
) -> list[Entry]:
    """A camera's messages: `count` frames STEP apart, their stamps a little before recording."""
    topic, kind = ("/cam/image", RAW) if make is raw else ("/cam/image/compressed", COMPRESSED)
    found: list[Entry] = []
    for number in range(first, first + count):
        stamp = START + number * STEP
        if info and number == first:
            found.append(("/cam/camera_info", stamp, CAMERA_INFO, camera_info(stamp)))
        found.append((topic, stamp + 1000, kind, make(paint(heads_of(number)), stamp)))
    return found


def write_bag(
    folder: Path,
    messages: Sequence[Entry],
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    version: Any = VERSION,
) -> Path:
    with BagWriter(folder, storage, compression, version) as bag:
        for entry in messages:
            bag.add(*entry)
    return folder


def write_mcap(
    file: Path, messages: Sequence[Entry], chunk_size: int = 1 << 20, profile: str = "ros2"
) -> Path:
    """The messages as MCAP's own library writes them, without metadata.yaml."""
    with file.open("wb") as out:
        writer = McapWriter(out, chunk_size=chunk_size, compression=CompressionType.NONE)
        writer.start(profile=profile, library="test")
        add_messages(writer, messages)
        writer.finish()
    return file


def add_messages(writer: Any, messages: Sequence[Entry]) -> None:
    """Through a writer of MCAP's library."""
    channels: dict[str, int] = {}
    for topic, time, kind, message in messages:
        if topic not in channels:
            schema = writer.register_schema(kind, "ros2msg", b"")
            channels[topic] = writer.register_channel(topic, "cdr", schema)
        writer.add_message(channels[topic], time, bytes(TYPES.serialize_cdr(message, kind)), time)


def truth_rows(count: int, turned: int = 0) -> list[dict[str, Any]]:
    """Ground truth of the frames as JSON; the yaw is off by `turned` degrees."""
    return [
        {
            "stamp_ns": START + number * STEP,
            "heads": [
                {"box": list(head[:4]), "yaw": head[4] + turned, "pitch": head[5], "roll": 0}
                for head in heads_of(number)
            ],
        }
        for number in range(count)
    ]


def opened(*paths: Path, **options: object) -> Recording:
    shared_bag.cache_clear()  # tests overwrite bags in place
    (recording,) = open_sources([str(path) for path in paths], **options)
    return recording


def found(recording: Recording) -> list[tuple[int, list[tuple[float, ...]]]]:
    """Number of each frame, and the box, yaw and pitch of its heads."""
    look = Painted()
    return [
        (frame.info.number, [(*h.box, h.yaw, h.pitch) for h in look(frame.rgb())])
        for frame in recording.read()
    ]


def expected(numbers: range | list[int]) -> list[tuple[int, list[tuple[float, ...]]]]:
    return [(n, [tuple(map(float, head)) for head in heads_of(n)]) for n in numbers]


HEADS_TOPIC = "/perception/head_poses"


def answers(count: int) -> list[Entry]:
    """What a live node would have answered to `entries`."""
    build, found = Builder(TYPES, "painted"), list[Entry]()
    for number in range(count):
        stamp = START + number * STEP
        heads = tuple(
            true_head(head[:4], rotation_from_angles(*head[4:], 0)) for head in heads_of(number)
        )
        record = FrameRecord("bag", number, stamp, stamp, "", FRAME_ID, WIDTH, HEIGHT, heads)
        found.append((HEADS_TOPIC, stamp + 2000, HEADS, build.array(record)))
    return found
