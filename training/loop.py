# SPDX-License-Identifier: Apache-2.0
"""What every training stage shares: optimiser, schedule, one step's losses, checkpoints, log."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .data.packing import ANGLE, Batch
from .dense_head import DenseHead, dense_loss, dense_targets
from .losses import answer_loss


def learning_rate_factor(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """Linear warm-up, constant, then half a cosine to zero over the last `cooldown` share of the steps.

    The constant middle lets a run be extended without retraining what came before.
    """
    start = steps * (1 - cooldown)
    if step < warmup:
        return (step + 1) / warmup
    if step < start:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - start) / max(steps - start, 1))))


def build_optimizer(
    modules: Iterable[nn.Module], rate: float, slow: set[int], slow_factor: float, decay: float
) -> torch.optim.AdamW:
    """AdamW; parameters whose id is in `slow` (a pretrained part) learn `slow_factor` times slower.

    Matrices decay, vectors (biases, norms) do not.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for module in modules:
        for parameter in module.parameters():
            if parameter.requires_grad:
                key = (id(parameter) in slow, parameter.ndim > 1)
                groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": rate * (slow_factor if is_slow else 1.0),
                "base_lr": rate * (slow_factor if is_slow else 1.0),
                "weight_decay": decay if is_matrix else 0.0,
            }
            for (is_slow, is_matrix), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
    )


class Learner(nn.Module):
    """The model with its training-only dense head; `losses` runs one packed batch."""

    def __init__(self, model: nn.Module, first_number: int, sigmas: tuple[float, float]) -> None:
        super().__init__()
        self.model = model
        self.dense = DenseHead(model.config.vision_config.hidden_size)
        self.first_number, self.sigmas = first_number, sigmas
        self._features: torch.Tensor | None = None
        model.model.vision.transformer.register_forward_hook(self._keep_features)

    def _keep_features(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._features = output

    def losses(self, batch: Batch, min_visible: float, min_size: float) -> dict[str, torch.Tensor]:
        """Losses by name plus, detached, "angle_error": the argmax angle tokens' mean error, degrees."""
        logits, targets, kinds, values = self._supervised(batch)
        losses = answer_loss(logits, targets, kinds, values, self.first_number, self.sigmas)
        size = tuple(batch.pixel_values.shape[-2:])
        grid = (self.model.config.vision_config.grid_size,) * 2
        truth = dense_targets(batch.heads, grid, size, min_visible, min_size)
        assert self._features is not None
        patches = self._features[:, -grid[0] * grid[1] :]  # after the class token
        losses |= dense_loss(self.dense(patches), *truth)
        losses["angle_error"] = self._angle_error(logits.detach(), kinds, values)
        return losses

    def _supervised(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """Logits (N, vocabulary), targets, kinds and values (N,) of the answer tokens only."""
        hidden = self.model.model(
            input_ids=batch.input_ids,
            pixel_values=batch.pixel_values.contiguous(memory_format=torch.channels_last),
            token_type_ids=batch.token_type_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask(),
            use_cache=False,
        ).last_hidden_state
        learnt = batch.targets >= 0
        logits = self.model.lm_head(hidden[learnt])
        return logits, batch.targets[learnt], batch.kinds[learnt], batch.values[learnt]

    def _angle_error(
        self, logits: torch.Tensor, kinds: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        angle = kinds == ANGLE
        if not angle.any():
            return torch.tensor(float("nan"))
        numbers = logits[angle][:, self.first_number : self.first_number + 360]
        error = (numbers.argmax(-1) - values[angle]).abs() % 360
        return torch.minimum(error, 360 - error).mean()


def save_checkpoint(path: Path, **state: Any) -> None:
    """Write all of `state` or nothing: a kill in the middle leaves the previous file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


class RunLog:
    """One JSON object a line in `path`, with the seconds since the run (or its resumption) began."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a")
        self._start = time.monotonic()

    def write(self, **record: Any) -> None:
        record["seconds"] = round(time.monotonic() - self._start, 1)
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in record.items()}
        self._file.write(json.dumps(rounded) + "\n")
        self._file.flush()
