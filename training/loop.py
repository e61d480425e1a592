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
import torch.distributed as dist
from torch import nn

from .attention_hint import AttentionHint
from .data.packing import ANGLE, Batch
from .dense_head import (
    DenseAnswers,
    DenseHead,
    dense_answer_targets,
    dense_loss,
    dense_targets,
)
from .losses import answer_loss


def learning_rate_factor(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """Linear warm-up, constant, then half a cosine to zero over the last `cooldown` share of the
    steps.

    The constant middle lets a run be extended without retraining what came before.
    """
    start = steps * (1 - cooldown)
    if step < warmup:
        return (step + 1) / warmup
    if step < start:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - start) / max(steps - start, 1))))


def build_optimizer(
    modules: Iterable[nn.Module], slow: set[int], slow_factor: float, decay: float
) -> torch.optim.AdamW:
    """AdamW; parameters whose id is in `slow` (a pretrained part) learn `slow_factor` times slower.

    Matrices decay, vectors (biases, norms) do not. Every step sets the rates with `set_rate`.
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
                "scale": slow_factor if is_slow else 1.0,
                "weight_decay": decay if is_matrix else 0.0,
            }
            for (is_slow, is_matrix), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
        fused=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of this step, scaled for slow parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def join_processes() -> tuple[int, int]:
    """This process's (rank, world) under torchrun, (0, 1) without it."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    return dist.get_rank(), dist.get_world_size()


def average_gradients(parameters: Iterable[nn.Parameter], world: int) -> None:
    """Replace every gradient by its mean over all processes, in one message."""
    if world == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    means = (flat / world).split([gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view(gradient.shape))


class Learner(nn.Module):
    """The model with its training-only dense heads; `losses` runs one packed batch."""

    def __init__(self, model: nn.Module, first_number: int, sigmas: tuple[float, float]) -> None:
        super().__init__()
        self.model = model
        self.dense = DenseHead(model.config.vision_config.hidden_size)
        self.dense_answers = DenseAnswers(model.config.hidden_size)
        self.first_number, self.sigmas = first_number, sigmas
        self._hint = AttentionHint(model)
        self._features, self._fresh = torch.empty(0), False
        model.model.vision.transformer.register_forward_hook(self._keep_features)

    def _keep_features(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._features, self._fresh = output, True

    def losses(self, batch: Batch, min_visible: float, min_size: float) -> dict[str, torch.Tensor]:
        """Losses by name plus, detached, "angle_error": the argmax angle tokens' mean error,
        degrees."""
        hidden = self.model.model(
            input_ids=batch.input_ids,
            pixel_values=batch.pixel_values.contiguous(memory_format=torch.channels_last),
            token_type_ids=batch.token_type_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask(),
            use_cache=False,
        ).last_hidden_state
        learnt = batch.targets >= 0
        kinds, values = batch.kinds[learnt], batch.values[learnt]
        logits = self.model.lm_head(hidden[learnt])
        losses = answer_loss(
            logits, batch.targets[learnt], kinds, values, self.first_number, self.sigmas
        )
        losses |= self._dense_losses(hidden, batch, min_visible, min_size)
        losses["angle_error"] = self._angle_error(logits.detach(), kinds, values)
        return losses

    def tower_losses(
        self, batch: Batch, min_visible: float, min_size: float
    ) -> dict[str, torch.Tensor]:
        """The losses of the vision tower alone, without the cost of the decoder."""
        vision = self.model.config.vision_config
        size = tuple(batch.pixel_values.shape[-2:])
        truth = dense_targets(batch.heads, (vision.grid_size,) * 2, size, min_visible, min_size)
        if not self._fresh:
            tower = self.model.model.vision
            pixels = batch.pixel_values.contiguous(memory_format=torch.channels_last)
            tower.transformer(tower.patch_embedding(pixels))
        self._fresh = False
        return dense_loss(self.dense(self._features[:, 1:]), *truth)  # the class token is first

    def _dense_losses(
        self, hidden: torch.Tensor, batch: Batch, min_visible: float, min_size: float
    ) -> dict[str, torch.Tensor]:
        vision = self.model.config.vision_config
        size = tuple(batch.pixel_values.shape[-2:])
        losses = self.tower_losses(batch, min_visible, min_size)
        merged = (vision.grid_size // vision.merge_size,) * 2
        owned, kinds, values = dense_answer_targets(
            batch.heads, merged, size, min_visible, min_size
        )
        patches = hidden[:, 2 : 2 + owned.shape[1]]  # after BOS and begin-of-image
        logits = self.model.lm_head(self.dense_answers(patches[owned])).flatten(0, 1)
        kinds, values = kinds.flatten(), values.flatten()
        said = answer_loss(logits, kinds, kinds, values, self.first_number, self.sigmas)
        losses |= {"dense_said_box": said["box"], "dense_said_angle": said["angle"]}
        return losses | {"hint": self._hint.loss(batch, merged)}

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
    """One JSON object a line in `path`, with the seconds since the run (or its resumption)
    began."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a")
        self._start = time.monotonic()

    def write(self, **record: Any) -> None:
        record["seconds"] = round(time.monotonic() - self._start, 1)
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in record.items()}
        self._file.write(json.dumps(rounded) + "\n")
        self._file.flush()
