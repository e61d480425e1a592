# SPDX-License-Identifier: Apache-2.0
"""Pictures that the scripted node understands."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import Image

WIDTH, HEIGHT, SIDE = 320, 240, 40


def painted(heads: Sequence[tuple[float, float]] = (), command: int = 0) -> Image:
    """An image with a square for each (x of its middle in pixels, yaw in degrees), and a command
    of `scripted_node` in its corner."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for x, yaw in heads:
        left = round(x) - SIDE // 2
        pixels[100 : 100 + SIDE, left : left + SIDE] = (200, round(128 + yaw / 1.5), 0)
    pixels[0, 0, 2] = command
    message = Image(width=WIDTH, height=HEIGHT, encoding="rgb8", step=3 * WIDTH)
    message.data = array("B", pixels.tobytes())
    return message
