# SPDX-License-Identifier: Apache-2.0
"""The perception node with a model that finds painted squares, and fails when a picture says so.

Everything else is the node as it is. No PyTorch is imported, so it starts soon.
"""

from __future__ import annotations

import os
import sys
import time

import cv2
import numpy as np

import hpe_vlm_ros.perceiver as perceiver
from hpe_vlm_ros.geometry import HeadShape, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.nodes.perception import main

RAISE, HANG, NO_MEMORY, SLOW, SLOWER = 1, 2, 3, 4, 5
"""What the blue of the top left pixel makes the model do."""
SLOW_SECONDS, SLOWER_SECONDS = 0.6, 4.0


def degrees(green: int) -> float:
    """The yaw that a square's green stands for."""
    return (green - 128) * 1.5


class Scripted:
    """Stands for HeadPerceiver."""

    model_id, device = "scripted", "none"
    head_shape = HeadShape(0.3, (0.0, 0.0, -0.09))
    max_heads = 20
    free_text = False

    def __call__(self, rgb: np.ndarray, **_: object) -> list[HeadEstimate]:
        self.obey(int(rgb[0, 0, 2]))
        _, _, found, _ = cv2.connectedComponentsWithStats((rgb[..., 0] > 100).astype(np.uint8))
        heads = []
        for x, y, width, height, _ in found[1:]:
            yaw = degrees(int(rgb[y + height // 2, x + width // 2, 1]))
            box = (float(x), float(y), float(x + width), float(y + height))
            turn = rotation_from_angles(yaw, 0, 0)
            heads.append(HeadEstimate(box, yaw, 0.0, 0.0, turn, 0.9))
        return heads

    def facts(self) -> dict[str, str]:
        return {}

    def warning(self) -> str:
        return ""

    def obey(self, command: int) -> None:
        if command == RAISE:
            raise RuntimeError("the model does not feel well")
        if command == HANG:
            time.sleep(3600)
        if command == NO_MEMORY:
            raise MemoryError("CUDA out of memory")
        if command == SLOW:
            time.sleep(SLOW_SECONDS)
        if command == SLOWER:
            time.sleep(SLOWER_SECONDS)


def load(*_: object, **__: object) -> Scripted:
    if seconds := float(os.environ.get("SCRIPTED_LOAD", "0")):
        print("loading", flush=True)
        time.sleep(seconds)
    return Scripted()


if __name__ == "__main__":
    perceiver.HeadPerceiver.load = load
    sys.exit(main())
