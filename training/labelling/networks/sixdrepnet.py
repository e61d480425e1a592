# SPDX-License-Identifier: Apache-2.0
"""6DRepNet (Hempel et al., arXiv 2202.12555) as trained here: rotation from a crop by six numbers.

Its rotation representation (two columns, made orthonormal) on a backbone that fits the compute:
EfficientNet-Lite0 with its ImageNet weights in place of RepVGG. The network learns rotation
matrices, never angles, so heads seen from behind need no unfolding.

One thing is better than published: it learns the rotation relative to the ray that the crop was
seen along, and the ray is put back afterwards, since a crop cannot show where it was cut.
`training.reproduction.baselines.sixdrepnet` trains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from hpe_vlm_ros.vlm.pytorch.stem import EfficientNetLite0Stem

from ...model.normed_stem import add_norms
from ...model.pretrained_stem import load_imagenet
from ...supervision.dense_head import rotation_from_6d
from .crops import camera_frame, crop

FEATURES = 320  # channels of EfficientNet-Lite0's last block
SIDE = 96  # pixels of the square crops


class SixDRepNet(nn.Module):
    """Crops (N, 3, S, S) to rotations (N, 3, 3) relative to the rays they were seen along."""

    def __init__(self, pretrained: bool = True, side: int = SIDE) -> None:
        super().__init__()
        self.side = side
        self.backbone = EfficientNetLite0Stem(3, 1)
        if pretrained:
            load_imagenet(self.backbone)
        self.backbone.head.requires_grad_(False)  # both heads are unused
        self.backbone.deep_head.requires_grad_(False)
        add_norms(self.backbone)
        self.turn = nn.Linear(FEATURES, 6)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Crops (N, 3, side, side), normalised, to rotations (N, 3, 3) relative to the rays to the
        heads."""
        x = F.relu6(self.backbone.stem(pixels.contiguous(memory_format=torch.channels_last)))
        for block in self.backbone.blocks:
            x = block(x)
        return rotation_from_6d(self.turn(x.mean((2, 3))))

    @torch.no_grad()
    def turns(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
        """Rotations (N, 3, 3), relative to the rays to them, of the heads in boxes x0 y0 x1 y1 of
        an RGB image (H, W, 3) uint8."""
        if not len(boxes):
            return np.zeros((0, 3, 3))
        pixels = torch.stack([crop(image, box, self.side) for box in boxes])
        return np.asarray(self.eval()(pixels).double().numpy())

    def rotations(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
        """The same in the frame of a camera with the usual field of view."""
        found = self.turns(image, boxes)
        return camera_frame(found, boxes, image.shape[:2]) if len(boxes) else found


def load_sixdrepnet(checkpoint: Path) -> SixDRepNet:
    """The network of a checkpoint that `train` left; ValueError where the file is none."""
    model = SixDRepNet(pretrained=False)
    try:
        stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model.load_state_dict(stored["model"])
    except (KeyError, RuntimeError, TypeError, UnpicklingError) as error:
        raise ValueError(
            f"{checkpoint} is no checkpoint of training.reproduction.baselines.sixdrepnet ({error})"
        ) from error
    return model.eval()
