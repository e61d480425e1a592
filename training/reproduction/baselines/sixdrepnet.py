# SPDX-License-Identifier: Apache-2.0
"""6DRepNet (Hempel et al., arXiv 2202.12555): rotation from a crop by six numbers.

    python -m training.reproduction.baselines.sixdrepnet --data '[runs/scenes/task]' \\
        --validation runs/scenes/validation --out runs/sixdrepnet --budget.samples 500000

The network is `training.labelling.networks.sixdrepnet`; its loss is the geodesic angle, as
published. Angles are read off the matrix once, by the rules of `hpe_vlm_ros.geometry`.

OUT holds checkpoint, log, the curve's picture and result.json. Killed runs go on when the same
command is given.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli

from ...data.labels import read_labels
from ...labelling.networks.sixdrepnet import SIDE, SixDRepNet
from ...loop.stage import read
from ...model.normed_stem import initialise_norms
from ...supervision.dense_head import turn_between
from ...testsets import PANOPTIC
from .crops import Crops, training_crops
from .heads import by_network, median_degrees, score_and_keep
from .loop import Budget, LoopOptions, UsedBudget, curve, fit

VALIDATION_SCENES = 100
BUDGET, LOOP_OPTIONS = Budget(), LoopOptions()


def loss_at(model: SixDRepNet, crops: Crops, step: int) -> torch.Tensor:
    """Mean angle in radians between what the network says and the truth, on a step's crops."""
    pixels, turns = crops(step)
    return turn_between(model(pixels), turns).mean()


def train(
    data: list[Path],
    validation: Path,
    out: Path,
    test: Path = PANOPTIC,
    side: int = SIDE,
    pretrained: bool = True,
    threads: int = 2,
    budget: Budget = BUDGET,
    loop_options: LoopOptions = LOOP_OPTIONS,
    limit: int | None = None,
    keep: Path | None = None,
) -> UsedBudget:
    """Train and score 6DRepNet.

    Args:
        data: folders of labelled pictures to learn from.
        validation: folder of pictures for validation (never learnt).
        out: where checkpoint, log, curve and result go; an existing checkpoint is continued.
        test: labelled scenes to score on at the end.
        side: pixels of the square crops.
        pretrained: start from ImageNet.
        threads: threads of the arithmetic.
        budget: how long to learn.
        loop_options: rate, batch and checkpoints.
        limit: only the first so many scenes of `test`.
        keep: also write the result here, for the report:
            training/reproduction/results/sixdrepnet.json.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(loop_options.seed)
    crops = training_crops(read(data), side, loop_options.batch, loop_options.seed)
    scenes = read_labels(validation, VALIDATION_SCENES)
    model = SixDRepNet(pretrained, side)
    initialise_norms(model.backbone, crops(0)[0])
    predict = by_network(model)
    used = fit(
        model.train(),
        partial(loss_at, model, crops),
        lambda: median_degrees(predict, scenes),
        out,
        budget,
        loop_options,
    )
    note = (
        f"{len(crops.pool)} heads, {used.samples} crops of {side} pixels, "
        f"{used.seconds / 60:.0f} minutes"
    )
    score_and_keep("6DRepNet", predict, test, limit, out, keep, note, curve=curve(out))
    return used


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
