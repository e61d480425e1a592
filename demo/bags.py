# SPDX-License-Identifier: Apache-2.0
"""Rosbag2 folders without rosbag2: camera frames out of them, any message into them."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from demo.frames import FRAME_ID, Frame, SourceError, nanoseconds
from hpe_vlm_ros.recordings.bags import CAMERA_INFO, RAW, Bag, Topic, typestore
from hpe_vlm_ros.recordings.data_files import ROS1
from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.topics import chosen_topic, image_topic

OF_A_BAG = (".mcap", ".yaml")


class BagWriter:
    """Writes rclpy messages into a new MCAP rosbag2 with their definitions.

    A bag that lies in `folder`, even half of one, is replaced; FileExistsError when anything else
    does.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists():
            if not folder.is_dir() or any(f.suffix not in OF_A_BAG for f in folder.iterdir()):
                raise FileExistsError(f"{folder} is in the way and not a bag: move it elsewhere")
            shutil.rmtree(folder)
        self._types = typestore()
        self._writer = Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(self, topic: str, time: int, message: Any) -> None:
        """Adds a message under a time in nanoseconds."""
        if topic not in self._connections:
            package, name = type(message).__module__.split(".")[0], type(message).__name__
            self._connections[topic] = self._writer.add_connection(
                topic, f"{package}/msg/{name}", typestore=self._types
            )
        self._writer.write(self._connections[topic], time, serialize_message(message))


def write_frames(folder: Path, frames: Iterable[Frame], image_topic: str) -> dict[int, str]:
    """Records frames of compressed images as from a camera driver; their captions by stamp."""
    info_topic = camera_info_topic(image_topic)
    captions = {}
    with BagWriter(folder) as bag:
        for frame in frames:
            captions[frame.stamp] = frame.caption
            if frame.info is not None:
                bag.write(info_topic, frame.stamp, frame.info)
            bag.write(f"{image_topic}/compressed", frame.stamp, frame.image)
    return captions


class BagImages:
    """The images of one topic of a bag, with the camera_info beside it.

    topic: None chooses as the replay does: the topic with the most images, raw before compressed,
    never depth. captions: by stamp in nanoseconds. notes: what is amiss with the bag; choice: what
    else it holds.
    Raises SourceError when the bag cannot be read or holds no image.
    """

    def __init__(
        self, path: Path, topic: str | None = None, captions: dict[int, str] | None = None
    ) -> None:
        self._path, self._captions = path, captions or {}
        with self._open() as bag:
            chosen, self.choice = chosen_topic(bag, topic)
            self.notes = bag.notes
        self.topic, self.total = chosen.name, chosen.count
        self.transport = "raw" if chosen.kind == RAW else "compressed"

    def __iter__(self) -> Iterator[Frame]:
        info, last = None, -1
        with self._open() as bag:
            for topic, recorded, raw in bag.messages(self._topics(bag)):
                message = bag.decode(raw, topic.kind)
                if topic.kind == CAMERA_INFO:
                    info = _camera_info(message)
                    continue
                image = _image(message, recorded, last)
                last = nanoseconds(image.header.stamp)
                yield Frame(image, info, self._captions.get(last, ""))

    def _topics(self, bag: Any) -> list[Topic]:
        """All that belongs to the camera."""
        beside = camera_info_topic(self.topic)
        infos = [t for t in bag.topics if (t.name, t.kind) == (beside, CAMERA_INFO)]
        return [image_topic(bag, self.topic), *infos]

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The bag; what goes wrong with it is a SourceError."""
        try:
            opened = _Ros1(self._path) if self._path.suffix == ROS1 else Bag(self._path)
        except ReplayError as error:
            raise SourceError(f"{self._path}: cannot be read as a bag ({error})") from error
        try:
            with closing(opened) as bag:
                yield bag
        except ReplayError as error:
            raise SourceError(str(error)) from error


class _Ros1:
    """A recording of ROS 1 with what is used here of a `Bag`."""

    def __init__(self, path: Path) -> None:
        self.path, self.notes, self.foreign = path, list[str](), list[str]()
        try:
            self._reader = AnyReader([path], default_typestore=typestore())
            self._reader.open()
        except Exception as error:  # a broken file fails in more ways than can be listed
            raise ReplayError(str(error) or type(error).__name__) from error
        counts: dict[tuple[str, str], int] = {}
        for c in self._reader.connections:
            counts[c.topic, c.msgtype] = counts.get((c.topic, c.msgtype), 0) + c.msgcount
        self.topics = [Topic(*key, count) for key, count in sorted(counts.items())]

    def messages(self, topics: Sequence[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        wanted = {(topic.name, topic.kind): topic for topic in topics}
        chosen = [c for c in self._reader.connections if (c.topic, c.msgtype) in wanted]
        try:
            for connection, recorded, raw in self._reader.messages(chosen):
                yield wanted[connection.topic, connection.msgtype], recorded, raw
        except GeneratorExit:
            raise
        except Exception as error:  # as above
            raise ReplayError(f"{self.path}: broken within ({error})") from error

    def decode(self, raw: bytes, kind: str) -> Any:
        try:
            return self._reader.deserialize(raw, kind)
        except Exception as error:  # as above
            raise ReplayError(f"{self.path}: broken within ({error})") from error

    def close(self) -> None:
        self._reader.close()


def camera_info_topic(image_topic: str) -> str:
    """Where a camera driver puts the calibration of the images on this topic."""
    return str(PurePosixPath(image_topic.removesuffix("/compressed")).parent / "camera_info")


def _image(found: Any, time: int, last: int) -> Image | CompressedImage:
    """The message for rclpy. Answers are told apart by stamp, so a stamp that is missing or does
    not grow is replaced by the time of recording, or that by the next nanosecond."""
    stamp = found.header.stamp.sec * 10**9 + found.header.stamp.nanosec
    if stamp <= max(last, 0):
        stamp = max(time, last + 1)
    head = _header(found, stamp)
    if hasattr(found, "encoding"):
        image = Image(header=head, height=found.height, width=found.width, step=found.step)
        image.encoding, image.is_bigendian = found.encoding, int(found.is_bigendian)
    else:
        image = CompressedImage(header=head, format=found.format)
    image.data = array("B", found.data.tobytes())
    return image


def _camera_info(found: Any) -> CameraInfo:
    fields = found if hasattr(found, "k") else None  # ROS 1 wrote K, D, R, P
    k, d, r, p = (getattr(found, name if fields else name.upper()) for name in "kdrp")
    stamp = found.header.stamp.sec * 10**9 + found.header.stamp.nanosec
    info = CameraInfo(header=_header(found, stamp), width=found.width, height=found.height)
    info.distortion_model = found.distortion_model
    info.k, info.d, info.r, info.p = ([float(v) for v in values] for values in (k, d, r, p))
    info.binning_x, info.binning_y = found.binning_x, found.binning_y
    for name in ("x_offset", "y_offset", "width", "height", "do_rectify"):
        setattr(info.roi, name, getattr(found.roi, name))
    return info


def _header(found: Any, stamp: int) -> Header:
    seconds, rest = divmod(stamp, 10**9)
    frame = found.header.frame_id or FRAME_ID  # TF needs a parent
    return Header(stamp=Time(sec=seconds, nanosec=rest), frame_id=frame)
