# SPDX-License-Identifier: Apache-2.0
"""Training-only hint: a number about a head should be decided while looking at that head.

Finding the patches that a box in the prompt covers is the slowest thing a small decoder learns from
answers alone. The hint asks half of the attention heads of some layers to spend their attention
from the deciding token on the patches in the head's box; everything else stays free.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from hpe_vlm_ros.vlm.pytorch.language import Attention, rotate

from ..data.packing import Batch
from .dense_head import patch_centres


class AttentionHint:
    """Watches the chosen decoder layers of a model; `loss` reads what they saw last."""

    def __init__(self, model: nn.Module, layers: tuple[int, ...] = (1, 2)) -> None:
        self._inputs: dict[int, tuple[Any, ...]] = {}
        self._layers = {i: model.model.layers[i].self_attn for i in layers}
        for index, attention in self._layers.items():
            attention.register_forward_pre_hook(self._keeper(index))

    def _keeper(self, index: int) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._inputs[index] = inputs

        return keep

    def loss(self, batch: Batch, grid: tuple[int, int]) -> torch.Tensor:
        """Mean of -log(attention mass on the right patches) over the number tokens that tell about
        a head; `grid` = (rows, columns) of image tokens."""
        rows, columns = (batch.about >= 0).nonzero(as_tuple=True)
        if not len(rows):
            return torch.zeros(())
        goal = right_patches(batch, rows, columns, grid)
        allowed = batch.attention_mask()[rows, 0, columns]
        losses = [
            _layer_loss(attention, self._inputs[index], rows, columns, allowed, goal)
            for index, attention in self._layers.items()
        ]
        return torch.stack(losses).mean()


def right_patches(
    batch: Batch, rows: torch.Tensor, columns: torch.Tensor, grid: tuple[int, int]
) -> torch.Tensor:
    """(N, T) bool: image tokens whose patch centre lies in the box that token n is about; the patch
    nearest the middle where the box is too small to hold a centre."""
    height, width = batch.pixel_values.shape[-2:]
    step = torch.tensor([width / grid[1], height / grid[0]]).repeat(2)
    about = batch.about[rows, columns]
    boxes = np.array([batch.heads[r][h].box for r, h in zip(rows, about, strict=True)])
    boxes = torch.from_numpy(boxes).float() / step
    centres = patch_centres(grid)[None]
    inside = ((centres > boxes[:, None, :2]) & (centres < boxes[:, None, 2:])).all(-1)
    middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    nearest = (centres - middle).square().sum(-1).argmin(-1)
    inside[torch.arange(len(inside)), nearest] = True
    goal = torch.zeros(len(rows), batch.input_ids.shape[1], dtype=torch.bool)
    goal[:, 2 : 2 + inside.shape[1]] = inside  # after BOS and begin-of-image
    return goal


def _layer_loss(
    attention: Attention,
    inputs: tuple[Any, ...],
    rows: torch.Tensor,
    columns: torch.Tensor,
    allowed: torch.Tensor,
    goal: torch.Tensor,
) -> torch.Tensor:
    x, routing, rotation = inputs[:3]
    width = x.shape[-1]
    half = width // 2  # the first half of the heads
    language = attention.language_expert_query_key_value.weight
    vision = attention.vision_expert_query_key_value.weight

    def part(start: int) -> torch.Tensor:
        """Queries (start 0) or keys (start = width) of hinted heads, (B, heads, T, head_dim)."""
        textual, pictured = language[start : start + half], vision[start : start + half]
        y = routing(x, lambda t: t @ textual.T, lambda t: t @ pictured.T)
        y = y.view(*x.shape[:2], -1, attention.head_dim).transpose(1, 2)
        return rotate(y, rotation)

    queries = part(0)[rows, :, columns]
    keys = part(width)[rows]
    scores = torch.einsum("nhd,nhtd->nht", queries, keys) * attention.head_dim**-0.5
    weights = scores.masked_fill(~allowed[:, None], float("-inf")).softmax(-1)
    mass = (weights * goal[:, None]).sum(-1)
    return -(mass + 1e-6).log().mean()
