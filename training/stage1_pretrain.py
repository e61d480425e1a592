# SPDX-License-Identifier: Apache-2.0
"""Stage 1: both prompts, on labelled pictures of people.

    python -m training.stage1_pretrain --config config/training/embedded_stage1.yaml \
        --data '[DIR]' --validation DIR --out runs/stage1

Head boxes and head poses are learnt together: one picture, one detection prompt, some pose prompts.
A killed run continues where its last checkpoint stands when the same command is given again. The
deployable model lies in OUT/model, rewritten with every checkpoint. Several processes share a step:
`torchrun --nproc_per_node 2 -m training.stage1_pretrain ...`; on a CPU give each `--threads 1`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jsonargparse import auto_cli

from .data.synthetic import read_synthetic
from .init import new_embedded_model, trained_model
from .learner import Teaching
from .stage import Lesson, StemOptions, learn
from .trainer import Schedule

SCHEDULE, LESSON, TEACHING, STEM = Schedule(), Lesson(), Teaching(), StemOptions()


def train(
    data: list[Path],
    validation: Path,
    out: Path,
    base: Path | None = None,
    image_size: int = 224,
    threads: int = 2,
    schedule: Schedule = SCHEDULE,
    lesson: Lesson = LESSON,
    teaching: Teaching = TEACHING,
    stem: StemOptions = STEM,
) -> None:
    """Train the embedded model on rendered scenes.

    Args:
        data: folders of scenes to learn from.
        validation: folder of scenes to watch (never learnt).
        out: where checkpoints, log and model go; an existing checkpoint is continued.
        base: model folder to train further; without it a new model with an ImageNet stem.
        image_size: side of the square a new model sees, in pixels.
        threads: threads of the arithmetic.
        schedule: steps, rates and checkpoints.
        lesson: which pictures, which questions.
        teaching: how answers are taught.
        stem: how the pretrained convolutions learn.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(schedule.seed)
    model, processor = trained_model(base) if base else new_embedded_model(image_size)
    samples = [sample for folder in data for sample in read_synthetic(folder)]
    watched = read_synthetic(validation)
    learn(model, processor, samples, watched, out, schedule, lesson, teaching, stem)


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
