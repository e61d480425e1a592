# SPDX-License-Identifier: Apache-2.0
"""How alike two projections are: the cosine of corresponding rows, averaged over the rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 1024  # rows in float32 at a time


def row_cosine(original: Tensor, tuned: Tensor) -> float:
    """Mean of `F.cosine_similarity(dim=-1)` of two (out, in) matrices, in float32; at most 1."""
    total = torch.zeros((), dtype=torch.float64)
    for a, b in zip(original.split(ROWS), tuned.split(ROWS), strict=True):
        total += F.cosine_similarity(a.float(), b.float(), dim=-1).sum(dtype=torch.float64)
    return min(float(total) / len(original), 1.0)
