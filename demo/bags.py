# SPDX-License-Identifier: Apache-2.0
"""Rosbag2 folders without rosbag2: camera frames out of them, any message into them."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from demo.frames import FRAME_ID, Frame, SourceError, nanoseconds

MESSAGES = Path(__file__).parents[1] / "msg"
OF_A_BAG = (".mcap", ".yaml")
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


def typestore() -> Typestore:
    """ROS 2's message types and those of this package."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for file in sorted(MESSAGES.glob("*.msg")):
        name = f"hpe_vlm_ros/msg/{file.stem}"
        store.register(get_types_from_msg(file.read_text(encoding="utf-8"), name))
    return store


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

    topic: None chooses the topic with the most images, raw before compressed.
    captions: by stamp in nanoseconds.
    Raises SourceError when the bag cannot be read or holds no image.
    """

    def __init__(
        self, path: Path, topic: str | None = None, captions: dict[int, str] | None = None
    ) -> None:
        self._path, self._captions = path, captions or {}
        with self._open() as reader:
            counts = {
                c.topic: (c.msgcount, c.msgtype == RAW, c.msgtype)
                for c in reader.connections
                if c.msgtype in (RAW, COMPRESSED) and c.msgcount and _in_colour(c.topic)
            }
        self.topics = sorted(counts)
        if not counts:
            raise SourceError(
                f"{path}: no images (sensor_msgs Image or CompressedImage) in this bag"
            )
        if topic is not None and topic not in counts:
            raise SourceError(f"{path}: no images on {topic}; there are {', '.join(self.topics)}")
        self.topic = topic or max(self.topics, key=lambda name: counts[name][:2])
        self.total = counts[self.topic][0]
        self.transport = "raw" if counts[self.topic][1] else "compressed"

    def __iter__(self) -> Iterator[Frame]:
        info, last = None, -1
        for kind, recorded, message in self._messages():
            if kind == CAMERA_INFO:
                info = _camera_info(message)
                continue
            image = _image(message, recorded, last)
            last = nanoseconds(image.header.stamp)
            yield Frame(image, info, self._captions.get(last, ""))

    def _messages(self) -> Iterator[tuple[str, int, Any]]:
        """Type, time of recording in nanoseconds, and message of all that belongs to the camera."""
        kinds = {self.topic: (RAW, COMPRESSED), camera_info_topic(self.topic): (CAMERA_INFO,)}
        with self._open() as reader:
            chosen = [c for c in reader.connections if c.msgtype in kinds.get(c.topic, ())]
            messages = reader.messages(chosen)
            while True:
                try:
                    connection, recorded, raw = next(messages)
                    message = reader.deserialize(raw, connection.msgtype)
                except StopIteration:
                    return
                except Exception as error:  # as above
                    raise SourceError(f"{self._path}: broken within ({error})") from error
                yield connection.msgtype, recorded, message

    @contextmanager
    def _open(self) -> Iterator[AnyReader]:
        try:
            reader = AnyReader([self._path], default_typestore=typestore())
            reader.open()
        except Exception as error:  # a broken file fails in more ways than can be listed
            raise SourceError(
                f"{self._path}: cannot be read as a bag ({error or type(error).__name__}); "
                "give a rosbag2 folder or its .mcap or .db3 file, finished by its recorder"
            ) from error
        with closing(reader):
            yield reader


def camera_info_topic(image_topic: str) -> str:
    """Where a camera driver puts the calibration of the images on this topic."""
    return str(PurePosixPath(image_topic.removesuffix("/compressed")).parent / "camera_info")


def _in_colour(topic: str) -> bool:
    return not topic.endswith("/compressedDepth")


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
    return info


def _header(found: Any, stamp: int) -> Header:
    seconds, rest = divmod(stamp, 10**9)
    frame = found.header.frame_id or FRAME_ID  # TF needs a parent
    return Header(stamp=Time(sec=seconds, nanosec=rest), frame_id=frame)
