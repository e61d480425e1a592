# SPDX-License-Identifier: Apache-2.0
"""Training-only supervision of the vision tower: every patch says whether a head is there, its box and pose.

The answer loss alone teaches the tower through a few number tokens a picture; this head teaches every
patch directly and is thrown away afterwards, so the runtime still knows only the text answer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .data.sample import Head

CENTRE_SHARE = 0.6  # a patch belongs to a head when its centre lies in the middle share of the box


class DenseHead(nn.Module):
    """Linear read-out of patch features (B, N, C) -> objectness 1, box edges 4, rotation 6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 11)
        nn.init.constant_(self.project.bias[:1], -3.0)  # heads are rare

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.project(self.norm(features))


def dense_targets(
    heads: list[list[Head]], grid: tuple[int, int], size: tuple[int, int], min_visible: float, min_size: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Per patch of a `grid` = (rows, columns) over pictures of `size` = (height, width):
    owner mask (B, N) bool, box edges (B, N, 4) as distances left, top, right, bottom in patches,
    first two rotation columns (B, N, 6). The smallest box wins a contested patch.
    """
    rows, columns = grid
    step = torch.tensor([size[1] / columns, size[0] / rows])
    ys, xs = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    centres = torch.stack([xs.flatten(), ys.flatten()], -1)
    owned = torch.zeros(len(heads), rows * columns, dtype=torch.bool)
    edges = torch.zeros(len(heads), rows * columns, 4)
    turns = torch.zeros(len(heads), rows * columns, 6)
    for row, picture in enumerate(heads):
        area = [(h.box[2] - h.box[0]) * (h.box[3] - h.box[1]) for h in picture]
        for index in sorted(range(len(picture)), key=lambda i: -area[i]):
            head = picture[index]
            if head.visible < min_visible or area[index] < min_size**2:
                continue
            box = torch.as_tensor(head.box, dtype=torch.float32).view(2, 2) / step
            middle, extent = box.mean(0), box[1] - box[0]
            reach = (extent * CENTRE_SHARE / 2).clamp(min=0.5)
            inside = ((centres - middle).abs() <= reach).all(-1)
            owned[row, inside] = True
            edges[row, inside] = torch.cat([centres[inside] - box[0], box[1] - centres[inside]], -1)
            turns[row, inside] = torch.as_tensor(head.rotation[:, :2].T.ravel(), dtype=torch.float32)
    return owned, edges, turns


def rotation_from_6d(columns: torch.Tensor) -> torch.Tensor:
    """Gram-Schmidt of two 3-vectors (..., 6) to a rotation matrix (..., 3, 3) (Zhou et al. 2019)."""
    first = F.normalize(columns[..., :3], dim=-1)
    second = columns[..., 3:] - (first * columns[..., 3:]).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def dense_loss(
    output: torch.Tensor, owned: torch.Tensor, edges: torch.Tensor, turns: torch.Tensor
) -> dict[str, torch.Tensor]:
    """{"dense_object", "dense_box", "dense_turn"}: cross-entropy, L1 of log edges, squared chord of rotation."""
    losses = {
        "dense_object": F.binary_cross_entropy_with_logits(
            output[..., 0], owned.float(), pos_weight=torch.tensor(3.0)
        )
    }
    if not owned.any():
        return losses | {"dense_box": output.sum() * 0, "dense_turn": output.sum() * 0}
    chosen = output[owned]
    losses["dense_box"] = F.l1_loss(chosen[:, 1:5], torch.asinh(edges[owned]))
    predicted, true = rotation_from_6d(chosen[:, 5:]), rotation_from_6d(turns[owned])
    losses["dense_turn"] = ((predicted - true) ** 2).sum((-1, -2)).mean() / 8  # 1 = opposite
    return losses
