# SPDX-License-Identifier: Apache-2.0
"""Stage 2: the HPE-oriented model, head poses only, on exactly labelled pictures (AGORA's role).

    python -m training.stage2_finetune --config config/training/embedded_stage2.yaml \
        --data '[DIR]' --validation DIR --base runs/stage1/model --out runs/stage2

Other abilities may suffer; stages 3 and 4 bring them back. Killed runs go on when the same command
is given again; several processes share a step under `torchrun`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jsonargparse import auto_cli

from .data.units import Counts
from .loop.learner import LossOptions
from .loop.stage import POSES, DataOptions, StemOptions, learn, read
from .loop.trainer import Schedule
from .model.init import trained_model
from .model.lora import LoraOptions

AGORA = 9_654, 64_187  # pictures and heads of the paper's Table I
SCHEDULE, STEM = Schedule(), StemOptions()
DATA_OPTIONS, LOSS_OPTIONS = DataOptions(packing=POSES), LossOptions()


def train(
    data: list[Path],
    validation: Path,
    out: Path,
    base: Path,
    threads: int = 2,
    schedule: Schedule = SCHEDULE,
    data_options: DataOptions = DATA_OPTIONS,
    loss_options: LossOptions = LOSS_OPTIONS,
    stem: StemOptions = STEM,
    lora: LoraOptions | None = None,
    quantization: str = "none",
) -> None:
    """Teach head poses alone.

    Args:
        data: folders of labelled pictures to learn from.
        validation: folder of pictures that are never learnt.
        out: where checkpoints, log and model go; an existing checkpoint is continued.
        base: model of stage 1, a folder or a name on the hub.
        threads: threads of the arithmetic.
        schedule: steps, rates and checkpoints.
        data_options: which pictures, which questions.
        loss_options: how answers are taught.
        stem: how the pretrained convolutions learn, where everything learns.
        lora: adapters to learn in place of everything, as the paper does.
        quantization: int8 or int4 rounds the base under the adapters (other families than CogVLM).
    """
    torch.set_num_threads(threads)
    model, processor = trained_model(base, quantization)
    learn(
        model, processor, read(data), read([validation]), out, schedule, data_options, loss_options,
        stem, lora=lora, base=base, table=Counts.paper(*AGORA, 0),
    )  # fmt: skip


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
