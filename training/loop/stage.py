# SPDX-License-Identifier: Apache-2.0
"""What all training stages have in common: a model, labelled pictures, a schedule, a folder."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from hpe_vlm_ros.tasks import keypoints
from hpe_vlm_ros.vlm.families.processing import ChatProcessor
from hpe_vlm_ros.vlm.hub import find_model
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.pytorch.stem import EfficientNetLite0Stem
from hpe_vlm_ros.vlm.pytorch.vision import Presence

from ..data.augment import Augmentation
from ..data.batches import StepBatches
from ..data.collage import Collage
from ..data.labels import read_labels
from ..data.prompts import PackingOptions, first_number
from ..data.sample import Sample
from ..data.units import Counts, counts_table
from ..model.lora import LoraOptions, add_lora, save_adapter
from ..model.normed_stem import add_norms, fold_norms, initialise_norms, recompute_statistics
from ..model.sharding import is_first
from ..supervision.dense_head import DenseHead
from ..supervision.read_outs import READ_OUTS, read_outs_of
from .learner import Learner, LossOptions
from .trainer import Schedule, StageTrainer

GROUNDING = PackingOptions(max_poses=0, max_referring=3)  # boxes of heads and of who is described
BOTH = PackingOptions()  # boxes of heads, and their poses
POSES = PackingOptions(detection=False)
RECOUNTED = 8  # batches that give the deployed norms their statistics


@dataclass
class DataOptions:
    """Which pictures are shown and what is asked about them (`data_options` of a recipe).

    Args:
        batch_size: draws a step, over all processes.
        packing: which heads are taught, how many questions a picture.
        augmentation: ranges of the virtual camera; null: pictures as the model sees them later.
        collage: how many pictures are collages of single heads, and how they are made.
        validation_batches: batches a validation looks at.
        unit: what is drawn: "picture", with some questions about it; "head", with the question
            about it alone, as in the paper; "body", with questions for some of its keypoints, which
            config.json then names among the tasks; or "thing", with rounds of questions for some
            of its points (`data.things`).
    """

    batch_size: int = 16
    packing: PackingOptions = field(default_factory=PackingOptions)
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    collage: Collage = field(default_factory=Collage)
    validation_batches: int = 6
    unit: str = "picture"


@dataclass
class StemOptions:
    """How the pretrained convolutions learn.

    Args:
        frozen_blocks: first blocks that stay as they are.
        factor: the filters' rate as a multiple of everything else's.
    """

    frozen_blocks: int = 3
    factor: float = 2.0


def read(folders: Sequence[Path]) -> list[Sample]:
    """All labelled pictures of some folders, in order."""
    return [sample for folder in folders for sample in read_labels(folder)]


def random_share(samples: list[Sample], ratio: float, seed: int) -> list[Sample]:
    """A share of the samples, drawn once; `ratio` in 0..1. Raises ValueError outside."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"rehearsal ratio {ratio} is no share: give 0 to 1, such as 0.1")
    chosen = np.random.default_rng(seed).permutation(len(samples))[: round(ratio * len(samples))]
    return [samples[index] for index in sorted(chosen)]


def learn(
    model: Any,
    processor: CogVLMProcessor | ChatProcessor,
    samples: list[Sample],
    validation: list[Sample],
    out: Path,
    schedule: Schedule,
    data_options: DataOptions,
    loss_options: LossOptions,
    stem: StemOptions,
    rehearsal: Sequence[Sample] = (),
    lora: LoraOptions | None = None,
    base: Path | None = None,
    table: Counts | None = None,
    references: int = 0,
) -> None:
    """Train a model on labelled pictures, or go on where OUT's last checkpoint stands.

    Writes OUT/model (the deployable model; with `lora` what was trained of it, as
    `training.stage3_merge` takes it), renewed with every checkpoint, OUT/log.jsonl, runs of
    TensorBoard and OUT/checkpoint-N. `validation` samples are never learnt; `rehearsal` is mixed
    in to keep what was learnt before. Without `lora` everything learns but the stem's first blocks,
    or only the decoder (`loss_options.tower`). `base` is the folder the model came from: the
    training-only read-outs of the run that made it are taken over. Where heads are drawn, what
    there is to learn from is printed beside the paper's `table`, before anything is learnt; the
    rehearsal was drawn from `references`.
    """
    if isinstance(processor, ChatProcessor):
        from .chat_stage import learn_chat

        assert base is not None  # a model of another family is never made here
        learn_chat(
            model, processor, samples, validation, out, schedule, data_options, rehearsal, lora,
            base,
        )  # fmt: skip
        return
    if data_options.unit == "body":
        model.config.tasks = [*dict.fromkeys([*model.config.tasks, keypoints.TASK.name])]
    seed = schedule.seed
    batches = _batches(samples, model, processor, seed, data_options, rehearsal=rehearsal)
    plain = _batches(samples, model, processor, seed, data_options, plain=True)
    unseen = _batches(validation, model, processor, seed, data_options, plain=True)
    count = min(data_options.validation_batches, len(unseen.draws) // data_options.batch_size)
    torch.manual_seed(seed)
    _make_ready(model, loss_options, stem, lora, unseen)
    learner = Learner(model, first_number(processor.tokenizer), loss_options, data_options.packing)
    if loss_options.image and (known := read_outs_of(base)) is not None:
        learner.load_read_outs(load_file(known))
    mark = None if base is None or lora is None else checkpoint.fingerprint(find_model(base))
    trainer = StageTrainer(
        learner,
        schedule.arguments(out),
        batches,
        [unseen.part(step) for step in range(count)],
        partial(_deploy, learner, processor, plain, lora, mark),
        rate_factor=lambda name: stem.factor if _is_filter(name) else 1.0,
    )
    if table is not None and data_options.unit == "head" and is_first():
        here = Counts.here(batches.draws, len(samples), references)
        print(counts_table(here, table, schedule.steps * data_options.batch_size), flush=True)
    trainer.run()


def _make_ready(
    model: Any,
    loss_options: LossOptions,
    stem: StemOptions,
    lora: LoraOptions | None,
    pictures: StepBatches,
) -> None:
    """Give the model what learns, and keep the rest from it; new norms begin as on `pictures`."""
    if lora is not None:
        add_lora(model, lora)
    elif not loss_options.tower:
        freeze_tower(model)
    elif isinstance(convolutions := _stem(model), EfficientNetLite0Stem):
        add_norms(convolutions, stem.frozen_blocks)
        initialise_norms(convolutions, pictures.part(0).pixel_values)


def _deploy(
    learner: Learner,
    processor: CogVLMProcessor,
    plain: StepBatches,
    lora: LoraOptions | None,
    mark: str | None,
    folder: Path,
) -> None:
    """Write the deployable model to a folder, or with `lora` what was trained of it, and the
    read-outs beside it. mark: the base's fingerprint, which an adapter names."""
    model: Any = learner.model
    read_outs = {name: whole.half() for name, whole in learner.read_outs().items()}
    if is_first():
        save_file(read_outs, folder.parent / READ_OUTS)
    if lora is not None:
        save_adapter(folder, model, lora, mark)
        return
    if learner.loss_options.tower:
        pictures = (plain.part(step).pixel_values for step in range(RECOUNTED))
        model = deployed(model, pictures)
        if learner.loss_options.image:
            keep_presence(model, learner.dense)
    checkpoint.save(folder, model, processor)


def freeze_tower(model: CogVLMForCausalLM) -> None:
    """Leave patches and their features as they are; the adapter behind them still learns."""
    model.model.vision.patch_embedding.requires_grad_(False)
    model.model.vision.transformer.requires_grad_(False)


def _stem(model: CogVLMForCausalLM) -> torch.nn.Module:
    return model.model.vision.patch_embedding.proj


def _is_filter(name: str) -> bool:
    """Whether a parameter of the learner is a filter of the convolutional stem."""
    return "patch_embedding.proj." in name and name.endswith("weight") and ".norm." not in name


def deployed(model: CogVLMForCausalLM, pictures: Iterator[torch.Tensor]) -> CogVLMForCausalLM:
    """A copy as the robot runs it: norms counted on `pictures`, then folded into their filters."""
    stem = copy.deepcopy(_stem(model)).cpu()
    if isinstance(stem, EfficientNetLite0Stem):
        recompute_statistics(stem, pictures)
        fold_norms(stem)
    prefix = "model.vision.patch_embedding.proj."
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(prefix)}
    state |= {prefix + k: v for k, v in stem.state_dict().items()}
    out = CogVLMForCausalLM(copy.deepcopy(model.config))
    out.load_state_dict(state)
    return out


@torch.no_grad()
def keep_presence(model: CogVLMForCausalLM, dense: DenseHead) -> None:
    """Give the model the patches' read-out of "a head is here, and this is its box"."""
    vision, config = model.model.vision, model.config.vision_config
    if vision.presence is None or vision.presence.edges is None:
        config.presence = config.patch_boxes = True
        vision.presence = Presence(config.hidden_size, boxes=True)
    edges = vision.presence.edges
    assert edges is not None
    vision.presence.norm.load_state_dict(dense.norm.state_dict())
    vision.presence.project.weight.copy_(dense.project.weight[:1])
    vision.presence.project.bias.copy_(dense.project.bias[:1])
    edges.weight.copy_(dense.project.weight[1:5])
    edges.bias.copy_(dense.project.bias[1:5])


def _batches(
    samples: list[Sample],
    model: CogVLMForCausalLM,
    processor: CogVLMProcessor,
    seed: int,
    data_options: DataOptions,
    plain: bool = False,
    rehearsal: Sequence[Sample] = (),
) -> StepBatches:
    """Batches as they are taught, or `plain`: not augmented, every picture with questions."""
    config, packing = model.config, data_options.packing
    return StepBatches(
        samples,
        processor,
        (config.vision_config.image_size,) * 2,
        config.num_image_tokens,
        data_options.batch_size,
        seed,
        replace(packing, ask_every=1) if plain else packing,
        None if plain else data_options.augmentation,
        None if plain else data_options.collage,
        rehearsal,
        data_options.unit,
    )
