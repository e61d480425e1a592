# SPDX-License-Identifier: Apache-2.0
"""Prompts and answers of HPE-CogVLM in one place; each task's own are in `hpe_vlm_ros.tasks`."""

from .tasks.grid import GRID, Box, grid_box, pixel_box
from .tasks.heads import DETECTION_PROMPT, format_boxes, parse_boxes
from .tasks.pose import Angles, format_angles, parse_angles, pose_prompt
from .tasks.referring import format_referred, referring_prompt
from .tasks.task import Parsed, Reason

__all__ = [
    "DETECTION_PROMPT",
    "GRID",
    "Angles",
    "Box",
    "Parsed",
    "Reason",
    "format_angles",
    "format_boxes",
    "format_referred",
    "grid_box",
    "parse_angles",
    "parse_boxes",
    "pixel_box",
    "pose_prompt",
    "referring_prompt",
]
