# SPDX-License-Identifier: Apache-2.0
"""Crops of single heads to train baselines on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hpe_vlm_ros.rays import rotation_to_ray, usual_camera

from ...data.augment import camera_faults, mirrored
from ...data.collage import SQUEEZE, Collage, Subject, make_collage, subjects
from ...data.sample import Sample
from ...labelling.networks.crops import crop

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
