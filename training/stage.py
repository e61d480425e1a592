# SPDX-License-Identifier: Apache-2.0
"""What all training stages have in common: a model, labelled pictures, a schedule, a folder."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from hpe_vlm_ros.vlm import checkpoint
from hpe_vlm_ros.vlm.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from .data.augment import Augmentation
from .data.batches import StepBatches
from .data.collage import Collage
from .data.packing import PackingOptions
from .data.sample import Sample
from .learner import Learner, Teaching
from .normed_stem import fold, recount, settle, unfold
from .trainer import Schedule, StageTrainer

RECOUNTED = 8  # batches that give the deployed norms their statistics


@dataclass
class Lesson:
    """Which pictures are shown and what is asked about them.

    Args:
        batch_size: pictures a step, over all processes.
        packing: which heads are taught, how many questions a picture.
        augmentation: ranges of the virtual camera.
        collage: how many pictures are collages of single heads, and how they are made.
        validation_batches: batches a validation looks at.
    """

    batch_size: int = 16
    packing: PackingOptions = field(default_factory=PackingOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    collage: Collage = field(default_factory=Collage)
    validation_batches: int = 6


@dataclass
class StemOptions:
    """How the pretrained convolutions learn.

    Args:
        frozen_blocks: first blocks that stay as they are.
        factor: the filters' rate as a multiple of everything else's.
    """

    frozen_blocks: int = 3
    factor: float = 2.0


def learn(
    model: CogVLMForCausalLM,
    processor: CogVLMProcessor,
    samples: list[Sample],
    watched: list[Sample],
    out: Path,
    schedule: Schedule,
    lesson: Lesson,
    teaching: Teaching,
    stem: StemOptions,
) -> None:
    """Train an embedded model on labelled pictures, or go on where OUT's last checkpoint stands.

    Writes OUT/model (the deployable model, renewed with every checkpoint), OUT/log.jsonl, runs of
    TensorBoard and OUT/checkpoint-N. `watched` samples are validated on and never learnt.
    """
    batches = _batches(samples, model, processor, schedule.seed, lesson, calm=False)
    calm = _batches(samples, model, processor, schedule.seed, lesson, calm=True)
    unseen = _batches(watched, model, processor, schedule.seed, lesson, calm=True)
    count = min(lesson.validation_batches, len(watched) // lesson.batch_size)
    torch.manual_seed(schedule.seed)
    tower = model.model.vision.patch_embedding.proj
    unfold(tower, stem.frozen_blocks)
    settle(tower, unseen.part(0).pixel_values)
    learner = Learner(model, processor.tokenizer.convert_tokens_to_ids("000"), teaching)

    def deploy(folder: Path) -> None:
        pictures = (calm.part(step).pixel_values for step in range(RECOUNTED))
        checkpoint.save(folder, deployed(model, pictures), processor)

    trainer = StageTrainer(
        learner,
        schedule.arguments(out),
        batches,
        [unseen.part(step) for step in range(count)],
        deploy,
        rate_factor=lambda name: stem.factor if _is_filter(name) else 1.0,
    )
    trainer.run()


def _is_filter(name: str) -> bool:
    """Whether a parameter of the learner is a filter of the convolutional stem."""
    return "patch_embedding.proj." in name and name.endswith("weight") and ".norm." not in name


def deployed(model: CogVLMForCausalLM, pictures: Iterator[torch.Tensor]) -> CogVLMForCausalLM:
    """A copy as the robot runs it: norms counted on `pictures`, then folded into their filters."""
    stem = copy.deepcopy(model.model.vision.patch_embedding.proj).cpu()
    recount(stem, pictures)
    fold(stem)
    prefix = "model.vision.patch_embedding.proj."
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(prefix)}
    state |= {prefix + k: v for k, v in stem.state_dict().items()}
    out = CogVLMForCausalLM(model.config)
    out.load_state_dict(state)
    return out


def _batches(
    samples: list[Sample],
    model: CogVLMForCausalLM,
    processor: CogVLMProcessor,
    seed: int,
    lesson: Lesson,
    calm: bool,
) -> StepBatches:
    """Batches as they are taught, or `calm`: plain pictures."""
    config = model.config
    return StepBatches(
        samples,
        processor,
        (config.vision_config.image_size,) * 2,
        config.num_image_tokens,
        lesson.batch_size,
        seed,
        lesson.packing,
        None if calm else lesson.augmentation,
        None if calm else lesson.collage,
    )
