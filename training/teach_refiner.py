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

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from torch import distributed
from torch.utils.data import DataLoader

from .model.normed_stem import add_norms, initialise_norms
from .refiner.batches import Stream
from .refiner.crops import Crops
from .refiner.network import MEAN, STD, Refiner, from_embedded, read_weights, trained_in
from .refiner.run import Run
from .refiner.shares import chances
from .refiner.validation import errors_of, validate

ERRORS = "errors.npy"
WARM_UP = 100  # steps
FROZEN = 3  # blocks of the stem, half of the time, which know edges and colours already


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
