# SPDX-License-Identifier: Apache-2.0
"""One run of learning: what changes at every step, and is kept so that it can go on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import distributed, nn

from ..model.normed_stem import fold_norms
from .losses import losses, total
from .network import Refiner

STATE, TRAINED = "state.pt", "refiner.safetensors"
AVERAGED = 0.998  # of the running average of the weights, a step
DECAY = 0.02


def _share_gradients(parameters: list[nn.Parameter], processes: int) -> None:
    """Every process gets the mean of all gradients."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_((mean / processes).view_as(gradient))


def _average(kept: Refiner, model: Refiner, share: float) -> None:
    with torch.no_grad():
        for mine, theirs in zip(
            kept.state_dict().values(), model.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - share)
            else:
                mine.copy_(theirs)


def deployed(model: Refiner) -> Refiner:
    """A copy with its norms folded away."""
    copied = copy.deepcopy(model).eval()
    fold_norms(copied.stem)
    return copied


class Run:
    """What changes while a refiner learns, and is kept in STATE: its weights, their running
    average, the optimizer's state, and the number of steps done."""

    def __init__(self, model: Refiner) -> None:
        self.model, self.average, self.step = model, copy.deepcopy(model), 0
        self._learnt = [p for p in model.parameters() if p.requires_grad]
        filters = [p for p in self._learnt if p.ndim > 1]
        others = [p for p in self._learnt if p.ndim < 2]  # biases and norms are not made small
        self._optimizer = torch.optim.AdamW(
            [{"params": filters, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
        )

    def resume(self, folder: Path) -> None:
        """Goes on from the state in a folder, if there is one."""
        if not (folder / STATE).is_file():
            return
        state = torch.load(folder / STATE, weights_only=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["kept"])
        self._optimizer.load_state_dict(state["optimizer"])

    def learn(
        self, batch: Sequence[torch.Tensor], rate: float, processes: int
    ) -> dict[str, torch.Tensor]:
        """One step on a batch of `Stream`; its losses."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        pixels, *targets = batch
        parts = losses(self.model(pixels), *targets)
        self._optimizer.zero_grad()
        total(parts).backward()
        if processes > 1:
            _share_gradients(self._learnt, processes)
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self._optimizer.step()
        # early on it is over about a ninth of the steps so far, so that the start is forgotten
        _average(self.average, self.model, min(AVERAGED, (self.step + 1) / (self.step + 10)))
        self.step += 1
        return {name: value.detach() for name, value in parts.items()}

    def keep(self, folder: Path) -> None:
        """Writes the state, and the weights that are of use so far."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "kept": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        torch.save(state, folder / "state.new")
        (folder / "state.new").replace(folder / STATE)  # so that a kill leaves a whole one
        named = deployed(self.average).state_dict()
        tensors = {name: tensor.half().contiguous() for name, tensor in named.items()}
        save_file(tensors, folder / TRAINED)
