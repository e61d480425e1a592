# SPDX-License-Identifier: Apache-2.0
"""How alike two projections are: the cosine of corresponding rows, averaged over the rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 1024  # rows in float32 at a time


def row_cosine(original: Tensor, tuned: Tensor) -> float:
    """Mean of `F.cosine_similarity(dim=-1)` of two (out, in) matrices, in float32; at most 1.

    Rows that are zero in both have no direction and do not count; a row that is zero in one of them
    counts as 0. Where no row counts the matrices are the same: 1.
    """
    total, count = torch.zeros((), dtype=torch.float64), 0
    for a, b in zip(original.split(ROWS), tuned.split(ROWS), strict=True):
        shown = a.any(dim=-1) | b.any(dim=-1)
        count += int(shown.sum())
        cosines = F.cosine_similarity(_scaled(a[shown]), _scaled(b[shown]), dim=-1)
        total += cosines.sum(dtype=torch.float64)
    return min(float(total) / count, 1.0) if count else 1.0


def _scaled(rows: Tensor) -> Tensor:
    """The rows with a largest magnitude of 1, so that no square is lost or overflows."""
    rows = rows.float() if rows.element_size() < 4 else rows
    largest = rows.abs().amax(dim=-1, keepdim=True)
    return rows / largest.where(largest > 0, torch.ones_like(largest))
