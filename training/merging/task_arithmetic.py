# SPDX-License-Identifier: Apache-2.0
"""Task arithmetic: Ilharco et al., "Editing Models with Task Arithmetic" (2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from .registry import Layer, merge_method


@merge_method
def task_arithmetic(original: Tensor, tuned: Tensor, layer: Layer, weight: float = 0.5) -> Tensor:
    """original + weight * (tuned - original), in float32; the paper compares with weight 0.5."""
    return torch.lerp(original.float(), tuned.float(), weight)
