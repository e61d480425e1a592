# SPDX-License-Identifier: Apache-2.0
"""Stage 4: the merged model once more on poses, with some of what the first model knew.

    python -m training.stage4_rehearse --config config/training/embedded_stage4.yaml \
        --data '[DIR]' --rehearsal '[DIR]' --validation DIR --base runs/stage3 --out runs/stage4

Brief: less than one epoch. OUT/model is the model to ship. Killed runs go on when the same command
is given again; several processes share a step under `torchrun`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jsonargparse import auto_cli

from .data.units import Counts
from .loop.learner import LossOptions
from .loop.stage import POSES, DataOptions, StemOptions, learn, random_share, read
from .loop.trainer import Schedule
from .model.init import trained_model
from .model.lora import LoraOptions
from .stage2_finetune import AGORA

SCHEDULE, STEM = Schedule(), StemOptions()
DATA_OPTIONS, LOSS_OPTIONS = DataOptions(packing=POSES), LossOptions()


def train(
    data: list[Path],
    rehearsal: list[Path],
    validation: Path,
    out: Path,
    base: Path,
    rehearsal_ratio: float = 0.1,
    threads: int = 2,
    schedule: Schedule = SCHEDULE,
    data_options: DataOptions = DATA_OPTIONS,
    loss_options: LossOptions = LOSS_OPTIONS,
    stem: StemOptions = STEM,
    lora: LoraOptions | None = None,
    quantization: str = "none",
) -> None:
    """Teach head poses, and rehearse boxes and descriptions.

    Args:
        data: folders of labelled pictures to learn from.
        rehearsal: folders of described pictures, asked as in stage 0.
        validation: folder of pictures that are never learnt.
        out: where checkpoints, log and model go; an existing checkpoint is continued.
        base: merged model of stage 3, a folder or a name on the hub.
        rehearsal_ratio: share of the described pictures that is mixed in (the paper: 0.1, 0.25).
        threads: threads of the arithmetic.
        schedule: steps, rates and checkpoints.
        data_options: which pictures, which questions.
        loss_options: how answers are taught.
        stem: how the pretrained convolutions learn, where everything learns.
        lora: adapters to learn in place of everything, as the paper does.
        quantization: int8 or int4 rounds the base under the adapters (other families than CogVLM).
    """
    torch.set_num_threads(threads)
    samples, described = read(data), read(rehearsal)
    old = random_share(described, rehearsal_ratio, schedule.seed)
    epochs = schedule.steps * data_options.batch_size / (len(samples) + len(old))
    if epochs >= 1 and data_options.unit == "picture":
        print(f"Note: {epochs:.1f} epochs; the paper stays below one to keep what was merged.")
    model, processor = trained_model(base, quantization)
    unseen = read([validation])
    learn(
        model, processor, samples, unseen, out, schedule, data_options, loss_options, stem,
        old, lora, base, Counts.paper(*AGORA, rehearsal_ratio), len(described),
    )  # fmt: skip


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
