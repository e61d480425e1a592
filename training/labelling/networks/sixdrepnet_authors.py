# SPDX-License-Identifier: Apache-2.0
"""6DRepNet (Hempel et al., arXiv 2202.12555) with its authors' weights, where the user has them.

The published file (6DRepNet_300W_LP_AFLW2000.pth, or another of the same layout) holds RepVGG-B1g2
(Ding et al., arXiv 2101.03697) as it is deployed: 3 x 3 convolutions with a ReLU each, the first of
every stage with stride 2, then a mean and six numbers. Trained on 300W-LP: faces, never heads from
behind. Our own, for all yaws, is `sixdrepnet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import nn

from ...supervision.dense_head import rotation_from_6d
from .crops import cut
from .whenet import DEVIATION, MEAN

SIDE = 224  # pixels of the square input
CONVOLUTION = ".rbr_reparam.weight"
AXES = np.diag([1.0, -1.0, -1.0])


class AuthorsSixDRepNet(nn.Module):
    """Crops (N, 3, 224, 224) to rotations (N, 3, 3) in the authors' axes."""

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels, stage = 3, ""
        for name in sorted((n for n in state if n.endswith(CONVOLUTION)), key=_order):
            weight, bias = state[name], state[name.replace("weight", "bias")]
            first, stage = name.split(".")[0] != stage, name.split(".")[0]
            convolution = nn.Conv2d(
                channels, len(weight), 3, stride=2 if first else 1, padding=1,
                groups=channels // weight.shape[1],
            )  # fmt: skip
            convolution.load_state_dict({"weight": weight, "bias": bias})
            blocks += [convolution, nn.ReLU()]
            channels = len(weight)
        self.backbone = nn.Sequential(*blocks)
        self.turn = nn.Linear(channels, 6)
        self.turn.load_state_dict(
            {"weight": state["linear_reg.weight"], "bias": state["linear_reg.bias"]}
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Crops (N, 3, SIDE, SIDE), normalised, to rotations (N, 3, 3) by the authors'
        convention."""
        return rotation_from_6d(self.turn(self.backbone(pixels).mean((2, 3))))

    @torch.no_grad()
    def rotations(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
        """Rotations (N, 3, 3) of the heads in boxes x0 y0 x1 y1 of an RGB image (H, W, 3) uint8.

        The authors' matrix is Rz(roll) Ry(yaw) Rx(pitch); ours of the same angles is its transpose
        with the second and third axes turned round.
        """
        if not len(boxes):
            return np.zeros((0, 3, 3))
        crops = (cut(image, _square(box), SIDE) / 255.0 for box in boxes)
        pixels = [torch.from_numpy((c - MEAN) / DEVIATION).float().permute(2, 0, 1) for c in crops]
        theirs = torch.stack([self(one[None])[0] for one in pixels]).double().numpy()
        return np.asarray(AXES @ theirs.swapaxes(1, 2) @ AXES)


def has_their_layout(file: Path) -> bool:
    """Whether a file of weights is laid out as the authors' are."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError):
        return False
    return f"layer0{CONVOLUTION}" in state


def load_authors(weights: Path) -> AuthorsSixDRepNet:
    """The network with the weights of a file; ValueError where it is not the authors'."""
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        return AuthorsSixDRepNet(state).eval()
    except (KeyError, RuntimeError, TypeError, UnpicklingError) as error:
        raise ValueError(f"{weights}: not the weights of 6DRepNet ({error})") from error


def _order(name: str) -> tuple[int, int]:
    """layer0.rbr..., layer1.0.rbr..., layer1.1.rbr...: stage and place in it."""
    stage, place, *_ = name.split(".")
    return int(stage.removeprefix("layer")), int(place) if place.isdigit() else 0


def _square(box: np.ndarray) -> np.ndarray:
    """The square in the middle of a box: the authors scale the shorter side and cut the longer."""
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    middle, half = np.array([x0 + x1, y0 + y1]) / 2, min(x1 - x0, y1 - y0) / 2
    return np.concatenate([middle - half, middle + half])
