# SPDX-License-Identifier: Apache-2.0
"""The loop that all baselines learn in: a budget, checkpoints, a log and its picture."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

Losses = Callable[[int], torch.Tensor]
CHECKPOINT, LOG, CURVE = "checkpoint.pt", "log.jsonl", "curve.png"


@dataclass
class Budget:
    """How long to learn: whichever ends first.

    Args:
        samples: so many heads seen.
        seconds: so much time, over all runs that were resumed.
    """

    samples: int = 200_000
    seconds: float | None = None

    def share(self, samples: int, seconds: float) -> float:
        """How much is used, 0..1."""
        used = samples / self.samples
        return min(1.0, used if self.seconds is None else max(used, seconds / self.seconds))


@dataclass
class LoopOptions:
    """How to learn.

    Args:
        batch: heads a step.
        rate: AdamW's peak rate; it rises over the first hundredth of the budget and falls to zero
            along a cosine.
        weight_decay: of matrices.
        every: steps between checkpoints, lines of the log and validations.
        seed: of weights and order.
    """

    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.03
    every: int = 100
    seed: int = 1


@dataclass
class UsedBudget:
    """What a run used up so far."""

    samples: int = 0
    seconds: float = 0.0


def fit(
    model: nn.Module,
    losses: Losses,
    validate: Callable[[], float],
    out: Path,
    budget: Budget,
    loop_options: LoopOptions,
) -> UsedBudget:
    """Minimise losses(step) over the model's parameters until the budget is used.

    Goes on from OUT's checkpoint, if there is one. `validate` gives degrees on validation heads.
    Writes OUT/checkpoint.pt, log.jsonl and curve.png; raises FloatingPointError where a loss is
    no number.
    """
    out.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(model, loop_options)
    step, used = _resumed(out / CHECKPOINT, model, optimizer)
    started, recent = time.monotonic() - used.seconds, []
    with tqdm(total=budget.samples, initial=used.samples, unit="head", desc=out.name) as bar:
        while (share := budget.share(used.samples, used.seconds)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = loop_options.rate * _factor(share)
            loss = losses(step)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"step {step}: loss is {loss.item()}; lower the rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            recent.append(loss.item())
            step, used.samples = step + 1, used.samples + loop_options.batch
            used.seconds = time.monotonic() - started
            bar.update(loop_options.batch)
            if step % loop_options.every == 0 or budget.share(used.samples, used.seconds) >= 1:
                degrees = _validated(model, validate)
                _append_log(out, step, used, sum(recent) / len(recent), degrees)
                recent.clear()
                bar.set_postfix(degrees=f"{degrees:.1f}")
                _save_checkpoint(out / CHECKPOINT, model, optimizer, step, used)
    draw(out)
    return used


def _factor(share: float) -> float:
    warmup = min(1.0, share / 0.01 + 0.02)
    return warmup * 0.5 * (1 + float(torch.cos(torch.tensor(share * torch.pi))))


def _optimizer(model: nn.Module, loop_options: LoopOptions) -> torch.optim.Optimizer:
    learnt = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in learnt if p.ndim > 1], [p for p in learnt if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": loop_options.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=loop_options.rate)


def _validated(model: nn.Module, validate: Callable[[], float]) -> float:
    was = model.training
    model.eval()
    with torch.no_grad():
        degrees = validate()
    model.train(was)
    return degrees


def _save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, used: UsedBudget
) -> None:
    """Atomic: a kill leaves the checkpoint before."""
    partial = path.with_suffix(".partial")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state | {"used": [used.samples, used.seconds]}, partial)
    os.replace(partial, path)


def _resumed(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, UsedBudget]:
    if not path.exists():
        return 0, UsedBudget()
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    samples, seconds = state["used"]
    return state["step"], UsedBudget(int(samples), float(seconds))


def _append_log(out: Path, step: int, used: UsedBudget, loss: float, degrees: float) -> None:
    line = {"step": step, "samples": used.samples, "seconds": round(used.seconds, 1)}
    line |= {"loss": round(loss, 5), "degrees": round(degrees, 3)}
    with (out / LOG).open("a") as file:
        file.write(json.dumps(line) + "\n")


def curve(out: Path) -> list[dict[str, float]]:
    """The log's lines; of steps that a resumed run repeated, the last."""
    lines = [json.loads(line) for line in (out / LOG).read_text().splitlines()]
    return list({line["step"]: line for line in lines}.values())


def draw(out: Path) -> None:
    """OUT/curve.png: loss and validation error over the heads seen."""
    from matplotlib.figure import Figure

    lines = curve(out)
    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.add_subplot()
    samples = [line["samples"] / 1000 for line in lines]
    left.plot(samples, [line["loss"] for line in lines], color="tab:blue", lw=1, label="loss")
    right = left.twinx()
    right.plot(samples, [line["degrees"] for line in lines], color="tab:red", label="validation")
    left.set_xlabel("thousand heads seen")
    left.set_ylabel("training loss", color="tab:blue")
    right.set_ylabel("error on validation heads, degrees", color="tab:red")
    right.set_ylim(bottom=0)
    left.set_title(out.name)
    figure.savefig(out / CURVE, dpi=110)
