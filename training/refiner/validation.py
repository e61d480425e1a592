# SPDX-License-Identifier: Apache-2.0
"""What a refiner says of squares as a perfect detector cuts them, beside what they show."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

from ..supervision.dense_head import rotation_from_6d, turn_between
from .batches import collate, view
from .crops import Crops
from .losses import losses
from .network import Refiner


@torch.no_grad()
def _answers(
    model: Refiner, crops: Crops, rows: np.ndarray, size: int = 256
) -> Iterator[tuple[np.ndarray, torch.Tensor, list[torch.Tensor]]]:
    """Rows, outputs and targets, a batch after the other, of squares as a perfect detector cuts."""
    model.eval()
    for part in np.array_split(rows, max(len(rows) // size, 1)):
        pixels, *targets = collate(
            view(crops.pixels[i], crops.boxes[i], crops.heads[i], crops.rotations[i],
                 crops.spreads[i], None)
            for i in part
        )  # fmt: skip
        yield part, model(pixels), targets
    model.train()


def errors_of(model: Refiner, crops: Crops, first: int = 0, step: int = 1) -> np.ndarray:
    """(N,) cross-entropies of presence on every `step`-th square from `first` on, 0 on others."""
    errors = np.zeros(len(crops.heads))
    for rows, outputs, targets in _answers(model, crops, np.arange(first, len(errors), step)):
        errors[rows] = F.binary_cross_entropy_with_logits(
            outputs[:, 0], targets[0], reduction="none"
        ).numpy()
    return errors


def validate(model: Refiner, crops: Crops) -> dict[str, float]:
    """Mean losses and, in degrees, the median angle between rotations; presence in percent."""
    sums: dict[str, float] = defaultdict(float)
    angles, right = [], []
    rows = np.arange(len(crops.heads))
    for part, outputs, targets in _answers(model, crops, rows):
        for name, value in losses(outputs, *targets).items():
            sums[name] += float(value) * len(part) / len(rows)
        heads, _, rotations, spreads = targets
        sure = (heads > 0.5) & ~rotations.isnan().flatten(1).any(1) & (spreads.amax(1) < 0.14)
        angles.append(turn_between(rotation_from_6d(outputs[sure, 5:11]), rotations[sure]))
        right.append((outputs[:, 0] > 0) == (heads > 0.5))
    return dict(sums) | {
        "degrees": math.degrees(float(torch.cat(angles).median())),
        "right": 100 * float(torch.cat(right).float().mean()),
    }
