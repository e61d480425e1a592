# SPDX-License-Identifier: Apache-2.0
"""Which way a head faces, in a word.

Classes are those of EFHQ (Dao et al., 2024) in front of the profile; behind it a head is "extreme",
where EFHQ's rule of angles would call the back of a head left or right. See `hpe_vlm_ros.facing`.
"""

from __future__ import annotations

from .grid import Box, box_text
from .label import label_task

LABELS = ("frontal", "left", "right", "up", "down", "extreme")


def question(box: Box) -> str:
    """The question for the head in `box` (grid cells)."""
    return f"What is the head facing inside the bounding box [[{box_text(box)}]]?"


TASK = label_task("facing", "head facing", question, LABELS)
