# SPDX-License-Identifier: Apache-2.0
"""Masked answer loss: cross-entropy on text, soft targets on whole-number tokens.

A number token's target is a bump around the true value, linear for coordinates and circular for
angles, so that 071 for 072 costs little. A bump of width 0 is the nearest number alone: plain
cross-entropy over 1000 unrelated classes. docs/log.md compares them.
"""

from __future__ import annotations

import torch

from ..data.prompts import ANGLE, COORDINATE, NO_NUMBER

DEGREES = 360
HARD = 1e-3  # narrower bumps hold one number only


def soft_targets(
    kinds: torch.Tensor,
    values: torch.Tensor,
    sigmas: tuple[float, float],
    widths: torch.Tensor | None = None,
) -> torch.Tensor:
    """Distributions over the numbers 0..999, (N, 1000), for N number tokens.

    kinds (N,) COORDINATE or ANGLE, values (N,) real;
    sigmas = (coordinate in grid units, angle in degrees); 0 is the nearest number and no other.
    widths (N,): the least width of each target, where the truth itself was estimated.
    """
    grid = torch.arange(1000, dtype=torch.float32, device=values.device)
    distance = (grid[None] - values[:, None]).abs()
    turn = torch.minimum(distance, DEGREES - distance)
    angle = (kinds == ANGLE)[:, None]
    # an angle's number is one of 0..359
    far = torch.where(angle, turn, distance).masked_fill(angle & (grid[None] >= DEGREES), torch.inf)
    width = torch.where(angle, sigmas[1], sigmas[0])
    if widths is not None:
        width = torch.maximum(width, widths[:, None])
    soft = torch.softmax(-0.5 * (far / width.clamp(min=HARD)) ** 2, dim=-1)
    hard = torch.nn.functional.one_hot(far.argmin(-1), far.shape[-1]).to(soft)
    return torch.where(width < HARD, hard, soft)


def answer_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    kinds: torch.Tensor,
    values: torch.Tensor,
    first_number: int,
    sigmas: tuple[float, float],
    weights: torch.Tensor | None = None,
    widths: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Mean losses over N supervised tokens: {"text", "box", "angle"}, each 0 when none is present;
    numbers count by `weights` (N,), else all alike; `widths` (N,) as in `soft_targets`.

    logits (N, vocabulary), targets, kinds, values (N,). The number losses are Kullback-Leibler
    divergences (cross-entropy less the target's own entropy), so 0 is perfect.
    """
    log_probability = logits.float().log_softmax(-1)
    losses = {}
    text = kinds == NO_NUMBER
    picked = log_probability[text].gather(1, targets[text][:, None])
    # zeros are computed from the logits, so that every weight gets a gradient in every step
    losses["text"] = -picked.mean() if text.any() else logits.sum() * 0
    for name, kind in (("box", COORDINATE), ("angle", ANGLE)):
        chosen = kinds == kind
        if not chosen.any():
            losses[name] = logits.sum() * 0
            continue
        least = None if widths is None else widths[chosen]
        target = soft_targets(kinds[chosen], values[chosen], sigmas, least)
        numbers = log_probability[chosen][:, first_number : first_number + 1000]
        entropy = torch.special.entr(target).sum(-1)
        each = -(target * numbers).sum(-1) - entropy
        part = torch.ones_like(each) if weights is None else weights[chosen]
        losses[name] = (each * part).sum() / part.sum()
    return losses
