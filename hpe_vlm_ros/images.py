# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs images to RGB arrays and back.

Conversions go through numpy and OpenCV, or through cv_bridge for those encodings for which an
installed cv_bridge is found to give the very same array: it is missing from many installs, and
often too old for the installed numpy or OpenCV.
"""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .encodings import ENCODINGS, bytes_of, convert
from .pictures import ImageError, Rgb, decode

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header

MIN_SIDE = 16
"""Pixels; an image with a shorter side shows no head that could be turned into an answer."""
LARGE = 25_000_000
"""Pixels; larger images are served, but moving and shrinking them takes longer than the model."""

DEPTH = ("16UC1", "32FC1")
"""What REP-118 calls the encodings of depth: millimetres and metres."""


def is_depth(message: Image | CompressedImage) -> bool:
    """Whether an image of either kind is one of depth, as its encoding or format says.

    A compressed one is too where it decodes to one channel of more than 8 bits.
    """
    if hasattr(message, "encoding"):
        return message.encoding in DEPTH
    if message.format.startswith(DEPTH) or "compressedDepth" in message.format:
        return True
    return _is_deep(bytes_of(message.data))


def to_rgb(message: Image | CompressedImage) -> Rgb:
    """uint8 (H, W, 3) RGB of either kind of image; ImageError when it is unusable."""
    return image_to_rgb(message) if hasattr(message, "encoding") else compressed_to_rgb(message)


def image_to_rgb(message: Image) -> Rgb:
    """uint8 (H, W, 3) RGB of a sensor_msgs/Image; ImageError when it is unusable."""
    _check(message)
    packed = message.step == ENCODINGS[message.encoding].row(message.width)
    here = hasattr(message.data, "tobytes")  # not on a GPU
    # padded rows confuse some versions
    if packed and here and message.encoding in bridged_encodings():
        return np.asarray(_bridge().imgmsg_to_cv2(message, desired_encoding="rgb8"))
    return _convert(message)


def compressed_to_rgb(message: CompressedImage) -> Rgb:
    """uint8 (H, W, 3) RGB of a sensor_msgs/CompressedImage; ImageError when it is unusable.

    The pixels stay as the camera coded them: an orientation tag is not applied, since camera_info
    knows nothing of it.
    """
    if len(message.data) == 0:
        raise ImageError("empty", "empty compressed image (0 bytes): check the camera driver")
    if is_depth(message):
        raise _of_depth(f"format '{message.format}', or one channel of 16 bits,")
    try:
        rgb = decode(bytes_of(message.data), upright=False)
    except ImageError as error:
        raise ImageError(
            "undecodable",
            f"cannot decode the compressed image (format '{message.format}', "
            f"{len(message.data)} bytes): publish JPEG or PNG, or set image_transport to raw",
        ) from error
    _check_size(rgb.shape[1], rgb.shape[0])
    return rgb


def rgb_to_image(rgb: Rgb, header: Header) -> Image:
    """sensor_msgs/Image (rgb8) of uint8 (H, W, 3), under the given header."""
    from array import array

    from sensor_msgs.msg import Image

    height, width, _ = rgb.shape
    message = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", rgb.tobytes())  # anything else is checked byte by byte on Humble
    return message


@lru_cache(maxsize=1)
def bridged_encodings() -> frozenset[str]:
    """Encodings that go through cv_bridge: those it turns into the same array as numpy does."""
    return frozenset(name for name in ENCODINGS if _bridge_agrees(name))


@lru_cache(maxsize=1)
def _bridge() -> Any:
    """cv_bridge's converter, or None where it cannot be imported."""
    # Built for another numpy, cv_bridge prints a traceback of its own before it fails to import.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            from cv_bridge import CvBridge

            return CvBridge()
        except Exception:  # the ways in which a foreign binary fails are beyond listing
            return None


def _bridge_agrees(encoding: str) -> bool:
    bridge = _bridge()
    if bridge is None:
        return False
    from sensor_msgs.msg import Image

    height, width, how = 18, 20, ENCODINGS[encoding]
    probe = Image(height=height, width=width, encoding=encoding, step=how.row(width))
    probe.data.frombytes(np.random.default_rng(0).bytes(how.rows(height) * probe.step))
    try:
        found = bridge.imgmsg_to_cv2(probe, desired_encoding="rgb8")
    except Exception:  # whatever it stumbles over, numpy does not
        return False
    return np.array_equal(found, _convert(probe))


def _convert(message: Image) -> Rgb:
    """The array of an image that `_check` has passed."""
    size, bigendian = (message.width, message.height), bool(message.is_bigendian)
    return convert(message.encoding, bytes_of(message.data), size, message.step, bigendian)


def _check(message: Image) -> None:
    """ImageError when there is nothing to be converted."""
    width, height, encoding = message.width, message.height, message.encoding
    if width == 0 or height == 0 or len(message.data) == 0:
        raise ImageError(
            "empty",
            f"empty image ({width}x{height}, {len(message.data)} bytes): check the camera driver",
        )
    if is_depth(message):
        raise _of_depth(f"encoding '{encoding}'")
    if encoding not in ENCODINGS:
        raise ImageError(
            "encoding",
            f"encoding '{encoding}' is not supported: have the camera publish one of "
            f"{', '.join(ENCODINGS)}, or compressed images with image_transport compressed",
        )
    _check_size(width, height)


def _of_depth(what: str) -> ImageError:
    return ImageError("encoding", f"{what} is a depth image: set image_topic to the colour camera")


def _is_deep(data: NDArray[np.uint8]) -> bool:
    """Whether a picture has one channel of more than 8 bits. JPEG has 8, a PNG's header says."""
    if data[:2].tobytes() == b"\xff\xd8":
        return False
    if data[:8].tobytes() == b"\x89PNG\r\n\x1a\n":
        return len(data) > 25 and (data[24], data[25]) == (16, 0)  # bits, and 0 for grey
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return False
    return picture is not None and picture.ndim == 2 and picture.dtype != np.uint8


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            "size",
            f"image of {width}x{height} pixels is too small: heads need a camera image of "
            f"at least {MIN_SIDE}x{MIN_SIDE} pixels; check the camera's resolution",
        )
