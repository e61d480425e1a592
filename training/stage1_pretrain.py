# SPDX-License-Identifier: Apache-2.0
"""Stage 1: both prompts, on weakly labelled pictures of people (CrowdHuman's role).

    python -m training.stage1_pretrain --config config/training/embedded_stage1.yaml \
        --data '[DIR]' --validation DIR --base runs/base/model --out runs/stage1

Head boxes and head poses are learnt together: one picture, one detection prompt, some pose prompts.
DIR holds labels*.jsonl as `training.synthetic.render` and `training.data ... --output` write them.
A killed run continues where its last checkpoint stands when the same command is given again. The
deployable model lies in OUT/model, rewritten with every checkpoint. Several processes share a step:
`torchrun --nproc_per_node 2 -m training.stage1_pretrain ...`; on a CPU give each `--threads 1`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jsonargparse import auto_cli

from hpe_vlm_ros.vlm.facts import EMBEDDED_SIZE

from .data.units import Counts
from .loop.learner import LossOptions
from .loop.stage import BOTH, DataOptions, StemOptions, learn, random_share, read
from .loop.trainer import Schedule
from .model.init import new_embedded_model, trained_model
from .model.lora import LoraOptions

CROWDHUMAN = 11_731, 94_795  # pictures and heads of the paper's Table I
SCHEDULE, STEM = Schedule(), StemOptions()
DATA_OPTIONS, LOSS_OPTIONS = DataOptions(packing=BOTH), LossOptions()


def train(
    data: list[Path],
    validation: Path,
    out: Path,
    base: Path | None = None,
    rehearsal: list[Path] | None = None,
    rehearsal_ratio: float = 0.1,
    image_size: int = EMBEDDED_SIZE,
    threads: int = 2,
    schedule: Schedule = SCHEDULE,
    data_options: DataOptions = DATA_OPTIONS,
    loss_options: LossOptions = LOSS_OPTIONS,
    stem: StemOptions = STEM,
    lora: LoraOptions | None = None,
    quantization: str = "none",
) -> None:
    """Teach head boxes and head poses.

    Args:
        data: folders of labelled pictures to learn from.
        validation: folder of pictures that are never learnt.
        out: where checkpoints, log and model go; an existing checkpoint is continued.
        base: grounding model to start from, a folder or a name on the hub; without it a new small
            model with an ImageNet stem.
        rehearsal: folders of described pictures, asked as in stage 0.
        rehearsal_ratio: share of them that is mixed in, drawn once (the paper: 0, 0.01, 0.1, 0.25).
        image_size: side of the square a new model sees, in pixels.
        threads: threads of the arithmetic.
        schedule: steps, rates and checkpoints.
        data_options: which pictures, which questions.
        loss_options: how answers are taught.
        stem: how the pretrained convolutions learn, where everything learns.
        lora: adapters to learn in place of everything.
        quantization: int8 or int4 rounds the base under the adapters (other families than CogVLM).
    """
    torch.set_num_threads(threads)
    torch.manual_seed(schedule.seed)
    model, processor = trained_model(base, quantization) if base else new_embedded_model(image_size)
    described = read(rehearsal or [])
    old = random_share(described, rehearsal_ratio, schedule.seed)
    unseen = read([validation])
    learn(
        model, processor, read(data), unseen, out, schedule, data_options, loss_options, stem,
        old, lora, base, Counts.paper(*CROWDHUMAN, rehearsal_ratio), len(described),
    )  # fmt: skip


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
