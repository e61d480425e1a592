# SPDX-License-Identifier: Apache-2.0
"""Frames that the benchmarks of the node send."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.process import NodeError, NodeProcess

if TYPE_CHECKING:
    from demo.frames import Frame
    from demo.link import Link, Sent

ANSWER_TIMEOUT_S = 300.0


def answered(link: Link, process: NodeProcess, pixels: Any) -> Sent:
    """A raw frame of these pixels with the node's answer; NodeError when none comes."""
    sent = link.send(frame(pixels))
    if not link.receive(sent, ANSWER_TIMEOUT_S, process):
        raise NodeError(f"no answer within {ANSWER_TIMEOUT_S:g} s{process.last_words()}")
    link.forget(sent)
    return sent


def frame(pixels: Any) -> Frame:
    """A raw frame of these pixels, taken now."""
    from demo.frames import Frame, header
    from hpe_vlm_ros.images import rgb_to_image

    return Frame(rgb_to_image(pixels, header(time.time_ns())))
