# SPDX-License-Identifier: Apache-2.0
"""Do bumps on the number line and circle teach numbers faster than plain cross-entropy?

    python -m benchmarks.soft_targets --data scenes/train --scenes scenes/val --steps 300

Every variant starts from the same untrained decoder behind the trained vision tower of a model,
which stays as it is, and sees the same questions for the same number of steps; only the widths of
the targets differ (`teaching.sigmas` of the recipes: coordinates in thousandths of the picture,
angles in degrees; 0 is plain cross-entropy). Numbers are then judged where the answers of unseen
scenes have them, what comes before being given: by the likeliest number and by the mean.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from tqdm import tqdm

from hpe_vlm_ros.vlm.model_folder import default_folder
from hpe_vlm_ros.vlm.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.numbers import circular_mean, near_mean
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from training.data.batches import StepBatches
from training.data.labels import read_synthetic
from training.data.packing import Batch
from training.data.prompts import ANGLE, COORDINATE, PackingOptions, first_number
from training.loop.learner import Teaching
from training.loop.stage import Lesson, StemOptions, learn
from training.loop.trainer import Schedule
from training.model.init import new_embedded_model, trained_model

VARIANTS = {"hard": (0.0, 0.0), "soft": (6.0, 4.0), "narrow": (3.0, 2.0), "wide": (12.0, 8.0)}
PACKING = PackingOptions(max_poses=4, min_size=16)
OUT = Path("runs") / "soft_targets"


@dataclass
class Errors:
    """Mean absolute errors: angles in degrees, coordinates in thousandths of the picture."""

    angle_likeliest: float
    angle_mean: float
    box_likeliest: float
    box_mean: float


def untrained_decoder(base: Path) -> tuple[CogVLMForCausalLM, CogVLMProcessor]:
    """A model as before training, with the vision tower of the one in `base`."""
    taught, processor = trained_model(base)
    model, _ = new_embedded_model(taught.config.vision_config.image_size)
    state = taught.model.vision.state_dict()
    model.model.vision.load_state_dict(state)
    return model, processor


@torch.inference_mode()
def number_errors(model: CogVLMForCausalLM, batch: Batch, first: int) -> list[list[float]]:
    """Absolute errors of each kind of number, in the order of `Errors`."""
    hidden = model.model(
        input_ids=batch.input_ids,
        pixel_values=batch.pixel_values,
        token_type_ids=batch.token_type_ids,
        position_ids=batch.position_ids,
        attention_mask=batch.attention_mask(),
        use_cache=False,
    ).last_hidden_state
    learnt = (batch.targets >= 0) & (batch.kinds > 0)
    logits = model.lm_head(hidden[learnt]).double()
    found: list[list[float]] = [[], [], [], []]
    kinds, values = batch.kinds[learnt].tolist(), batch.values[learnt].tolist()
    for row, kind, value in zip(logits, kinds, values, strict=True):
        if kind == ANGLE:
            weights = row[first : first + 360].softmax(0).numpy()
            for place, said in enumerate((weights.argmax(), circular_mean(weights))):
                found[place].append(abs((float(said) - value + 180) % 360 - 180))
        elif kind == COORDINATE:
            weights = row[first : first + 1000].softmax(0).numpy()
            mode = int(weights.argmax())
            for place, said in enumerate((float(mode), near_mean(weights, mode))):
                found[2 + place].append(abs(said - value))
    return found


def judged(folder: Path, scenes: Path, images: int) -> Errors:
    """Errors of a trained model on unseen scenes."""
    model, processor = trained_model(folder)
    batches = StepBatches(
        read_synthetic(scenes), processor, (model.config.vision_config.image_size,) * 2,
        model.config.num_image_tokens, 4, 0, PACKING, None,
    )  # fmt: skip
    first = first_number(processor.tokenizer)
    if first is None:
        raise ValueError(f"{folder} spells numbers in digits, which are learnt as plain text")
    errors: list[list[float]] = [[], [], [], []]
    for step in tqdm(range(images // 4), folder.parent.name, file=sys.stderr):
        for every, new in zip(
            errors, number_errors(model.eval(), batches.part(step), first), strict=True
        ):
            every.extend(new)
    return Errors(*(round(float(np.mean(e)), 2) for e in errors))


def main(
    data: Path,
    scenes: Path,
    base: Path | None = None,
    out: Path = OUT,
    steps: int = 300,
    batch_size: int = 8,
    rate: float = 1e-3,
    images: int = 100,
    variants: list[str] = list(VARIANTS),  # noqa: B006
    threads: int = 1,
) -> None:
    """Teach each variant, or go on where the last run stands, and compare.

    Args:
        data: labelled scenes to learn from.
        scenes: others to judge on.
        base: whose vision tower is used; the embedded default if left out.
        out: where runs are kept, one folder a variant.
        steps: optimiser steps of each.
        batch_size: pictures a step.
        rate: peak learning rate.
        images: how many scenes to judge on.
        variants: some of hard, soft (the recipes' own), narrow, wide.
        threads: of the arithmetic.
    """
    torch.set_num_threads(threads)
    samples, found = read_synthetic(data), {}
    schedule = Schedule(
        steps=steps, rate=rate, warmup=min(50, steps // 5), cooldown=0.6,
        save_every=max(20, steps // 10), workers=0,
    )  # fmt: skip
    lesson = Lesson(batch_size=batch_size, packing=PACKING, validation_batches=0)
    for name in variants:
        folder = out / f"{name}-{steps}"
        file = folder / f"errors-{images}.json"
        if not file.is_file():
            torch.manual_seed(0)
            model, processor = untrained_decoder(base or default_folder())
            teaching = Teaching(sigmas=VARIANTS[name], tower=False)
            learn(
                model, processor, samples, samples, folder, schedule, lesson, teaching,
                StemOptions(),
            )  # fmt: skip
            errors = judged(folder / "model", scenes, images)
            file.write_text(json.dumps(vars(errors)))
        found[name] = Errors(**json.loads(file.read_text()))
    print(f"\nmean absolute error after {steps} steps of {batch_size} pictures")
    print(f"{'targets':<10}{'widths':>12}   angles: likeliest    mean   boxes: likeliest    mean")
    for name, errors in found.items():
        widths = "{:g}, {:g}".format(*VARIANTS[name])
        print(
            f"{name:<10}{widths:>12}   {errors.angle_likeliest:17.2f}{errors.angle_mean:8.2f}"
            f"   {errors.box_likeliest:16.1f}{errors.box_mean:8.1f}"
        )
    print(json.dumps({"steps": steps} | {name: vars(errors) for name, errors in found.items()}))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
