# SPDX-License-Identifier: Apache-2.0
"""Camera frames and rclpy's messages into bags, and frames out of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from demo.frames import FRAME_ID, Frame, header
from hpe_vlm_ros.camera_model import info_topic_beside
from hpe_vlm_ros.nodes.messages import nanoseconds
from hpe_vlm_ros.recordings.bag_recording import BagRecording
from hpe_vlm_ros.recordings.bag_writer import BagWriter
from hpe_vlm_ros.recordings.bags import CAMERA_INFO, RAW


def write_message(bag: BagWriter, topic: str, time: int, message: Any) -> None:
    """Adds a message of rclpy under a time in nanoseconds."""
    package, name = type(message).__module__.split(".")[0], type(message).__name__
    bag.write(topic, time, f"{package}/msg/{name}", serialize_message(message))


def write_frames(folder: Path, frames: Iterable[Frame], image_topic: str) -> dict[int, str]:
    """Records frames of compressed images as from a camera driver; their captions by stamp."""
    info_topic = info_topic_beside(image_topic)
    captions = {}
    with BagWriter(folder) as bag:
        for frame in frames:
            captions[frame.stamp] = frame.caption
            if frame.info is not None:
                write_message(bag, info_topic, frame.stamp, frame.info)
            write_message(bag, f"{image_topic}/compressed", frame.stamp, frame.image)
    return captions


def bag_frames(recording: BagRecording, captions: Mapping[int, str]) -> Iterator[Frame]:
    """The images as they were recorded, each with the camera_info before it.

    captions: by stamp in nanoseconds.
    """
    images = _images(recording, captions)
    return islice(images, len(recording.frames))


def _images(recording: BagRecording, captions: Mapping[int, str]) -> Iterator[Frame]:
    info, last = None, -1
    for topic, recorded, data in recording.messages():
        if topic.kind == CAMERA_INFO:
            info = deserialize_message(bytes(data), CameraInfo)
            continue
        image = deserialize_message(bytes(data), Image if topic.kind == RAW else CompressedImage)
        stamp = nanoseconds(image.header.stamp)
        if stamp <= max(last, 0):  # answers are told apart by stamp
            stamp = max(recorded, last + 1)
        # TF needs a parent.
        image.header = header(stamp, image.header.frame_id or FRAME_ID)
        last = stamp
        yield Frame(image, info, captions.get(last, ""))
