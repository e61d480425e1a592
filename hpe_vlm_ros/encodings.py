# SPDX-License-Identifier: Apache-2.0
"""The bytes of sensor_msgs/Image as RGB, by numpy and OpenCV; no ROS.

Source: sensor_msgs/image_encodings.hpp. What OpenCV calls 8UC3 has its channels in OpenCV's order,
blue first. Values of 16 bits are taken for full scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .pictures import ImageError, Rgb


@dataclass(frozen=True)
class Encoding:
    """How pixels are stored.

    channels: values of a pixel. code: OpenCV's conversion to RGB, None where it is that already.
    deep: values have 16 bits. halved: axes (0 down, 1 across) along which two pixels share their
    colours, so that there are evenly many. planar: the colours follow all the brightness, in half
    as many rows.
    """

    channels: int
    code: int | None
    deep: bool = False
    halved: tuple[int, ...] = ()
    planar: bool = False

    def row(self, width: int) -> int:
        """Bytes of a row without padding."""
        return width * self.channels * (2 if self.deep else 1)

    def rows(self, height: int) -> int:
        """Rows of an image of this height, colours included."""
        return height * 3 // 2 if self.planar else height


_COLOURS = {
    "rgb": (3, None),
    "bgr": (3, cv2.COLOR_BGR2RGB),
    "rgba": (4, cv2.COLOR_RGBA2RGB),
    "bgra": (4, cv2.COLOR_BGRA2RGB),
    "mono": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg": (1, cv2.COLOR_BayerGRBG2RGB),
}
_UYVY = Encoding(2, cv2.COLOR_YUV2RGB_UYVY, halved=(1,))
_YUYV = Encoding(2, cv2.COLOR_YUV2RGB_YUY2, halved=(1,))
ENCODINGS = {
    **{f"{name}8": Encoding(*colours) for name, colours in _COLOURS.items()},
    **{f"{name}16": Encoding(*colours, deep=True) for name, colours in _COLOURS.items()},
    "8UC1": Encoding(*_COLOURS["mono"]),
    "8UC3": Encoding(*_COLOURS["bgr"]),
    "8UC4": Encoding(*_COLOURS["bgra"]),
    "16UC3": Encoding(*_COLOURS["bgr"], deep=True),
    "16UC4": Encoding(*_COLOURS["bgra"], deep=True),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding(1, cv2.COLOR_YUV2RGB_NV12, halved=(0, 1), planar=True),
    "nv21": Encoding(1, cv2.COLOR_YUV2RGB_NV21, halved=(0, 1), planar=True),
}
"""Those that show colours or brightness. Neither nv24, on whose layout drivers do not agree, nor
numbers that are no light, such as depth."""


def bytes_of(data: Any) -> NDArray[np.uint8]:
    """The field `data` of a message as bytes, of whatever library it comes.

    A rosidl Buffer (ROS 2 Lyrical), whose bytes may lie on a GPU, is copied; ImageError that names
    its backend where that fails.
    """
    if isinstance(data, (list, tuple)):
        return np.array(data, np.uint8)
    if hasattr(data, "to_bytes"):
        data = _copied(data)
    view = memoryview(data)
    return np.frombuffer(view if view.contiguous else view.tobytes(), np.uint8)


def _copied(data: Any) -> bytes:
    try:
        return bytes(data.to_bytes())
    except Exception as error:  # a vendor's code fails as it likes
        backend = getattr(data, "backend_type", "unknown")
        raise ImageError(
            "buffer",
            f"the image lies in a rosidl Buffer of the backend '{backend}', which cannot be copied "
            f"({error}): have the camera publish from the CPU",
        ) from error


def convert(
    encoding: str, data: NDArray[np.uint8], size: tuple[int, int], step: int, is_bigendian: bool
) -> Rgb:
    """uint8 (H, W, 3) RGB of `data` (bytes) of an image of `size` = (width, height), whose rows are
    `step` bytes apart, 0: without padding; ImageError where these do not fit together."""
    how, (width, height) = ENCODINGS[encoding], size
    _check_pairs(encoding, how, size)
    rows = how.rows(height)
    apart = _step(encoding, how, data, size, step)
    count = (rows, width) if how.channels == 1 else (rows, width, how.channels)
    kind = np.dtype((">u2" if is_bigendian else "<u2") if how.deep else "u1")
    strides = (apart, kind.itemsize * how.channels, kind.itemsize)[: len(count)]
    pixels: NDArray[Any] = np.ndarray(count, kind, data, strides=strides)
    if how.deep:
        pixels = cv2.convertScaleAbs(pixels.astype(np.uint16), alpha=255 / 65535)
    pixels = np.ascontiguousarray(pixels)
    return pixels if how.code is None else np.asarray(cv2.cvtColor(pixels, how.code), np.uint8)


def _check_pairs(encoding: str, how: Encoding, size: tuple[int, int]) -> None:
    width, height = size
    for axis, name, length in ((1, "width", width), (0, "height", height)):
        if axis in how.halved and length % 2:
            raise ImageError(
                "size",
                f"{encoding} image of odd {name} {length}: its pixels come in pairs; use rgb8",
            )


def _step(
    encoding: str, how: Encoding, data: NDArray[np.uint8], size: tuple[int, int], step: int
) -> int:
    """Bytes from row to row; ImageError where there are too few. Drivers of planar images count in
    different ways: where the bytes are as many as without padding, there is none."""
    width, height = size
    row, rows = how.row(width), how.rows(height)
    if how.planar and len(data) == row * rows:
        return row
    apart = step or row
    needed = apart * (rows - 1) + row
    if apart < row or len(data) < needed:
        raise ImageError(
            "short",
            f"{width}x{height} {encoding} image with step {step} and {len(data)} bytes: needs a "
            f"step of at least {row} and {needed} bytes; check the camera driver",
        )
    return apart
