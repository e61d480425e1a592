# SPDX-License-Identifier: Apache-2.0
"""Stage 0: a small model that finds who is described, the embedded counterpart of CogVLM.

    python -m training.stage0_ground --config config/training/embedded_base.yaml \
        --data '[DIR]' --validation DIR --out runs/base

Scenes of described people teach two questions: "Where is the person in the green shirt on the left?
answer in [[x0,y0,x1,y1]] format." and the boxes of all heads. Poses are not taught. At full size
this stage is the public CogVLM-grounding-generalist checkpoint.

Killed runs go on when the same command is given again. Several processes share a step:
`torchrun --nproc_per_node 2 -m training.stage0_ground ... --threads 1`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jsonargparse import auto_cli

from hpe_vlm_ros.vlm.facts import EMBEDDED_SIZE

from .loop.learner import LossOptions
from .loop.stage import GROUNDING, DataOptions, StemOptions, learn, read
from .loop.trainer import Schedule
from .model.init import new_embedded_model, trained_model

SCHEDULE, DATA_OPTIONS, STEM = Schedule(), DataOptions(packing=GROUNDING), StemOptions()


def train(
    data: list[Path],
    validation: Path,
    out: Path,
    base: Path | None = None,
    image_size: int = EMBEDDED_SIZE,
    threads: int = 2,
    schedule: Schedule = SCHEDULE,
    data_options: DataOptions = DATA_OPTIONS,
    stem: StemOptions = STEM,
) -> None:
    """Train a small grounding model from ImageNet's convolutions.

    Args:
        data: folders of scenes with described people (`training.synthetic.render` writes them).
        validation: folder of scenes that are never learnt.
        out: where checkpoints, log and model go; an existing checkpoint is continued.
        base: grounding model to train further; without it a new one.
        image_size: side of the square a new model sees, in pixels.
        threads: threads of the arithmetic.
        schedule: steps, rates and checkpoints.
        data_options: which pictures, which questions.
        stem: how the pretrained convolutions learn.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(schedule.seed)
    model, processor = trained_model(base) if base else new_embedded_model(image_size)
    loss_options = LossOptions(poses=False)
    unseen = read([validation])
    learn(
        model, processor, read(data), unseen, out, schedule, data_options, loss_options, stem,
        base=base,
    )  # fmt: skip


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
