# SPDX-License-Identifier: Apache-2.0
"""What a training step computes: the model with its training-only read-outs, and their losses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from ..data.packing import Batch
from ..data.prompts import ANGLE, PackingOptions
from ..model.sharding import whole
from ..supervision.attention_hint import AttentionHint
from ..supervision.dense_head import (
    DenseAnswers,
    DenseHead,
    dense_answer_targets,
    dense_loss,
    dense_targets,
)
from ..supervision.losses import answer_loss

WEIGHTS = {
    "text": 1.0,
    "box": 1.0,
    "angle": 1.0,
    "dense_object": 1.0,
    "dense_box": 0.5,
    "dense_angle": 6.0,
    "dense_said_box": 0.3,
    "dense_said_angle": 1.0,
    "hint": 0.3,
}
TOWER_LOSSES = ("dense_object", "dense_box", "dense_angle")


@dataclass(frozen=True)
class LossOptions:
    """How answers are taught (`loss_options` of a recipe).

    `sigmas`: widths of the soft targets, coordinates in thousandths of the picture, angles in
    degrees; 0 is plain cross-entropy. With `image`, patches and image tokens too must say whose
    head they show, and attention is told where to look; without, only answers count, as in the
    paper. Without `poses` patches are asked for heads and boxes only. Without `tower` the vision
    tower stays as it is, and only the decoder learns to read it.
    """

    sigmas: tuple[float, float] = (6.0, 4.0)
    image: bool = True
    poses: bool = True
    tower: bool = True

    def counts(self, name: str) -> bool:
        """Whether a loss is taught at all."""
        if not self.tower and name in TOWER_LOSSES:
            return False
        return self.poses or name not in ("dense_angle", "dense_said_angle")


class Learner(nn.Module):
    """A call gives a packed batch's losses by name, and "angle_error", the mean error in degrees
    of the most likely angle tokens, which is only reported.

    A batch without questions, which costs half, teaches the vision tower alone; where that stays as
    it is, the decoder's image tokens. Patches are taught the heads that `packing` has answers
    about: not the smallest, not the hidden.
    """

    def __init__(
        self,
        model: nn.Module,
        first_number: int | None,
        loss_options: LossOptions,
        packing: PackingOptions,
    ) -> None:
        super().__init__()
        self.model = model
        self.dense = DenseHead(model.config.vision_config.hidden_size)
        layers = model.model.layers
        # what text can read first, and last: what the last layer makes of the image, nobody
        read = (layers[0], layers[-1]) if loss_options.image else ()
        self.dense_answers = nn.ModuleList(DenseAnswers(model.config.hidden_size) for _ in read)
        self.first_number, self.loss_options = first_number, loss_options
        self._least = packing.min_visible, packing.min_size
        self._hint = AttentionHint(model)
        self._features = torch.empty(0)
        self._image_tokens: dict[int, torch.Tensor] = {}
        model.model.vision.transformer.register_forward_hook(self._keep_features)
        for place, layer in enumerate(read):
            layer.register_forward_pre_hook(partial(self._keep_image_tokens, place))

    def read_outs(self) -> dict[str, torch.Tensor]:
        """The weights of what only training reads, by name."""
        parts = {"dense": self.dense, "dense_answers": self.dense_answers}
        return {
            f"{part}.{name}": whole(tensor).contiguous()
            for part, module in parts.items()
            for name, tensor in module.state_dict().items()
        }

    def load_read_outs(self, state: dict[str, torch.Tensor]) -> None:
        """Take over the read-outs of the run before; ValueError where they are of another size."""
        own = self.read_outs()
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError("read_outs.safetensors beside the base model is of another model")
        self.load_state_dict(state, strict=False)

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """What the Trainer asks for under `activation_checkpointing`."""
        self.model.activation_checkpointing_enable(**options)

    def _keep_features(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._features = output[:, 1:]  # the class token is first

    def _keep_image_tokens(self, place: int, module: nn.Module, inputs: Any) -> None:
        self._image_tokens[place] = inputs[0]

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The losses of a batch by name. Where nothing is asked, only the parts run that are
        supervised without a question."""
        pixels = batch.pixel_values.contiguous(memory_format=torch.channels_last)
        asked = bool((batch.targets >= 0).any())
        if not asked and self.loss_options.tower:
            tower = self.model.model.vision
            tower.transformer(tower.patch_embedding(pixels))
            return self._tower_losses(batch)
        inputs = batch.inputs() | {"pixel_values": pixels}
        hidden = self.model.model(**inputs, use_cache=False).last_hidden_state
        if not asked:
            return self._image_token_losses(batch)
        losses = self._answer_losses(hidden, batch)
        return losses | self._image_losses(batch) if self.loss_options.image else losses

    def _answer_losses(self, hidden: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        learnt = batch.targets >= 0
        kinds, values = batch.kinds[learnt], batch.values[learnt]
        logits = self.model.lm_head(hidden[learnt])
        widths = batch.widths[learnt]
        losses = self._token_losses(logits, batch.targets[learnt], kinds, values, widths=widths)
        return losses | {"angle_error": self._angle_error(logits.detach(), kinds, values)}

    def _image_losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """What patches and image tokens say by themselves, and where attention looks."""
        hint = self._hint.loss(batch, self._grid())
        return self._tower_losses(batch) | self._image_token_losses(batch) | {"hint": hint}

    def _image_token_losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        shares, kinds, values = dense_answer_targets(
            batch.heads, self._grid(), batch.size, *self._least
        )
        device, end = self._features.device, 2 + shares.shape[1]  # after BOS and begin-of-image
        owned = (shares > 0).to(device)
        parts = shares[shares > 0][:, None].expand_as(kinds)  # each number counts as its token does
        kinds, values, weights = (t.flatten().to(device) for t in (kinds, values, parts))
        by_place = []
        for place, answers in enumerate(self.dense_answers):
            tokens = self.model.model.norm(self._image_tokens[place][:, 2:end][owned])
            logits = self.model.lm_head(answers(tokens)).flatten(0, 1)
            by_place.append(self._token_losses(logits, kinds, kinds, values, weights))
        names = "box", "angle"
        box, angle = (torch.stack([each[name] for each in by_place]).mean() for name in names)
        losses = {"dense_said_box": box, "dense_said_angle": angle}
        return {name: loss for name, loss in losses.items() if self.loss_options.counts(name)}

    def _grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens."""
        vision = self.model.config.vision_config
        return (vision.grid_size // vision.merge_size,) * 2

    def _tower_losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        grid = (self.model.config.vision_config.grid_size,) * 2
        truth = dense_targets(batch.heads, grid, batch.size, *self._least)
        device = self._features.device
        targets = [part.to(device) for part in truth]
        losses = dense_loss(self.dense(self._features), *targets, batch.complete)
        return {name: loss for name, loss in losses.items() if self.loss_options.counts(name)}

    def _token_losses(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        kinds: torch.Tensor,
        values: torch.Tensor,
        weights: torch.Tensor | None = None,
        widths: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        first, sigmas = self.first_number or 0, self.loss_options.sigmas
        return answer_loss(logits, targets, kinds, values, first, sigmas, weights, widths)

    def _angle_error(
        self, logits: torch.Tensor, kinds: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        angle = kinds == ANGLE
        if self.first_number is None or not angle.any():
            return torch.full((), float("nan"), device=logits.device)
        numbers = logits[angle][:, self.first_number : self.first_number + 360]
        error = (numbers.argmax(-1) - values[angle]).abs() % 360
        return torch.minimum(error, 360 - error).mean()


def total_loss(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    """The weighted sum that is minimised, a scalar."""
    return torch.stack([WEIGHTS[name] * losses[name] for name in losses if name in WEIGHTS]).sum()
