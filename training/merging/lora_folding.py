# SPDX-License-Identifier: Apache-2.0
"""Plain LoRA folding: what fine-tuning learnt is added to the weights, and nothing else is done.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021): W + alpha / rank * B A.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .registry import Layer, merge_method


@merge_method
def lora_folding(original: Tensor, tuned: Tensor, layer: Layer) -> Tensor:
    """Everything from the tuned model, in whose weights the adapters are folded already."""
    return tuned


def low_rank_update(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """(out, in) in float32 or better: scale * B A, block by block.

    `b` is (out, rank). `a` is (blocks * rank, in): a fused projection of `blocks` equal row
    blocks, such as Q, K and V, has an independent pair for each of them.
    """
    rank = b.shape[1]
    blocks = a.shape[0] // rank
    wide = torch.promote_types(b.dtype, torch.float32)
    a, b = a.to(wide), b.to(wide)
    update = b.view(blocks, -1, rank) @ a.view(blocks, rank, -1)
    return update.flatten(0, 1) * scale


def low_rank_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int]:
    """(out, in) of the update that matrices of these shapes make."""
    return b[0], a[1]


def fold(weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """`weight` (out, in) with the update added: summed in float32 and rounded once, at the end."""
    update = low_rank_update(a, b, scale)
    return (weight.to(update.dtype) + update).to(weight.dtype)
