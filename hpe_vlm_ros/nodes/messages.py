# SPDX-License-Identifier: Apache-2.0
"""People to HeadPose messages and TF frames; conventions are written in msg/*.msg."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from std_msgs.msg import Header

from hpe_vlm_ros.geometry import face_rotation, gaze_rotation, quaternion_from_matrix
from hpe_vlm_ros.msg import GazeTarget, GazeTargets, HeadGesture, HeadPose
from hpe_vlm_ros.people.attention import UNKNOWN
from hpe_vlm_ros.people.distance import Source
from hpe_vlm_ros.people.gestures.events import Gesture
from hpe_vlm_ros.people.people import ROBOT, Person
from hpe_vlm_ros.rays import unit_ray
from hpe_vlm_ros.tasks.gesture import LABELS


def head_pose(person: Person, header: Header) -> HeadPose:
    """The message of one person; what is unknown is NaN."""
    head = person.head
    message = HeadPose(header=header, id=head.id, status=int(head.status))
    message.score, message.unseen, message.age = head.score, head.unseen, head.age
    message.x_min, message.y_min, message.x_max, message.y_max = (float(v) for v in head.box)
    message.yaw, message.pitch, message.roll = (math.radians(a) for a in person.angles)
    message.position_source = int(person.position.source)
    message.pose.pose = Pose(
        position=Point(**_xyz(person.position.point)), orientation=_orientation(head.rotation)
    )
    message.pose.covariance = person.covariance.ravel()
    gaze = person.gazes.get(ROBOT, UNKNOWN)
    message.looking_at_robot = gaze.looking
    message.looking_at_robot_score = gaze.score
    message.looking_at_robot_angle = gaze.angle
    message.facing_score = math.nan
    if person.facing is not None:
        best = int(person.facing.argmax())
        message.facing, message.facing_score = best + 1, float(person.facing[best])
    return message


def head_gesture(gesture: Gesture, header: Header, judge: str) -> HeadGesture:
    """The message of a gesture that has begun or ended."""
    return HeadGesture(
        header=header,
        id=gesture.id,
        gesture=LABELS.index(gesture.name),
        state=HeadGesture.STATE_ENDED if gesture.ended else HeadGesture.STATE_STARTED,
        start=time_of(gesture.start),
        end=time_of(gesture.end),
        score=gesture.score,
        amplitude=math.radians(gesture.amplitude),
        direction=gesture.direction,
        cycles=gesture.cycles,
        judge=judge,
    )


def gaze_targets(people: Sequence[Person], header: Header) -> GazeTargets:
    """Each tracked head with each target."""
    return GazeTargets(
        header=header,
        gazes=[
            GazeTarget(
                id=person.head.id,
                target=target,
                angle=gaze.angle,
                score=gaze.score,
                looking=gaze.looking,
            )
            for person in people
            if person.head.id
            for target, gaze in person.gazes.items()
        ],
    )


def head_transforms(
    people: Sequence[Person],
    header: Header,
    size: tuple[int, int],
    tracking: bool,
    prefix: str = "",
) -> Iterator[TransformStamped]:
    """face_<id> and gaze_<id> of each head with an id, parent: the image's frame; when nobody is
    tracked, of each head with its place in the image, after the prefix, instead of an id. size:
    width, height.

    Where the position is unknown the frames stand at unit distance, in the direction in which a
    camera with a focal length of one image width would see the head: TF cannot say "unknown", and
    heads at one place could not be told apart.
    """
    parent = Header(stamp=header.stamp, frame_id=header.frame_id.lstrip("/"))
    for index, person in enumerate(people):
        name = person.head.id if tracking else f"{prefix}{index}"
        if not name or not person.posed:
            continue
        origin = person.position.point
        if person.position.source is Source.NONE:
            origin = unit_ray(person.box, *size)
        frames = ("face", face_rotation(person.rotation)), ("gaze", gaze_rotation(person.rotation))
        for kind, rotation in frames:
            yield TransformStamped(
                header=parent,
                child_frame_id=f"{kind}_{name}",
                transform=Transform(
                    translation=Vector3(**_xyz(origin)), rotation=_quaternion(rotation)
                ),
            )


def duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(sec=whole, nanosec=int((seconds - whole) * 1e9))


def time_of(nanoseconds: int) -> Time:
    """Undoes `nanoseconds`; what lies before zero becomes zero."""
    sec, nanosec = divmod(max(nanoseconds, 0), 10**9)
    return Time(sec=sec, nanosec=nanosec)


def nanoseconds(stamp: Time) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _xyz(vector: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip("xyz", (float(v) for v in vector), strict=True))


def _orientation(rotation: NDArray[np.float64] | None) -> Quaternion:
    if rotation is None:
        return Quaternion(x=math.nan, y=math.nan, z=math.nan, w=math.nan)
    return _quaternion(face_rotation(rotation))


def _quaternion(rotation: NDArray[np.float64]) -> Quaternion:
    x, y, z, w = quaternion_from_matrix(rotation)
    return Quaternion(x=x, y=y, z=z, w=w)
