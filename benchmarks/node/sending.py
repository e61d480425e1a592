# SPDX-License-Identifier: Apache-2.0
"""Frames that the benchmarks of the node send."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.frames import Frame

ANSWER_TIMEOUT_S = 300.0


def frame(pixels: Any) -> Frame:
    """A raw frame of these pixels, taken now."""
    from demo.frames import Frame, header
    from hpe_vlm_ros.images import rgb_to_image

    return Frame(rgb_to_image(pixels, header(time.time_ns())))
