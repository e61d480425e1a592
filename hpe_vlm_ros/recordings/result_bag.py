# SPDX-License-Identifier: Apache-2.0
"""The results as a rosbag2 (MCAP): HeadPoseArray and TF under the images' own headers.

`ros2 bag play`, `ros2 topic echo` and Foxglove read it; message definitions are inside. No image is
copied unless asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from hpe_vlm_ros.head_messages import duration, head_frames, head_pose
from hpe_vlm_ros.rays import unit_ray
from hpe_vlm_ros.tasks import facing

from .bag_recording import BagRecording
from .bag_writer import BagWriter
from .bags import CAMERA_INFO, HEADS, shared_bag
from .frames import Recording
from .records import FrameRecord, Head
from .topics import image_topic

Item = tuple[int, str, str, "bytes | memoryview"]
"""Time of recording (ns), topic, type and bytes of a message."""
TF = "tf2_msgs/msg/TFMessage"
DEFAULT_TOPIC = "/perception/head_poses"


def write_bag(
    folder: Path,
    records: Sequence[FrameRecord],
    model: str,
    images_of: Recording | None = None,
    topic: str = DEFAULT_TOPIC,
) -> None:
    """Writes the frames of one recording, in place of a bag that lies there.

    images_of: also copy this bag's images and camera_info.
    """
    with BagWriter(folder) as writer:
        streams = [_results(records, writer.types, model, topic), _copies(images_of)]
        for time, name, kind, data in merge(*streams, key=lambda item: item[0]):
            writer.write(name, time, kind, data)


def _results(
    records: Sequence[FrameRecord], types: Typestore, model: str, topic: str
) -> Iterator[Item]:
    build = Builder(types, model)
    for record in sorted(records, key=lambda r: (r.recorded, r.number)):
        if record.error is not None:
            continue
        yield record.recorded, topic, HEADS, types.serialize_cdr(build.array(record), HEADS)
        if record.heads and record.frame_id:  # TF needs a parent
            frames = build.transforms(record)
            yield record.recorded, "/tf", TF, types.serialize_cdr(frames, TF)


def _copies(recording: Recording | None) -> Iterator[Item]:
    """Images and calibrations of a bag, as they are."""
    if not isinstance(recording, BagRecording):
        return
    bag = shared_bag(recording.path, recording.damaged)
    topics = [image_topic(bag, recording.topic)]
    topics += [topic for topic in bag.topics if topic.kind == CAMERA_INFO]
    for topic, recorded, data in bag.messages(topics):
        yield recorded, topic.name, topic.kind, data


class Builder:
    """Messages of records, in the types of a typestore."""

    def __init__(self, types: Typestore, model: str) -> None:
        self._types, self._model = types.types, model

    def array(self, record: FrameRecord) -> Any:
        """The HeadPoseArray of a frame, as the node publishes it."""
        header = self.header(record)
        return self._make(
            HEADS,
            header=header,
            heads=[self._pose(head, header) for head in record.heads],
            inference_latency=duration(self._make, record.seconds),
            dropped_frames=0,
            model_id=self._model,
        )

    def transforms(self, record: FrameRecord) -> Any:
        """face_<id> and gaze_<id> of each head as the node sends them."""
        header, frames = self.header(record, record.frame_id.lstrip("/")), list[Any]()
        for index, head in enumerate(record.heads):
            place = head.position
            if place is None:
                place = tuple(unit_ray(head.box, record.width, record.height))
            name = head.id or str(index)
            frames += head_frames(self._make, header, name, head.matrix, place)
        return self._make(TF, transforms=frames)

    def _pose(self, head: Head, header: Any) -> Any:
        covariance = np.zeros((6, 6))
        if head.covariance is not None:
            covariance[3:, 3:] = np.array(head.covariance).reshape(3, 3)
        looking = None if head.position is None else head.looking
        return head_pose(
            self._make,
            header,
            box=head.box,
            angles=head.angles,
            rotation=head.matrix,
            position=head.position or (math.nan,) * 3,
            covariance=covariance,
            facing=facing.LABELS.index(head.facing) if head.facing else None,
            facing_score=_or_nan(head.facing_score),
            id=head.id,
            score=_or_nan(head.score),
            status=head.status,
            unseen=head.unseen,
            age=head.age,
            position_source=0 if head.position is None else head.position_source,
            looking_at_robot=head.looks,
            looking_at_robot_score=_or_nan(head.looks_score),
            looking_at_robot_angle=math.radians(_or_nan(looking)),
        )

    def header(self, record: FrameRecord, frame_id: str | None = None) -> Any:
        """The image's header; its stamp is zero where the image has none. frame_id: None is the
        record's."""
        sec, nanosec = divmod(record.stamp, 10**9)
        stamp = self._make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
        name = record.frame_id if frame_id is None else frame_id
        return self._make("std_msgs/msg/Header", stamp=stamp, frame_id=name)

    def _make(self, kind: str, **fields: Any) -> Any:
        return self._types[kind](**fields)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
