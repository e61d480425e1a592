# SPDX-License-Identifier: Apache-2.0
"""Outputs in other packages' messages. Each is made where its package is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from std_msgs.msg import Header

from hpe_vlm_ros.people.bodies import Body
from hpe_vlm_ros.people.people import Person

PACKAGES = {
    "hri": "hri_msgs",
    "detections": "vision_msgs",
    "markers": "visualization_msgs",
    "annotations": "foxglove_msgs",
    "skeleton_annotations": "foxglove_msgs",
}


@dataclass(frozen=True)
class Shown:
    """An answered image on its way out: people from left to right, size as width and height.

    rgb: its pixels, where somebody asked for pictures; else None. bodies: of these people, as far
    as they were looked at.
    """

    camera: str
    header: Header
    size: tuple[int, int]
    people: list[Person]
    rgb: Any = None
    bodies: Sequence[Body] = ()


def installed(extra: str) -> bool:
    """Whether the package is installed whose messages an extra, a key of PACKAGES, takes."""
    return find_spec(PACKAGES[extra]) is not None
