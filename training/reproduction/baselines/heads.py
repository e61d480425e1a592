# SPDX-License-Identifier: Apache-2.0
"""Baselines' answers about true heads, scored on the same heads as the model they stand beside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import angles_from_rotations

from ...data.labels import read_labels
from ...data.sample import Sample
from ...evaluation.measures import TONES, by_range
from ...evaluation.results import for_json
from ...evaluation.scoring import true_heads
from ...labelling.agreement import Labeller

Predict = Callable[[Sample], np.ndarray]
INPUT = 224  # heads count by their size in a picture of so many pixels a side, in every table


def by_network(network: Labeller) -> Predict:
    """Answers of a network that is shown crops of a scene's true heads."""
    return lambda sample: network.rotations(sample.load(), [head.box for head in sample.heads])


def records_of(predict: Predict, samples: list[Sample], title: str) -> metrics.Records:
    """Records of rotations (N, 3, 3) that `predict` gives for heads that count, scene by scene."""
    parts = []
    for sample in tqdm(map(counted, samples), title, total=len(samples), unit="scene"):
        true = true_heads(sample)
        rotations = predict(sample) if sample.heads else np.zeros((0, 3, 3))
        answers = metrics.heads(true.boxes, rotations, angles=any_angles(rotations))
        parts.append(metrics.given_boxes(answers, true, scale_of(sample)))
    return metrics.merge(parts)


def counted(sample: Sample) -> Sample:
    """The same scene with only the heads that count, being large enough and visible."""
    true = true_heads(sample)
    counts = metrics.assign(true, true, scale_of(sample)).counts
    return replace(sample, heads=[h for h, c in zip(sample.heads, counts, strict=True) if c])


def any_angles(rotations: np.ndarray) -> np.ndarray:
    """Angles (N, 3) of rotations (N, 3, 3), also of those that have no valid triple.

    A regressor may answer a rotation that no head takes; of the two ways to write it down that with
    the smaller pitch and roll counts, so that such an answer is an error and not a gap.
    """
    angles, valid = angles_from_rotations(rotations)
    m = rotations[~valid]
    first = np.stack(
        [
            np.arcsin(np.clip(m[:, 0, 2], -1, 1)),
            np.arctan2(m[:, 1, 2], m[:, 2, 2]),
            np.arctan2(-m[:, 0, 1], m[:, 0, 0]),
        ],
        axis=1,
    )
    first = np.degrees(first)
    second = np.stack([180 - first[:, 0], first[:, 1] + 180, first[:, 2] + 180], axis=1)
    second = 180 - (180 - second) % 360
    tilts = [np.abs(way[:, 1:]).max(axis=1) for way in (first, second)]
    angles[~valid] = np.where((tilts[0] <= tilts[1])[:, None], first, second)
    return angles


def scale_of(sample: Sample) -> tuple[float, float]:
    """Pixels of the compared model's input per pixel of the scene."""
    return INPUT / sample.width, INPUT / sample.height


def median_degrees(predict: Predict, samples: list[Sample]) -> float:
    """Median geodesic error on validation scenes; prints nothing."""
    errors = []
    for sample in map(counted, samples):
        if sample.heads:
            true = true_heads(sample)
            answers = metrics.heads(true.boxes, predict(sample))
            errors.append(metrics.given_boxes(answers, true, scale_of(sample)).geodesic)
    found = np.concatenate(errors) if errors else np.zeros(0)
    return float(np.nanmedian(found)) if len(found) else float("nan")


def result_of(
    name: str, records: metrics.Records, samples: list[Sample], data: str, note: str
) -> dict[str, Any]:
    """A result as `stage5_evaluate` keeps one, of what a baseline can do: poses of given heads."""
    score = metrics.score(records)
    names = ("mae", "mae_front", "mae_back", "geodesic_median", "geodesic_mean", "heads")
    tones = np.array([head.tone for sample in map(counted, samples) for head in sample.heads])
    rows = {tone: metrics.score(metrics.part(records, tones == tone)) for tone in TONES}
    return {
        "model": name,
        "data": data,
        "pictures": len(samples),
        "note": note,
        "summary": for_json({key: getattr(score, key) for key in names}),
        "ranges": for_json(by_range(records)),
        "tones": {tone: for_json(row.as_dict()) for tone, row in rows.items() if row.heads},
        "yaw": {key: for_json(row.as_dict()) for key, row in metrics.by_yaw(records)},
        "size": {key: for_json(row.as_dict()) for key, row in metrics.by_size(records)},
    }


def score_and_keep(
    name: str,
    predict: Predict,
    test: Path,
    limit: int | None,
    out: Path,
    keep: Path | None,
    note: str,
    **more: Any,
) -> None:
    """Score on the first `limit` scenes of `test`, write the result, with `more` in it, to
    OUT/result.json and to `keep`, print its table and, as the last line, its summary as JSON."""
    samples = read_labels(test, limit)
    records = records_of(predict, samples, name)
    result = result_of(name, records, samples, test.name, note) | more
    for path in filter(None, (out / "result.json", keep)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
    rows = [("all", metrics.score(records)), *metrics.by_yaw(records), *metrics.by_size(records)]
    print(metrics.format_table(result["model"][:12], rows))
    print(json.dumps(result["summary"]))
