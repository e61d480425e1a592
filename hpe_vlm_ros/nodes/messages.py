# SPDX-License-Identifier: Apache-2.0
"""HeadEstimates to HeadPose messages and TF frames; conventions are written in msg/*.msg."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from std_msgs.msg import Header

from hpe_vlm_ros.geometry import (
    CameraIntrinsics,
    HeadShape,
    face_rotation,
    gaze_rotation,
    head_position,
    quaternion_from_matrix,
)
from hpe_vlm_ros.msg import HeadPose
from hpe_vlm_ros.placing import angle_to_origin, intrinsics, unit_ray

__all__ = ["head_pose", "head_transforms", "intrinsics"]

if TYPE_CHECKING:
    from hpe_vlm_ros.perceiver import HeadEstimate


def head_pose(
    head: HeadEstimate,
    header: Header,
    camera: CameraIntrinsics | None,
    shape: HeadShape | None,
    looking_angle: float,
) -> HeadPose:
    """The message of one head; position NaN without camera or shape. looking_angle in degrees."""
    message = HeadPose(header=header, score=float(head.score), status=HeadPose.STATUS_OK)
    message.x_min, message.y_min, message.x_max, message.y_max = (float(v) for v in head.box)
    message.yaw, message.pitch, message.roll = (
        math.radians(a) for a in (head.yaw, head.pitch, head.roll)
    )
    position = np.full(3, math.nan)
    message.position_source = HeadPose.POSITION_NONE
    if camera is not None and shape is not None:
        position = head_position(head.box, camera, head.rotation, shape)
        message.position_source = HeadPose.POSITION_BOX_SIZE
    message.pose.pose = Pose(
        position=Point(**_xyz(position)), orientation=_quaternion(face_rotation(head.rotation))
    )
    angle = angle_to_origin(position, gaze_rotation(head.rotation)[:, 2])
    message.looking_at_robot = angle <= math.radians(looking_angle)
    message.looking_at_robot_angle = angle
    message.looking_at_robot_score = math.nan
    return message


def head_transforms(
    heads: Iterable[HeadEstimate],
    poses: Iterable[HeadPose],
    header: Header,
    width: int,
    height: int,
) -> Iterator[TransformStamped]:
    """face_<i> and gaze_<i> of each head, parent: the image's frame.

    Where the position is unknown the frames stand at unit distance, in the direction in which a
    camera with a focal length of one image width would see the head: TF cannot say "unknown", and
    heads at one place could not be told apart.
    """
    parent = Header(stamp=header.stamp, frame_id=header.frame_id.lstrip("/"))
    for index, (head, pose) in enumerate(zip(heads, poses, strict=True)):
        place = pose.pose.pose.position
        origin = np.array([place.x, place.y, place.z])
        if pose.position_source == HeadPose.POSITION_NONE:
            origin = unit_ray(head.box, width, height)
        frames = ("face", face_rotation(head.rotation)), ("gaze", gaze_rotation(head.rotation))
        for name, rotation in frames:
            yield TransformStamped(
                header=parent,
                child_frame_id=f"{name}_{index}",
                transform=Transform(
                    translation=Vector3(**_xyz(origin)), rotation=_quaternion(rotation)
                ),
            )


def _xyz(vector: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip("xyz", (float(v) for v in vector), strict=True))


def _quaternion(rotation: NDArray[np.float64]) -> Quaternion:
    x, y, z, w = quaternion_from_matrix(rotation)
    return Quaternion(x=x, y=y, z=z, w=w)
