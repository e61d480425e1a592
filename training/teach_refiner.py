# SPDX-License-Identifier: Apache-2.0
"""Teach the refiner, which looks at each head more closely, on squares of labelled pictures.

    python -m training.refiner.candidates runs/photos runs/candidates.jsonl
    python -m training.refiner.crops '[runs/photos,runs/scenes]' \
        runs/crops --candidates '[runs/candidates.jsonl]'
    python -m training.teach_refiner runs/crops runs/refiner --validation runs/crops_validation

On two cores two processes with a thread each are fastest, also beside other work:
`torchrun --nproc_per_node 2 -m training.teach_refiner ... --threads 1`; they divide every batch.

The run can be stopped and goes on from its last state. OUT/refiner.safetensors holds the weights
(their running average); `training.release.refiner` puts them into a model folder. A refiner that
the model folder already has is where learning begins; what it finds hard is then drawn more often.
"""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jsonargparse import auto_cli
from safetensors.torch import save_file
from torch import distributed, nn
from torch.utils.data import DataLoader

from .model.normed_stem import add_norms, fold_norms, initialise_norms
from .refiner.batches import Stream, collate, view
from .refiner.crops import Crops
from .refiner.losses import losses, total
from .refiner.network import MEAN, STD, Refiner, from_embedded, read_weights, trained_in
from .supervision.dense_head import rotation_from_6d, turn_between

STATE, ERRORS, TRAINED = "state.pt", "errors.npy", "refiner.safetensors"
AVERAGED = 0.998  # of the running average of the weights, a step
DECAY = 0.02
WARM_UP = 100  # steps
FROZEN = 3  # blocks of the stem, half of the time, which know edges and colours already
PHOTOS = 0.7  # share of the heads drawn that are photographed
HEADS = 0.55  # share of the squares drawn that show a head
FACING = 0.4, 0.3, 0.3  # shares of the heads drawn, see `facing`
# How often a square is drawn, for those of its group: EASY and its cross-entropy of presence, at
# most HARDEST, as the largest ones come from wrong labels.
EASY, HARDEST = 0.15, 2.0


def facing(crops: Crops) -> np.ndarray:
    """(N,) 0 for heads that look at the camera, 1 for profiles and heads of unknown rotation, 2 for
    backs of heads: their forward axis is within 60, 60 to 120 or beyond 120 degrees of the ray."""
    away = np.nan_to_num(crops.rotations[:, 2, 2])
    return np.asarray(np.digitize(away, (-0.5, 0.5)))


def chances(crops: Crops, errors: np.ndarray | None = None) -> np.ndarray:
    """(N,) how often each square is drawn: heads of photographs and of renders, and what is none,
    in fixed shares; faces, profiles and backs among heads alike in fixed shares, as photographers
    take few backs; within them those with large `errors` (N,), cross-entropies, more often."""
    each = np.ones(len(crops.heads)) if errors is None else EASY + np.minimum(errors, HARDEST)
    sectors = facing(crops)
    groups = {
        (True, True): HEADS * PHOTOS, (True, False): HEADS * (1 - PHOTOS),
        (False, True): 0.9 * (1 - HEADS), (False, False): 0.1 * (1 - HEADS),
    }  # fmt: skip
    weights = np.zeros(len(crops.heads))
    for (head, photo), share in groups.items():
        rows = (crops.heads == head) & (crops.photos == photo)
        if not rows.any():
            continue
        drawn = each.copy()
        for sector, part in enumerate(FACING if head else ()):
            inside = rows & (sectors == sector)
            drawn[inside] *= part / max(each[inside].sum(), 1e-9)
        weights[rows] = share * drawn[rows] / drawn[rows].sum()
    return weights


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


def _rate(step: int, steps: int) -> float:
    return min((step + 1) / WARM_UP, 1.0) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def _join() -> tuple[int, int]:
    """Which process this is, and of how many, under torchrun."""
    if not distributed.is_torchelastic_launched():
        return 0, 1
    distributed.init_process_group("gloo")
    return distributed.get_rank(), distributed.get_world_size()


def _errors_once(model: Refiner, crops: Crops, file: Path, rank: int, processes: int) -> np.ndarray:
    """`errors_of` all squares, divided among the processes, and kept in a file."""
    if file.is_file():
        return np.asarray(np.load(file))
    errors = torch.from_numpy(errors_of(model, crops, rank, processes))
    if processes > 1:
        distributed.all_reduce(errors)
    if rank == 0:  # a run killed while it writes leaves no half of a file
        unfinished = file.with_name(f"new_{file.name}")
        np.save(unfinished, errors.numpy())
        unfinished.replace(file)
    return errors.numpy()


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


def _beginning(
    base: Path, squares: Crops, out: Path, rank: int, processes: int
) -> tuple[Refiner, np.ndarray]:
    """The refiner to start from, of a model folder, and how often each square is drawn for it."""
    trained = trained_in(base)
    if trained is None:
        return from_embedded(base), chances(squares)
    model = read_weights(trained)
    return model, chances(squares, _errors_once(model, squares, out / ERRORS, rank, processes))


def _add_norms(model: Refiner, squares: torch.Tensor) -> None:
    """Batch norms into the stem, with the statistics of some squares: outputs stay as they are."""
    add_norms(model.stem, FROZEN)
    model.to(memory_format=torch.channels_last)
    initialise_norms(model.stem, (squares.float() - MEAN) / STD)


def _tell(title: str, numbers: Mapping[str, float]) -> None:
    print(title, " ".join(f"{name} {value:.4f}" for name, value in numbers.items()), flush=True)


def main(
    crops: Path,
    out: Path,
    validation: Path | None = None,
    base: Path = Path("models/embedded"),
    steps: int = 6000,
    size: int = 96,
    rate: float = 1e-3,
    every: int = 250,
    threads: int | None = None,
    loaders: int = 1,
    seed: int = 0,
) -> None:
    """Teach a refiner.

    Args:
        crops: folder of squares (`training.refiner.crops`).
        out: folder for weights and the state of the run.
        validation: folder of squares that are not learnt from.
        base: model folder whose refiner is the beginning, or its stem where it has none.
        steps: batches to learn from.
        size: squares a batch.
        rate: the highest learning rate.
        every: steps between two looks at the validation set, and two states.
        threads: of the arithmetic.
        loaders: processes that prepare squares.
        seed: of the order and of what is done to squares.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    torch.manual_seed(seed)
    rank, processes = _join()
    squares = Crops.read(crops)
    unseen = None if validation is None else Crops.read(validation)
    out.mkdir(parents=True, exist_ok=True)
    model, weights = _beginning(base, squares, out, rank, processes)
    _add_norms(model, next(iter(Stream(squares, weights, size, seed)))[0])
    run = Run(model)
    run.resume(out)
    stream = Stream(squares, weights, size // processes, seed + processes * run.step + rank)
    batches = iter(DataLoader(stream, batch_size=None, num_workers=loaders))
    means: dict[str, float] = defaultdict(float)
    start = time.monotonic()
    while run.step < steps:
        parts = run.learn(next(batches), rate * _rate(run.step, steps), processes)
        for name, value in parts.items():
            means[name] += float(value) / every
        if rank == 0 and (run.step % every == 0 or run.step == steps):
            _tell(f"{run.step} {time.monotonic() - start:.0f}s learning:", means)
            means.clear()
            if unseen is not None:
                _tell("  validation:", validate(run.average, unseen))
            run.keep(out)
    if processes > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
