# SPDX-License-Identifier: Apache-2.0
"""Outputs in other packages' messages. Each is made where its package is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from std_msgs.msg import Header

from hpe_vlm_ros.people.people import Person

PACKAGES = {
    "hri": "hri_msgs",
    "detections": "vision_msgs",
    "markers": "visualization_msgs",
    "annotations": "foxglove_msgs",
}


@dataclass(frozen=True)
class Shown:
    """An answered image on its way out: people from left to right, size as width and height.

    rgb: its pixels, where somebody asked for pictures; else None.
    """

    camera: str
    header: Header
    size: tuple[int, int]
    people: list[Person]
    rgb: Any = None


def installed(extra: str) -> bool:
    return find_spec(PACKAGES[extra]) is not None
