# SPDX-License-Identifier: Apache-2.0
"""The one sample type that every reader yields and every stage consumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np


@dataclass
class Head:
    """One labelled head.

    box: (4,) float, x0 y0 x1 y1 in pixels of the image.
    rotation: (3, 3) float, head in the camera optical frame (`hpe_vlm_ros.geometry`).
    visible: share of the head that can be seen, 0..1 (occlusion and image border).
    position: (3,) float, the sellion in the camera optical frame in metres, None where unknown.
    """

    box: np.ndarray
    rotation: np.ndarray
    visible: float = 1.0
    position: np.ndarray | None = None


@dataclass
class Sample:
    """One image with its heads. `focal` is in pixels, the principal point is the image centre."""

    image_path: Path
    width: int
    height: int
    focal: float
    heads: list[Head] = field(default_factory=list)

    def load(self) -> np.ndarray:
        """Read the picture, uint8 H x W x 3 RGB. Raises ValueError naming an unreadable file."""
        image = cv2.imread(str(self.image_path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{self.image_path}: not a readable image; render or copy it again")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
