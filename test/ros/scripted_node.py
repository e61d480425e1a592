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
from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, SEEN, Skeleton

RAISE, HANG, NO_MEMORY, SLOW, SLOWER, NO_BODY = 1, 2, 3, 4, 5, 6
"""What the blue of the top left pixel makes the model do."""
SLOW_SECONDS, SLOWER_SECONDS = 0.6, 4.0


Box = tuple[float, float, float, float]


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

    def has_learnt(self, task: object) -> bool:
        return True

    def keypoints(self, rgb: np.ndarray, bodies: list[Box]) -> list[Skeleton]:
        """Point k lies k + 1 eighteenths along the diagonal of the box; the last one is absent."""
        if rgb[0, 0, 2] == NO_BODY:
            raise RuntimeError("no body can be seen")
        return [diagonal(body) for body in bodies]

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


def diagonal(box: Box) -> Skeleton:
    corners, count = np.reshape(box, (2, 2)), len(KEYPOINTS)
    points = corners[0] + np.arange(1, count + 1)[:, None] / 18 * (corners[1] - corners[0])
    points[-1] = np.nan
    seen = np.array([SEEN] * (count - 1) + [ABSENT])
    spread = np.tile(np.diag([4.0, 9.0]), (count, 1, 1)) * np.where(seen, 1, np.nan)[:, None, None]
    return Skeleton(box, KEYPOINTS, points, seen, np.where(seen, 0.8, 0.0), spread)


def load(*_: object, **__: object) -> Scripted:
    if seconds := float(os.environ.get("SCRIPTED_LOAD", "0")):
        print("loading", flush=True)
        time.sleep(seconds)
    return Scripted()


if __name__ == "__main__":
    perceiver.HeadPerceiver.load = load
    sys.exit(main())
