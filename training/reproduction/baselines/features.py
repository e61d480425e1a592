# SPDX-License-Identifier: Apache-2.0
"""Regressors on frozen features, as the paper's frozen baselines: an MLP of two layers, C-512-3.

Features of every head are computed once and kept; the MLP then learns in minutes. Its loss is
WHENet's for wrapped angles (Zhou and Gregson, arXiv 2005.10353), on yaw, pitch and roll.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from hpe_vlm_ros.answers import Angles
from hpe_vlm_ros.geometry import angles_from_rotation, rotation_from_angles

from ...data.labels import read_labels
from ...data.sample import Head, Sample
from ...loop.stage import read
from ...testsets import PANOPTIC
from .heads import median_degrees, score_and_keep
from .loop import Budget, LoopOptions, UsedBudget, fit

Extract = Callable[[Sample], torch.Tensor]  # features (N, C) of a scene's N heads
HIDDEN = 512
MIN_VISIBLE = 0.2
KEPT = "features.npz"
VALIDATION_SCENES = 25
BUDGET, LOOP_OPTIONS = Budget(samples=400_000), LoopOptions(batch=256, every=200)


class Regressor(nn.Module):
    """Features (N, C) to yaw, pitch, roll (N, 3) in degrees."""

    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        mean, spread = features.mean(0), features.std(0) + 1e-6
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.layers = nn.Sequential(nn.Linear(len(mean), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 3))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, C) to degrees (N, 3), which are learnt in quarter turns."""
        return self.layers((features - self.mean) / self.spread) * 90


def wrapped_loss(predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean over heads and angles of min(d, 360 - d)^2, d the difference in degrees modulo 360."""
    difference = (predicted - true).abs() % 360
    return torch.minimum(difference, 360 - difference).pow(2).mean()


def gather(
    extract: Extract, samples: Sequence[Sample], kept: Path, heads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (N, C) and angles (N, 3) of the first so many heads that have an angle triple.

    Computed once and kept in a file.
    """
    if kept.exists():
        with np.load(kept) as stored:
            return torch.from_numpy(stored["features"]), torch.from_numpy(stored["angles"])
    features, angles = [], []
    with tqdm(total=heads, desc="features", unit="head") as bar:
        for sample in samples:
            found = [_triple(head) for head in sample.heads]
            chosen = [index for index, triple in enumerate(found) if triple is not None]
            if chosen:
                features.append(extract(sample)[chosen])
                angles += [triple for triple in found if triple is not None]
                bar.update(len(chosen))
            if len(angles) >= heads:
                break
    if not angles:
        raise ValueError("no head in --data is visible and has yaw, pitch and roll")
    table, truth = torch.cat(features), torch.tensor(angles, dtype=torch.float32)
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(kept, features=table.numpy(), angles=truth.numpy())
    return table, truth


def _triple(head: Head) -> Angles | None:
    """What is learnt of a head; None where too little of it shows, or there is no triple."""
    known = head.rotation is not None and head.visible >= MIN_VISIBLE
    return angles_from_rotation(head.rotation) if known else None


def rotations(model: Regressor, extract: Extract, sample: Sample) -> np.ndarray:
    """Rotations (N, 3, 3) of a scene's true heads."""
    with torch.no_grad():
        angles = model.eval()(extract(sample)).double().numpy()
    return rotation_from_angles(*angles.T)


def regress(
    name: str,
    extract: Extract,
    data: list[Path],
    validation: Path,
    out: Path,
    heads: int = 20_000,
    test: Path = PANOPTIC,
    threads: int = 2,
    budget: Budget = BUDGET,
    loop_options: LoopOptions = LOOP_OPTIONS,
    limit: int | None = None,
    keep: Path | None = None,
) -> UsedBudget:
    """Gather features of heads, train the MLP on them, score it.

    Args:
        name: of the baseline.
        extract: gives the features.
        data: folders of labelled pictures to learn from.
        validation: folder of pictures that are never learnt.
        out: where features, checkpoint, log, curve and result go; a run there is continued.
        heads: so many heads are learnt from.
        test: labelled scenes to score on at the end.
        threads: threads of the arithmetic.
        budget: how long to learn.
        loop_options: rate, batch and checkpoints.
        limit: only the first so many scenes of `test`.
        keep: also write the result here, for the report:
            training/reproduction/results/NAME.json.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(loop_options.seed)
    scenes = read_labels(validation, VALIDATION_SCENES)
    features, angles = gather(extract, read(data), out / KEPT, heads)
    model = Regressor(features)
    predict = partial(rotations, model, extract)

    def losses(step: int) -> torch.Tensor:
        rng = np.random.default_rng((loop_options.seed, step))
        chosen = rng.integers(len(features), size=loop_options.batch)
        return wrapped_loss(model(features[chosen]), angles[chosen])

    used = fit(model, losses, lambda: median_degrees(predict, scenes), out, budget, loop_options)
    note = f"features of {len(features)} heads, {used.samples / len(features):.0f} epochs"
    score_and_keep(name, predict, test, limit, out, keep, note)
    return used
