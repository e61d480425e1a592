# SPDX-License-Identifier: Apache-2.0
"""Depth images as REP-118 has them, and the one that belongs to a camera image."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.encodings import bytes_of
from hpe_vlm_ros.images import ImageError

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

KEPT = 30  # a second of depth images: the model's answer comes later than they do
BACK = 5 * 10**8  # nanoseconds
# encoding: type of its numbers, and metres in one unit
_ENCODINGS = {"16UC1": ("u2", 0.001), "mono16": ("u2", 0.001), "32FC1": ("f4", 1.0)}


class Depths:
    """The newest depth images of a camera."""

    def __init__(self) -> None:
        self._messages: deque[Image] = deque(maxlen=KEPT)

    def put(self, message: Image) -> None:
        """Keeps an image, in place of the oldest of KEPT. A stamp that is more than BACK before the
        last one empties the store first."""
        if self._messages and _stamp(message) < _stamp(self._messages[-1]) - BACK:
            self._messages.clear()  # time has jumped back: the same stamps come again
        self._messages.append(message)

    def at(self, stamp: int, slop: float) -> Image | None:
        """The one whose stamp is nearest to `stamp` (nanoseconds), within `slop` seconds."""
        nearest = min(self._messages, key=lambda m: abs(_stamp(m) - stamp), default=None)
        if nearest is None or abs(_stamp(nearest) - stamp) > slop * 1e9:
            return None
        return nearest


def to_metres(message: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (H, W) metres along z, 0 or not finite where unknown, of an image of this width and
    height; ImageError when it is unusable."""
    width, height = message.width, message.height
    if (width, height) != size:
        raise ImageError(
            "depth_size",
            f"depth image has {width}x{height} pixels, the camera's {size[0]}x{size[1]}: give a "
            "depth image that is registered to the camera's in depth_topic; using head sizes",
        )
    if message.encoding not in _ENCODINGS:
        raise ImageError(
            "depth_encoding",
            f"depth encoding '{message.encoding}' is not one of {', '.join(_ENCODINGS)}: "
            "set depth_topic to a raw depth image; using head sizes",
        )
    kind, unit = _ENCODINGS[message.encoding]
    kind = (">" if message.is_bigendian else "<") + kind
    row = width * np.dtype(kind).itemsize
    step, data = message.step or row, bytes_of(message.data)
    if step < row or len(data) < step * (height - 1) + row:
        raise ImageError(
            "depth_short",
            f"{width}x{height} {message.encoding} depth image with step {message.step} and "
            f"{len(data)} bytes is too short: check the depth camera; using head sizes",
        )
    strides = (step, np.dtype(kind).itemsize)
    raw: NDArray[Any] = np.ndarray((height, width), kind, data, strides=strides)
    return raw.astype(np.float32) * np.float32(unit)


def _stamp(message: Image) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)
