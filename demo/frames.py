# SPDX-License-Identifier: Apache-2.0
"""One camera frame on its way to the node: pixels to sensor_msgs and back."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header

from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.nodes.messages import nanoseconds, time_of

Rgb = NDArray[np.uint8]
FRAME_ID = "demo_camera_optical"
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Frame:
    """What is sent at one time.

    image: sensor_msgs Image or CompressedImage; its header's stamp identifies the frame.
    info: the camera's calibration, under the same header; None where it is unknown.
    caption: a few words for the pictures that people look at.
    """

    image: Any
    info: CameraInfo | None = None
    caption: str = ""

    @property
    def stamp(self) -> int:
        """Nanoseconds."""
        return nanoseconds(self.image.header.stamp)


def header(stamp: int, frame_id: str = FRAME_ID) -> Header:
    """A header of a time in nanoseconds."""
    return Header(stamp=time_of(stamp), frame_id=frame_id)


def from_pixels(
    rgb: Rgb, stamp: int, camera: CameraIntrinsics | None = None, caption: str = ""
) -> Frame:
    """A JPEG frame of uint8 (H, W, 3) RGB pixels, as a camera driver compresses them."""
    head = header(stamp)
    info = None
    if camera is not None:
        info = camera_info(head, camera, rgb.shape[1], rgb.shape[0])
    return Frame(jpeg(rgb, head), info, caption)


def jpeg(rgb: Rgb, head: Header) -> CompressedImage:
    """sensor_msgs/CompressedImage of uint8 (H, W, 3) RGB pixels."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    message = CompressedImage(header=head, format="rgb8; jpeg compressed bgr8")
    message.data = array("B", data.tobytes())
    return message


def camera_info(head: Header, camera: CameraIntrinsics, width: int, height: int) -> CameraInfo:
    """The calibration of an ideal camera without distortion."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    return CameraInfo(
        header=head,
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
