# SPDX-License-Identifier: Apache-2.0
"""HeadPose messages and their TF frames, in the classes of rclpy or in those of a bag's types.

The node and the results of the replay both fill messages here. What each field means is written in
msg/HeadPose.msg.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .geometry import face_rotation, gaze_rotation, quaternion_from_matrix


class Make(Protocol):
    """Makes messages, in the classes of rclpy or in those of a bag's types."""

    def __call__(self, kind: str, **fields: Any) -> Any:
        """A message of this type, such as geometry_msgs/msg/Point, with these fields."""


def head_pose(
    make: Make,
    header: Any,
    *,
    box: ArrayLike,
    angles: tuple[float, float, float],
    rotation: ArrayLike,
    position: ArrayLike,
    covariance: ArrayLike,
    facing: int | None,
    **same: Any,
) -> Any:
    """hpe_vlm_ros/HeadPose.

    box: x0, y0, x1, y1 in pixels. angles: yaw, pitch, roll in degrees. rotation: (3, 3) head in the
    optical frame. position: (3,) metres. covariance: (6, 6). What is unknown of these is NaN.
    facing: index in `tasks.facing.LABELS`. same: the fields that need no conversion.
    """
    x_min, y_min, x_max, y_max = _floats(box)
    yaw, pitch, roll = (math.radians(angle) for angle in angles)
    pose = make(
        "geometry_msgs/msg/Pose",
        position=_xyz(make, "Point", position),
        orientation=_quaternion(make, face_rotation(rotation)),
    )
    return make(
        "hpe_vlm_ros/msg/HeadPose",
        header=header,
        x_min=x_min,
        y_min=y_min,
        x_max=x_max,
        y_max=y_max,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        pose=make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=pose,
            covariance=np.asarray(covariance, dtype=float).ravel(),
        ),
        facing=0 if facing is None else 1 + facing,
        **same,
    )


def head_frames(
    make: Make, header: Any, name: str, rotation: ArrayLike, origin: ArrayLike
) -> list[Any]:
    """TransformStamped of face_<name> and gaze_<name> at `origin`, (3,) metres."""
    turns = ("face", face_rotation(rotation)), ("gaze", gaze_rotation(rotation))
    return [
        make(
            "geometry_msgs/msg/TransformStamped",
            header=header,
            child_frame_id=f"{kind}_{name}",
            transform=make(
                "geometry_msgs/msg/Transform",
                translation=_xyz(make, "Vector3", origin),
                rotation=_quaternion(make, turn),
            ),
        )
        for kind, turn in turns
    ]


def duration(make: Make, seconds: float) -> Any:
    """builtin_interfaces/Duration of `seconds` >= 0, cut to whole nanoseconds."""
    whole = int(seconds)
    return make("builtin_interfaces/msg/Duration", sec=whole, nanosec=int((seconds - whole) * 1e9))


def _xyz(make: Make, kind: str, vector: ArrayLike) -> Any:
    return make(f"geometry_msgs/msg/{kind}", **dict(zip("xyz", _floats(vector), strict=True)))


def _quaternion(make: Make, rotation: ArrayLike) -> Any:
    turn = quaternion_from_matrix(rotation) if np.isfinite(rotation).all() else [math.nan] * 4
    return make("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", _floats(turn), strict=True)))


def _floats(values: ArrayLike) -> list[float]:
    return [float(value) for value in np.asarray(values, dtype=float)]
