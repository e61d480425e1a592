# SPDX-License-Identifier: Apache-2.0
"""HeadEstimates to HeadPose messages and TF frames; conventions are written in msg/*.msg."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
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

if TYPE_CHECKING:
    from hpe_vlm_ros.perceiver import HeadEstimate


def intrinsics(info: CameraInfo | None, width: int, height: int) -> CameraIntrinsics:
    """The camera of an image of this size in pixels; ValueError says why there is none.

    Taken from K, so lens distortion is overlooked.
    """
    unknown = "so head positions are unknown"
    if info is None:
        raise ValueError(f"no camera_info has come, {unknown}: set camera_info_topic")
    if (info.width, info.height) not in ((0, 0), (width, height)):
        raise ValueError(
            f"camera_info is for {info.width}x{info.height} pixels, the image has {width}x{height},"
            f" {unknown}: set camera_info_topic to that of this image"
        )
    fx, fy, cx, cy = (float(info.k[i]) for i in (0, 4, 2, 5))
    try:
        return CameraIntrinsics(fx, fy, cx, cy)
    except ValueError as error:
        raise ValueError(
            f"camera_info has focal lengths {fx:g} and {fy:g}, {unknown}: calibrate the camera"
        ) from error


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
    angle = _angle_to_origin(position, gaze_rotation(head.rotation)[:, 2])
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
            origin = _unit_ray(head.box, width, height)
        frames = ("face", face_rotation(head.rotation)), ("gaze", gaze_rotation(head.rotation))
        for name, rotation in frames:
            yield TransformStamped(
                header=parent,
                child_frame_id=f"{name}_{index}",
                transform=Transform(
                    translation=Vector3(**_xyz(origin)), rotation=_quaternion(rotation)
                ),
            )


def _unit_ray(box: Iterable[float], width: int, height: int) -> NDArray[np.float64]:
    x0, y0, x1, y1 = box
    ray = np.array([((x0 + x1) - width) / (2 * width), ((y0 + y1) - height) / (2 * width), 1.0])
    return ray / np.linalg.norm(ray)


def _angle_to_origin(position: NDArray[np.float64], gaze: NDArray[np.float64]) -> float:
    """Radians between the gaze and the ray from the head to the camera; NaN where unknown."""
    distance = float(np.linalg.norm(position))
    if not distance > 0:  # NaN as well
        return math.nan
    return float(np.arccos(np.clip(gaze @ -position / distance, -1.0, 1.0)))


def _xyz(vector: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip("xyz", (float(v) for v in vector), strict=True))


def _quaternion(rotation: NDArray[np.float64]) -> Quaternion:
    x, y, z, w = quaternion_from_matrix(rotation)
    return Quaternion(x=x, y=y, z=z, w=w)
