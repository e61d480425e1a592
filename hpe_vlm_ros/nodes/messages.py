# SPDX-License-Identifier: Apache-2.0
"""People to HeadPose messages and TF frames; conventions are written in msg/*.msg."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import builtin_interfaces.msg
import geometry_msgs.msg
import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

import hpe_vlm_ros.msg
from hpe_vlm_ros import head_messages
from hpe_vlm_ros.msg import GazeTarget, GazeTargets, HeadGesture, HeadPose, Keypoint, Skeleton
from hpe_vlm_ros.people.attention import UNKNOWN
from hpe_vlm_ros.people.bodies import Body
from hpe_vlm_ros.people.distance import Source
from hpe_vlm_ros.people.gestures.events import Gesture
from hpe_vlm_ros.people.people import ROBOT, Person
from hpe_vlm_ros.rays import unit_ray
from hpe_vlm_ros.tasks.gesture import LABELS

_PACKAGES = {
    "builtin_interfaces": builtin_interfaces.msg,
    "geometry_msgs": geometry_msgs.msg,
    "hpe_vlm_ros": hpe_vlm_ros.msg,
}


def head_pose(person: Person, header: Header) -> HeadPose:
    """The message of one person; what is unknown is NaN."""
    head, gaze = person.head, person.gazes.get(ROBOT, UNKNOWN)
    facing = None if person.facing is None else int(person.facing.argmax())
    return head_messages.head_pose(
        _make,
        header,
        box=head.box,
        angles=person.angles,
        rotation=person.rotation,
        position=person.position.point,
        covariance=person.covariance,
        facing=facing,
        facing_score=math.nan if person.facing is None else float(person.facing[facing]),
        id=head.id,
        score=head.score,
        status=int(head.status),
        unseen=head.unseen,
        age=head.age,
        position_source=int(person.position.source),
        looking_at_robot=gaze.looking,
        looking_at_robot_score=gaze.score,
        looking_at_robot_angle=gaze.angle,
    )


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


def skeleton(body: Body, header: Header) -> Skeleton:
    """The message of a body whose keypoints are COCO's 17."""
    x0, y0, x1, y1 = (float(side) for side in body.box)
    found = body.skeleton
    # of a symmetric covariance the message has xx, xy and yy
    rows = zip(found.points, found.visibility, found.scores, found.covariances, strict=True)
    return Skeleton(
        header=header,
        id=body.id,
        face_id=body.person.head.id,
        x_min=x0,
        y_min=y0,
        x_max=x1,
        y_max=y1,
        score=body.score,
        keypoints=[
            Keypoint(
                x=float(x),
                y=float(y),
                visibility=int(visibility),
                score=float(score),
                covariance=spread[[0, 0, 1], [0, 1, 1]].astype(np.float32),
            )
            for (x, y), visibility, score, spread in rows
        ],
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
        yield from head_messages.head_frames(_make, parent, name, person.rotation, origin)


def duration(seconds: float) -> Duration:
    """builtin_interfaces/Duration of so many seconds."""
    return head_messages.duration(_make, seconds)


def time_of(nanoseconds: int) -> Time:
    """Undoes `nanoseconds`; what lies before zero becomes zero."""
    sec, nanosec = divmod(max(nanoseconds, 0), 10**9)
    return Time(sec=sec, nanosec=nanosec)


def nanoseconds(stamp: Time) -> int:
    """Of a message's stamp, since the epoch of its clock."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _make(kind: str, **fields: Any) -> Any:
    package, _, name = kind.split("/")
    return getattr(_PACKAGES[package], name)(**fields)
