# SPDX-License-Identifier: Apache-2.0
"""Pictures of single heads, as the networks see them that know nothing but a crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from hpe_vlm_ros.rays import rotation_to_ray, usual_camera

from ...data.augment import camera_faults, mirrored
from ...data.collage import SQUEEZE, Collage, Subject, make_collage, subjects
from ...data.sample import Sample
from ...model.pretrained_stem import IMAGE_MEAN, IMAGE_STD

PADDING = 0.2  # share of a head box's size that is added on every side, as 6DRepNet's demo does
VIEW = 112  # pixels, side of the view that a crop is cut from


@dataclass(frozen=True)
class Crops:
    """Crops for training that depend on (seed, step) alone.

    Each is cut from a virtual camera's view of a scene about one head (`collage`), mirrored half of
    the time, with a camera's faults: what stage 1 learns from, too. `side` in pixels.
    """

    pool: list[Subject]
    side: int
    batch: int
    seed: int

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (B, 3, side, side), and rotations (B, 3, 3) relative to the ray."""
        options = Collage(share=1.0, cells=(1.0, 0.0, 0.0, 0.0), reach=(0.25, 0.8))
        camera = usual_camera((VIEW, VIEW), SQUEEZE)
        pixels, turns = [], []
        for place in range(self.batch):
            rng = np.random.default_rng((self.seed, step, place))
            view, heads = np.zeros(0), []
            while not heads:
                view, heads = make_collage(self.pool, (VIEW, VIEW), rng, options)
                heads = [h for h in heads if h.rotation is not None and h.visible >= 0.2]
            if rng.random() < 0.5:
                view, heads = mirrored(view, heads)
            head = heads[int(np.argmax([np.prod(h.box[2:] - h.box[:2]) for h in heads]))]
            box = head.box + rng.uniform(-0.08, 0.08, 4) * np.tile(head.box[2:] - head.box[:2], 2)
            pixels.append(crop(camera_faults(view, rng), box, self.side))
            assert head.rotation is not None
            turns.append(rotation_to_ray(camera, head.box).T @ head.rotation)
        return torch.stack(pixels), torch.as_tensor(np.stack(turns), dtype=torch.float32)


def training_crops(samples: list[Sample], side: int, batch: int, seed: int) -> Crops:
    """Crops of all heads that may be learnt; ValueError where there are none."""
    pool = [
        (sample, index)
        for sample, index in subjects(samples, Collage())
        if sample.heads[index].rotation is not None
    ]
    if not pool:
        raise ValueError("no head in --data is large and visible enough and has a rotation")
    return Crops(pool, side, batch, seed)


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
