# SPDX-License-Identifier: Apache-2.0
"""Camera images as the small JPEG files that are sent."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.pictures import shrunk

from . import RemoteError

# The public model sees 490 x 490 pixels whatever it is sent: twice that loses nothing.
LONGEST_SIDE = 980
MOST_BYTES = 500_000  # in base64 a third more, with each of the questions about an image
QUALITIES = (90, 75, 50)  # of JPEG, tried in this order
SMALLEST_SIDE = 64  # pixels; where that is too large, the limit is wrong, not the picture


def jpeg(
    image: NDArray[np.uint8], longest_side: int = LONGEST_SIDE, most_bytes: int = MOST_BYTES
) -> bytes:
    """RGB (H, W, 3) uint8 as JPEG within both limits.

    Where a picture is too rich in detail, quality is lowered first and then its size. Boxes are
    relative to the picture's sides, so answers do not depend on its size.
    """
    side = longest_side
    while side >= SMALLEST_SIDE:
        bgr = cv2.cvtColor(shrunk(image, side), cv2.COLOR_RGB2BGR)
        for quality in QUALITIES:
            _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(encoded) <= most_bytes:
                return encoded.tobytes()
        side = side * 3 // 4
    raise RemoteError(f"the image does not fit into {most_bytes} bytes: allow more")


def data_url(encoded: bytes) -> str:
    """A JPEG file's bytes as a data URL (RFC 2397), the way chat requests carry pictures."""
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")
