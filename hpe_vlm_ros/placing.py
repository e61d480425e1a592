# SPDX-License-Identifier: Apache-2.0
"""Where heads are relative to the camera, as messages and reports say it; numpy only, no ROS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .geometry import CameraIntrinsics

Array = NDArray[np.float64]


def intrinsics(info: Any, width: int, height: int) -> CameraIntrinsics:
    """The camera of an image of this size in pixels; ValueError says why there is none.

    `info` is a sensor_msgs/CameraInfo of whatever library, or None. Taken from K, so lens
    distortion is overlooked.
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


def unit_ray(box: ArrayLike, width: int, height: int) -> Array:
    """Unit vector (3,), optical frame, to the box's middle for a camera whose focal length is one
    image width: a fair guess where the calibration is unknown. Box and size in pixels."""
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    ray = np.array([((x0 + x1) - width) / (2 * width), ((y0 + y1) - height) / (2 * width), 1.0])
    unit: Array = ray / np.linalg.norm(ray)
    return unit
