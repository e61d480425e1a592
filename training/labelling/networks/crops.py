# SPDX-License-Identifier: Apache-2.0
"""Pictures of single heads, as the networks see them that know nothing but a crop."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from hpe_vlm_ros.rays import rotation_to_ray, usual_camera

from ...model.pretrained_stem import IMAGE_MEAN, IMAGE_STD

PADDING = 0.2  # share of a head box's size that is added on every side, as 6DRepNet's demo does


def crop(image: np.ndarray, box: np.ndarray, side: int) -> torch.Tensor:
    """`cut` as normalised pixels (3, side, side)."""
    scaled = (cut(image, box, side).astype(np.float32) / 255 - IMAGE_MEAN) / IMAGE_STD
    return torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)


def cut(image: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """The padded box (side, side, 3) of an RGB image (H, W, 3) uint8.

    What lies outside of the picture repeats its border, so that the scale is kept.
    """
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    pad = PADDING * np.array([x1 - x0, y1 - y0])
    low = np.floor([x0, y0] - pad).astype(int)
    high = np.maximum(np.ceil([x1, y1] + pad).astype(int), low + 1)
    over = int(max(0, -low.min(), *(high - image.shape[1::-1])))
    if over:
        image = cv2.copyMakeBorder(image, *(over,) * 4, cv2.BORDER_REPLICATE)
    part = image[low[1] + over : high[1] + over, low[0] + over : high[0] + over]
    shrinks = side < min(part.shape[:2])
    return cv2.resize(
        part, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def camera_frame(
    turns: np.ndarray, boxes: Sequence[np.ndarray], size: tuple[int, int]
) -> np.ndarray:
    """Rotations (N, 3, 3) in the camera's frame, of ones relative to the rays through boxes.

    With the usual field of view: like the model that is compared, these know no focal length.
    `size` = (height, width) of the picture.
    """
    camera = usual_camera(size)
    rays = [rotation_to_ray(camera, box) for box in boxes]
    return np.stack([ray @ turn for ray, turn in zip(rays, turns, strict=True)])
