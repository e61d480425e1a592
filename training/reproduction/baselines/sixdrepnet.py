# SPDX-License-Identifier: Apache-2.0
"""6DRepNet (Hempel et al., arXiv 2202.12555): rotation from a crop by six numbers.

    python -m training.reproduction.baselines.sixdrepnet --data '[runs/scenes/task]' \\
        --validation runs/scenes/watched --out runs/sixdrepnet --budget.samples 500000

Its rotation representation (two columns, made orthonormal) and its loss (the geodesic angle), on a
backbone that fits the compute: EfficientNet-Lite0 with its ImageNet weights in place of RepVGG.
The network learns rotation matrices, never angles, so heads seen from behind need no unfolding;
angles are read off the matrix once, by the rules of `hpe_vlm_ros.geometry`.

One thing is better than published: it learns the rotation relative to the ray that the crop was
seen along, and the ray is put back afterwards, since a crop cannot show where it was cut.

OUT holds checkpoint, log, the curve's picture and result.json. Killed runs go on when the same
command is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from jsonargparse import auto_cli
from torch import nn
from torch.nn import functional as F

from hpe_vlm_ros.vlm.pytorch.stem import EfficientNetLite0Stem

from ...data.labels import read_synthetic
from ...data.sample import Sample
from ...loop.stage import read
from ...model.normed_stem import settle, unfold
from ...model.pretrained_stem import load_imagenet
from ...supervision.dense_head import rotation_from_6d, turn_between
from ...testsets import PANOPTIC
from .crops import Crops, camera_frame, crop, training_crops
from .heads import finish, median_degrees
from .loop import Budget, Pace, Spent, curve, fit

FEATURES = 320  # channels of EfficientNet-Lite0's last block
SIDE = 96  # pixels of the square crops
WATCHED = 100  # scenes
BUDGET, PACE = Budget(), Pace()


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
        unfold(self.backbone)
        self.turn = nn.Linear(FEATURES, 6)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
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


def loss_at(model: SixDRepNet, crops: Crops, step: int) -> torch.Tensor:
    pixels, turns = crops(step)
    return turn_between(model(pixels), turns).mean()


def rotations(model: SixDRepNet, sample: Sample) -> np.ndarray:
    """Rotations (N, 3, 3) of a scene's true heads."""
    return model.rotations(sample.load(), [head.box for head in sample.heads])


def train(
    data: list[Path],
    validation: Path,
    out: Path,
    test: Path = PANOPTIC,
    side: int = SIDE,
    pretrained: bool = True,
    threads: int = 2,
    budget: Budget = BUDGET,
    pace: Pace = PACE,
    limit: int | None = None,
    keep: Path | None = None,
) -> Spent:
    """Train and score 6DRepNet.

    Args:
        data: folders of labelled pictures to learn from.
        validation: folder of pictures to watch (never learnt).
        out: where checkpoint, log, curve and result go; an existing checkpoint is continued.
        test: labelled scenes to score on at the end.
        side: pixels of the square crops.
        pretrained: start from ImageNet.
        threads: threads of the arithmetic.
        budget: how long to learn.
        pace: rate, batch and checkpoints.
        limit: only the first so many scenes of `test`.
        keep: also write the result here, for the report:
            training/reproduction/results/sixdrepnet.json.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(pace.seed)
    crops = training_crops(read(data), side, pace.batch, pace.seed)
    watched = read_synthetic(validation, WATCHED)
    model = SixDRepNet(pretrained, side)
    settle(model.backbone, crops(0)[0])
    predict = partial(rotations, model)
    spent = fit(
        model.train(),
        partial(loss_at, model, crops),
        lambda: median_degrees(predict, watched),
        out,
        budget,
        pace,
    )
    note = (
        f"{len(crops.pool)} heads, {spent.samples} crops of {side} pixels, "
        f"{spent.seconds / 60:.0f} minutes"
    )
    finish("6DRepNet", predict, test, limit, out, keep, note, curve=curve(out))
    return spent


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
