# SPDX-License-Identifier: Apache-2.0
"""HeadPoseArrays in a bag: ground truth, or what a live node answered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.geometry import matrix_from_quaternion, rotation_from_face
from hpe_vlm_ros.images import ImageError
from hpe_vlm_ros.tasks import facing

from .bags import HEADS, Bag, Broken, Topic
from .frames import Recording, ReplayError, named_note
from .records import BOX_SIZE, FrameRecord, Head, rounded
from .truth import Entry

_SECOND = 10**9  # nanoseconds


@dataclass(frozen=True)
class Array:
    """A HeadPoseArray. stamp: ns, the time of recording where it has none. seconds: time the model
    took."""

    stamp: int
    heads: tuple[Head, ...]
    seconds: float
    model: str


def read_arrays(path: Path, topic: str | None) -> tuple[list[Array], list[str]]:
    """All of a topic (None: the only one of HeadPoseArray), and notes about what is amiss.

    ReplayError when there is none.
    """
    try:
        return _arrays(path, topic, damaged=False)
    except Broken:
        return _arrays(path, topic, damaged=True)


def _arrays(path: Path, topic: str | None, damaged: bool) -> tuple[list[Array], list[str]]:
    bag = Bag(path, damaged)
    found, faults, notes = list[Array](), list[str](), list[str]()
    try:
        chosen = _topic(bag, topic)
        for _, recorded, data in bag.messages([chosen]):
            try:
                found.append(_array(bag.decode(data, HEADS), recorded))
            except ReplayError as error:
                faults.append(str(error))
    except Broken:  # a ReplayError too, but one that `read_arrays` has a remedy for
        raise
    except ReplayError as error:
        if not found:
            raise
        notes.append(f"{error}; the {len(found)} messages that can be read are used")
    finally:
        bag.close()
    if faults and not found:
        raise ReplayError(faults[0])
    if faults:
        notes.append(f"{len(faults)} messages of {chosen.name} are left out: {faults[0]}")
    return found, [*bag.notes, *bag.losses(), *notes]


def _array(message: Any, recorded: int) -> Array:
    stamp = message.header.stamp.sec * _SECOND + message.header.stamp.nanosec
    heads = tuple(head for pose in message.heads if (head := head_of(pose)) is not None)
    took = message.inference_latency
    seconds = took.sec + took.nanosec / _SECOND
    return Array(stamp or recorded, heads, seconds, str(message.model_id))


def entries(arrays: Iterable[Array], where: str) -> list[Entry]:
    """Arrays as ground truth."""
    return [Entry(array.heads, stamp=array.stamp, where=where) for array in arrays]


@dataclass(frozen=True)
class Recorded:
    """What stands for a perceiver where a live node gave the answers: its arrays by stamp.

    input_size: of the model that gave them, in pixels, by which heads are judged large or small.
    """

    model_id: str
    arrays: dict[int, Array]
    input_size: int
    notes: tuple[str, ...] = ()
    head_shape: None = None

    @classmethod
    def read(cls, path: Path, topic: str | None, input_size: int) -> Recorded:
        """What a bag's topic of HeadPoseArray holds, see `read_arrays`; of several arrays with one
        stamp, the last."""
        arrays, notes = read_arrays(path, topic)
        models = sorted({array.model for array in arrays})
        by_stamp = {array.stamp: array for array in arrays}
        named = tuple(named_note(path.name, note) for note in notes)
        return cls(", ".join(models), by_stamp, input_size, named)

    def records(self, recording: Recording) -> Iterator[FrameRecord]:
        """Those of a recording's frames that were answered. Pictures are decoded for their size."""
        for frame in recording.read():
            answer = self.arrays.get(frame.info.time)
            if answer is None:
                continue
            info, error, size = frame.info, None, (0, 0)
            try:
                height, width = frame.rgb().shape[:2]
                size = width, height
            except ImageError as failure:
                error = str(failure)
            yield FrameRecord(
                recording=recording.id, number=info.number, stamp=info.stamp,
                recorded=info.recorded, name=info.name, frame_id=frame.frame_id, width=size[0],
                height=size[1], heads=answer.heads, error=error, seconds=round(answer.seconds, 6),
            )  # fmt: skip


def head_of(pose: Any) -> Head | None:
    """A HeadPose message as a record; None where it has no valid orientation."""
    q = pose.pose.pose.orientation
    if not np.isfinite([q.x, q.y, q.z, q.w]).all() or not any((q.x, q.y, q.z, q.w)):
        return None
    place = pose.pose.pose.position
    position = np.array([place.x, place.y, place.z])
    covariance = np.asarray(pose.pose.covariance, dtype=float).reshape(6, 6)
    turn = covariance[3:, 3:]
    angles = [_degrees(a) for a in (pose.yaw, pose.pitch, pose.roll)]
    whole = all(a is not None for a in angles)
    yaw, pitch, roll = angles if whole else (None, None, None)
    looking = _degrees(pose.looking_at_robot_angle)
    return Head(
        box=rounded([pose.x_min, pose.y_min, pose.x_max, pose.y_max], 3),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        rotation=rounded(rotation_from_face(matrix_from_quaternion([q.x, q.y, q.z, q.w])), 7),
        score=_number(pose.score),
        id=str(pose.id),
        position=rounded(position, 5) if np.isfinite(position).all() else None,
        position_source=int(pose.position_source) or BOX_SIZE,
        looking=looking,
        looks=bool(pose.looking_at_robot),
        looks_score=_number(pose.looking_at_robot_score),
        covariance=rounded(turn, 10) if turn.any() else None,
        status=int(pose.status),
        facing=_facing(pose),
        facing_score=_number(getattr(pose, "facing_score", math.nan)),
    )


def _facing(pose: Any) -> str:
    """A word; "" where it is unknown, as in bags from before there were any."""
    index = int(getattr(pose, "facing", 0))
    return facing.LABELS[index - 1] if 0 < index <= len(facing.LABELS) else ""


def array_topics(bag: Bag) -> list[Topic]:
    return [topic for topic in bag.topics if topic.kind == HEADS]


def _topic(bag: Bag, wanted: str | None) -> Topic:
    topics = array_topics(bag)
    if wanted is not None:
        topics = [topic for topic in topics if topic.name in (wanted, f"/{wanted}")]
    if len(topics) != 1:
        there = ", ".join(t.name for t in array_topics(bag)) or "none"
        raise ReplayError(f"{bag.path}: name one topic of HeadPoseArray; there are: {there}")
    return topics[0]


def _degrees(radians: float) -> float | None:
    return None if math.isnan(radians) else round(math.degrees(radians), 4)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
