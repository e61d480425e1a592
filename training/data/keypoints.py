# SPDX-License-Identifier: Apache-2.0
"""Keypoints of bodies as pictures change: arrays (17, 3) of x, y in pixels and visibility."""

from __future__ import annotations

import numpy as np

from hpe_vlm_ros.skeleton import ABSENT, MIRRORED


def warped(points: np.ndarray, homography: np.ndarray, width: float, height: float) -> np.ndarray:
    """Where a homography (3, 3) takes them; what leaves the picture becomes ABSENT, with x = y =
    0, and so does what comes to lie behind the camera."""
    places = np.column_stack([points[:, :2], np.ones(len(points))]) @ homography.T
    ahead = places[:, 2] > 1e-9
    places = places[:, :2] / np.where(ahead, places[:, 2], 1)[:, None]
    inside = ahead & (places >= 0).all(1) & (places < (width, height)).all(1)
    there = inside & (points[:, 2] != ABSENT)
    return np.where(there[:, None], np.column_stack([places, points[:, 2]]), ABSENT)


def mirrored(points: np.ndarray, width: float) -> np.ndarray:
    """Keypoints (17, 3), pixels and visibility, as a mirror shows them in a picture of this width:
    what was a left wrist is a right one there."""
    swapped = points[MIRRORED]
    swapped[:, 0] = np.where(swapped[:, 2] == ABSENT, 0, width - swapped[:, 0])
    return swapped


def moved(points: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """All that are there moved by `offset` (2,) pixels."""
    out = points.copy()
    out[out[:, 2] != ABSENT, :2] += offset
    return out
