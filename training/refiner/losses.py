# SPDX-License-Identifier: Apache-2.0
"""What the refiner's outputs are worth beside the truth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..supervision.dense_head import rotation_from_6d, turn_between

BOX, TURN, SURE = 4.0, 3.0, 0.6  # weights beside presence
LEAST_DEVIATION = 0.03  # radians: labels are no better
NEARLY_HALF = 3.0  # radians: beyond, the axis of a turn is hardly known


def losses(
    outputs: Tensor, heads: Tensor, boxes: Tensor, rotations: Tensor, spreads: Tensor
) -> dict[str, Tensor]:
    """{"presence", "box", "turn", "sure"}: cross-entropy; L1 of the boxes of heads; the angle of
    the turn between said and true rotation as a share of half a turn, less where the label itself
    is in doubt; and the Laplace negative log likelihood of that turn's parts about the optical axes
    under the stated deviations. The last teaches the deviations, and rotations where they are sure:
    the turn alone hardly teaches pitch, which is small beside what is left of yaw and roll.

    Arguments are as `batches.collate` gives them.
    """
    there = heads > 0.5
    result = {"presence": F.binary_cross_entropy_with_logits(outputs[:, 0], heads)}
    misses = (outputs[there, 1:5] - boxes[there]).abs().mean(1)
    result["box"] = misses.sum() / max(len(misses), 1)
    known = there & ~rotations.isnan().flatten(1).any(1)
    predicted, true = rotation_from_6d(outputs[known, 5:11]), rotations[known]
    doubt = spreads[known]
    angles = turn_between(predicted, true)
    weights = 1 / (1 + (doubt.mean(1) / 0.1) ** 2)
    result["turn"] = (angles * weights).sum() / weights.sum().clamp(min=1e-6) / torch.pi
    parts = turn_parts(predicted, true).abs()
    stated = (torch.exp(2 * outputs[known, 11:14]) + LEAST_DEVIATION**2 + doubt**2).sqrt()
    # of a Laplace distribution with this standard deviation, but for a constant
    surprise = (2**0.5 * parts / stated + stated.log()).mean(1)
    result["sure"] = surprise.sum() / max(len(surprise), 1)
    return result


def turn_parts(first: Tensor, second: Tensor) -> Tensor:
    """(N, 3) rotation vectors, radians, of the turns from rotations (N, 3, 3) to others."""
    turn = second @ first.transpose(1, 2)
    rows, columns = [2, 0, 1], [1, 2, 0]
    axis = turn[:, rows, columns] - turn[:, columns, rows]
    angle = turn_between(first, second).clamp(max=NEARLY_HALF)
    return axis * (angle / (2 * torch.sin(angle)).clamp(min=1e-6))[:, None]


def total(parts: dict[str, Tensor]) -> Tensor:
    """The weighed sum of `losses` that is minimised, a scalar."""
    return parts["presence"] + BOX * parts["box"] + TURN * parts["turn"] + SURE * parts["sure"]
