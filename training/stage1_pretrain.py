# SPDX-License-Identifier: Apache-2.0
"""Stage 1: both prompts, on labelled pictures of people.

    python -m training.stage1_pretrain --config config/training/embedded_stage1.yaml \
        --data DIR --validation DIR --out runs/stage1

Head boxes and head poses are learnt together: one picture, one detection prompt, up to `max_poses`
pose prompts. A killed run continues where its last checkpoint stands when the same command is
given again.
The deployable model lies in OUT/model, rewritten with every checkpoint. On a CPU two processes of
one thread learn faster than one of two: start with `torchrun --nproc_per_node 2 -m training...`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import torch
from jsonargparse import auto_cli
from tqdm import tqdm

from hpe_vlm_ros.vlm import checkpoint
from hpe_vlm_ros.vlm.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from .data.augment import Augmentation
from .data.batches import StepDataset, step_loader
from .data.collage import Collage
from .data.packing import PackingOptions
from .data.synthetic import read_synthetic
from .init import new_embedded_model, trained_model
from .loop import (
    Learner,
    RunLog,
    average_gradients,
    build_optimizer,
    join_processes,
    learning_rate_factor,
    save_checkpoint,
    set_rate,
)
from .normed_stem import fold, settle, unfold

WEIGHTS = {
    "text": 1.0,
    "box": 1.0,
    "angle": 1.0,
    "dense_object": 1.0,
    "dense_box": 0.5,
    "dense_turn": 2.0,
    "dense_said_box": 0.3,
    "dense_said_angle": 0.3,
    "hint": 0.3,
}

PACKING, AUGMENTATION, COLLAGE = PackingOptions(), Augmentation(), Collage()


def train(
    data: list[Path],
    validation: Path,
    out: Path,
    base: Path | None = None,
    image_size: int = 224,
    steps: int = 4000,
    tower_steps: int = 0,
    batch_size: int = 16,
    rate: float = 1e-3,
    stem_factor: float = 1.0,
    frozen_stem_blocks: int = 3,
    weight_decay: float = 0.02,
    warmup: int = 150,
    cooldown: float = 0.35,
    clip: float = 1.0,
    sigma_box: float = 6.0,
    sigma_angle: float = 4.0,
    save_every: int = 200,
    validation_batches: int = 8,
    seed: int = 1,
    workers: int = 1,
    threads: int = 2,
    packing: PackingOptions = PACKING,
    augmentation: Augmentation = AUGMENTATION,
    collage: Collage = COLLAGE,
) -> None:
    """Train the embedded model on rendered scenes.

    Args:
        data: folders of scenes to learn from.
        validation: folder of scenes to watch (never learnt).
        out: where checkpoint, log and model go; an existing checkpoint is continued.
        base: model folder to train further; without it a new model with an ImageNet stem.
        image_size: side of the square a new model sees, in pixels.
        steps: optimiser steps of the whole run.
        tower_steps: first steps that train the vision tower alone, three times as fast.
        batch_size: pictures a step.
        rate: peak learning rate.
        stem_factor: the pretrained stem learns this much slower.
        frozen_stem_blocks: first blocks of the stem that keep their ImageNet weights.
        weight_decay: AdamW decay of matrices.
        warmup: steps of linear warm-up.
        cooldown: share of the steps over which the rate falls to zero at the end.
        clip: largest gradient norm.
        sigma_box: width of a coordinate's soft target, in thousandths of the picture.
        sigma_angle: width of an angle's soft target, in degrees.
        save_every: steps between checkpoints and validations.
        validation_batches: batches a validation looks at.
        seed: of weights, order and augmentation.
        workers: processes that prepare batches.
        threads: threads of the arithmetic.
        packing: which heads are taught, how many pose prompts a picture.
        augmentation: ranges of the virtual camera.
        collage: how many pictures are collages of single heads, and how they are made.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    share = rank, world = join_processes()
    model, processor = trained_model(base) if base else new_embedded_model(image_size)
    learner = Learner(
        model, processor.tokenizer.convert_tokens_to_ids("000"), (sigma_box, sigma_angle)
    )
    stem = model.model.vision.patch_embedding.proj
    watched = _dataset(
        read_synthetic(validation), model.config, processor, batch_size, seed, packing, None, share
    )
    unfold(stem, frozen_stem_blocks)
    settle(stem, watched[0].pixel_values)
    slow = {id(p) for p in model.model.vision.patch_embedding.proj.parameters() if p.ndim == 4}
    optimizer = build_optimizer([learner], slow, stem_factor, weight_decay)
    resume, first = out / "checkpoint.pt", 0
    if resume.exists():
        state = torch.load(resume, weights_only=True)
        learner.load_state_dict(state["learner"])
        optimizer.load_state_dict(state["optimizer"])
        for group in optimizer.param_groups:  # given anew, so that a run can go on with other rates
            group["scale"] = stem_factor if id(group["params"][0]) in slow else 1.0
        first = state["step"]

    samples = [sample for folder in data for sample in read_synthetic(folder)]
    dataset = _dataset(
        samples, model.config, processor, batch_size, seed, packing, augmentation, share, collage
    )
    log = RunLog(out / f"log{rank or ''}.jsonl")
    log.write(event="start", step=first, scenes=len(samples), parameters=model.num_parameters())
    loader = step_loader(dataset, first, steps, workers)
    bar = tqdm(loader, initial=first, total=steps, disable=rank > 0)
    for step, batch in enumerate(bar, start=first):
        set_rate(optimizer, rate * learning_rate_factor(step, steps, warmup, cooldown))
        run = learner.tower_losses if step < tower_steps else learner.losses
        losses = run(batch, packing.min_visible, packing.min_size)
        total = sum(WEIGHTS.get(name, 0.0) * value for name, value in losses.items())
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"step {step}: loss is {total.item()}; lower --rate and resume"
            )
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        average_gradients(learner.parameters(), world)
        torch.nn.utils.clip_grad_norm_(learner.parameters(), clip)
        optimizer.step()
        values = {name: value.item() for name, value in losses.items()}
        bar.set_postfix_str(" ".join(f"{k[:9]} {v:.2f}" for k, v in values.items()))
        if step % 20 == 0:
            log.write(step=step, loss=total.item(), **values)
        if (step + 1) % save_every == 0 or step + 1 == steps:
            learner.eval()
            seen = _validate(run, watched, validation_batches, packing)
            learner.train()
            log.write(step=step + 1, **seen)
            if rank:
                continue
            save_checkpoint(
                resume,
                learner=learner.state_dict(),
                optimizer=optimizer.state_dict(),
                step=step + 1,
            )
            checkpoint.save(out / "model", deployed(model), processor)


def deployed(model: CogVLMForCausalLM) -> CogVLMForCausalLM:
    """A copy whose stem is folded, as the robot runs it."""
    copied = copy.deepcopy(model)
    fold(copied.model.vision.patch_embedding.proj)
    return copied


def _dataset(
    samples: list,
    config: CogVLMConfig,
    processor: CogVLMProcessor,
    batch_size: int,
    seed: int,
    packing: PackingOptions,
    augmentation: Augmentation | None,
    share: tuple[int, int],
    collage: Collage | None = None,
) -> StepDataset:
    size = (config.vision_config.image_size,) * 2
    tokens = config.num_image_tokens
    return StepDataset(
        samples, processor, size, tokens, batch_size, seed, packing, augmentation, share, collage
    )


@torch.no_grad()
def _validate(
    run: Callable[..., dict[str, torch.Tensor]],
    dataset: StepDataset,
    batches: int,
    packing: PackingOptions,
) -> dict[str, float]:
    """Mean losses over the first batches of the watched scenes, names prefixed with `val_`."""
    sums: dict[str, list[float]] = {}
    for step in range(min(batches, len(dataset.samples) // dataset.batch_size)):
        losses = run(dataset[step], packing.min_visible, packing.min_size)
        for name, value in losses.items():
            sums.setdefault(f"val_{name}", []).append(float(value))
    means = {}
    for name, values in sums.items():
        finite = [value for value in values if math.isfinite(value)]
        means[name] = sum(finite) / len(finite) if finite else math.nan
    return means


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
