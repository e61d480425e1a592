# SPDX-License-Identifier: Apache-2.0
"""Stage 5: score a model folder on labelled scenes.

    python -m training.stage5_evaluate [--model models/embedded] [--data training/testsets/scenes]

Two protocols: end to end (the model's own boxes), and with true boxes in the prompt, as in the
paper. Then, with --variants, the model's answers with the paper's looser ways of getting valid
numbers out of them, and with none (see `training.output_formats`).
Prints tables for people and, as the last line, one JSON object for programs.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from tqdm import tqdm

from hpe_vlm_ros import metrics
from hpe_vlm_ros.perceiver import HeadEstimate, HeadPerceiver

from .data.sample import Sample
from .data.synthetic import read_synthetic
from .output_formats import FormatScore, evaluate_formats, format_table
from .scoring import input_scale, true_heads

TEST_SCENES = Path(__file__).parent / "testsets" / "scenes"


@dataclass
class Evaluation:
    """Records of all scenes under both protocols."""

    end_to_end: metrics.Records
    true_boxes: metrics.Records


def predicted_heads(estimates: list[HeadEstimate]) -> metrics.Heads:
    """A perceiver's answer as the metrics take it."""
    return metrics.heads(
        [head.box for head in estimates],
        [head.rotation for head in estimates],
        angles=[(head.yaw, head.pitch, head.roll) for head in estimates],
    )


def evaluate(perceiver: HeadPerceiver, samples: list[Sample], progress: bool = True) -> Evaluation:
    """Perceive every scene twice: with the model's boxes and with the true ones."""
    own, given = [], []
    for sample in tqdm(samples, unit="scene", disable=not progress):
        image, true = sample.load(), true_heads(sample)
        scale = input_scale(perceiver, sample)
        own.append(metrics.end_to_end(predicted_heads(perceiver(image)), true, scale))
        answers = predicted_heads(perceiver.poses(image, list(true.boxes)))
        given.append(metrics.given_boxes(answers, true, scale))
    return Evaluation(metrics.merge(own), metrics.merge(given))


def report(evaluation: Evaluation) -> str:
    """Tables for people: totals, by yaw and by head size, both protocols."""
    parts = []
    for title, records in (
        ("END TO END", evaluation.end_to_end),
        ("TRUE BOXES", evaluation.true_boxes),
    ):
        rows = [
            ("all", metrics.score(records)),
            *metrics.by_yaw(records),
            *metrics.by_size(records),
        ]
        parts.append(metrics.format_table(title, rows))
    total = metrics.score(evaluation.true_boxes)
    parts.append(
        f"{total.without_triple} of {total.heads} heads have no yaw, pitch, roll triple:\n"
        "they count in the geodesic error only. Sizes are pixels at the model's input;\n"
        "angles are degrees."
    )
    return "\n\n".join(parts)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """The numbers for programs. `mae*` and `geodesic_median` are with true boxes; angles in
    degrees."""
    own, given = metrics.score(evaluation.end_to_end), metrics.score(evaluation.true_boxes)
    numbers = {
        "recall": own.recall,
        "precision": own.precision,
        "mae": given.mae,
        "mae_front": given.mae_front,
        "mae_back": given.mae_back,
        "geodesic_median": given.geodesic_median,
        "mae_end_to_end": own.mae,
        "geodesic_median_end_to_end": own.geodesic_median,
        "e_angle": 1 - given.recall,
        "heads": given.heads,
    }
    return _for_json(numbers)


def format_summary(scores: dict[str, FormatScore]) -> dict[str, Any]:
    """The same of output formats; `e_angle_free` and `e_bbox` are those of free answers."""
    free = _for_json(vars(scores["none"]))
    formats = {name: _for_json(vars(score)) for name, score in scores.items()}
    return {"e_angle_free": free["e_angle"], "e_bbox": free["e_bbox"], "formats": formats}


def _for_json(numbers: dict[str, Any]) -> dict[str, Any]:
    return {k: None if math.isnan(v) else round(v, 4) for k, v in numbers.items()}


def main(
    model: Path | None = None,
    data: Path = TEST_SCENES,
    limit: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    variants: bool = True,
) -> None:
    """Score a model folder.

    Args:
        model: model folder; without it the embedded default of the package.
        data: folder of labelled scenes.
        limit: only the first so many scenes.
        device: such as cpu or cuda; without it the best there is.
        threads: threads of the arithmetic; without it all cores.
        variants: score the output formats too, which takes about as long again.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    perceiver = HeadPerceiver.load(model, device)
    samples = read_synthetic(data, limit)
    evaluation = evaluate(perceiver, samples)
    print(f"{perceiver.model_id} on {len(samples)} scenes of {data.name}\n")
    print(report(evaluation))
    numbers = summary(evaluation)
    if variants:
        scores = evaluate_formats(perceiver, samples)
        print(f"\n{format_table(scores)}")
        numbers |= format_summary(scores)
    print(json.dumps(numbers))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
