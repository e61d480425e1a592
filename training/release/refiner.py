# SPDX-License-Identifier: Apache-2.0
"""Put a refiner into a model folder, and fit its scores and covariances on labelled pictures.

    python -m training.release.refiner MODEL runs/refiner/refiner.safetensors \
        '[runs/photos_validation,runs/scenes_validation]' --base models/embedded

The network is exported to ONNX. Then the model, with it, looks at pictures that neither has learnt
from: a logistic regression gives scores, `min_score` is where `precision` of the boxes are heads,
and stated deviations are calibrated as `training.release.calibrate` does it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn
from tqdm import tqdm

from hpe_vlm_ros.boxes import match_boxes, within
from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import box_iou, rotation_vector
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera
from hpe_vlm_ros.refinement import SIDE, Proposal, looked_twice, parts_along, refined_heads
from hpe_vlm_ros.spread import Calibration
from hpe_vlm_ros.vlm.experts import FOLDER
from hpe_vlm_ros.vlm.export import OPSET
from hpe_vlm_ros.vlm.model_folder import digest
from hpe_vlm_ros.vlm.onnxruntime.files import tidy
from hpe_vlm_ros.vlm.refiner import (
    CONFIG,
    FORMAT,
    GRAPH,
    NAME,
    Refiner,
    RefinerSettings,
)

from ..data.labels import read_labels
from ..data.sample import Sample
from ..evaluation.scoring import true_heads
from ..refiner import network
from .calibrate import as_stated, stated_heads
from .calibration import LEAST, fit
from .fit_scores import RULES, average_precision, least_score, logistic_weights

RIDGE = 1e-4  # keeps weights finite where boxes are told apart without an error
Array = NDArray[np.float64]
SAME_IOU = 0.5  # of a known head and the box found for it
STARTING = RefinerSettings(min_score=0.0)


class Graph(nn.Module):
    """The network for squares (N, SIDE, SIDE, 3) uint8, as pictures lie in memory."""

    def __init__(self, refiner: nn.Module) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, squares: Tensor) -> Tensor:
        outputs: Tensor = self.refiner(squares.permute(0, 3, 1, 2))
        return outputs


def averaged(weights: Path, base: Path | None, share: float) -> network.Refiner:
    """A network with `share` of these weights and the rest of the weights that they were learnt
    from, which generalises better than either (Wortsman et al., "Robust fine-tuning of zero-shot
    models", 2022); `base` is the model folder of the latter, None where there were none."""
    refiner = network.read_weights(weights)
    known = None if base is None else network.trained_in(base)
    if known is not None:
        before = network.read_weights(known).state_dict()
        learnt = refiner.state_dict()
        refiner.load_state_dict({k: before[k].lerp(part, share) for k, part in learnt.items()})
    return refiner


def export(refiner: network.Refiner, place: Path) -> None:
    """Write a refiner's network, its weights and settings that are not fitted yet to `place`."""
    place.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(refiner).eval(),
            (torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8),),
            str(place / GRAPH),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            input_names=["squares"],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim("squares")},),
            verbose=False,
        )
    tidy(place / GRAPH)
    write_settings(place, STARTING)


def write_settings(place: Path, settings: RefinerSettings) -> None:
    """config.json of a refiner's folder."""
    content = {
        "format": FORMAT,
        "sha256": digest(place / GRAPH),
        "settings": {name: round(value, 4) for name, value in asdict(settings).items()},
    }
    (place / CONFIG).write_text(json.dumps(content, indent=2) + "\n")


@dataclass(frozen=True)
class Asked:
    """A picture, and what was proposed in it."""

    sample: Sample
    image: NDArray[np.uint8]
    proposals: list[Proposal]


def judged(boxes: np.ndarray, sample: Sample, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) which boxes lie on a head, several on one included, and (N,) which on none; a box on a
    head that does not count, or that is too small to count, is neither."""
    known = [head.box for head in sample.heads]
    hits = np.zeros(len(boxes), dtype=bool)
    if known and len(boxes):
        hits = box_iou(boxes, known).max(1) >= RULES.iou
    scale = side / np.sqrt(sample.width * sample.height)
    predicted = metrics.heads(boxes, np.full((len(boxes), 3, 3), np.nan))
    who = metrics.assign(predicted, true_heads(sample), (scale, scale), RULES)
    false = np.zeros(len(boxes), dtype=bool)
    false[list(who.false_alarms)] = True
    return hits, false & ~hits


def fit_scores(refiner: Refiner, asked: Sequence[Asked], side: int) -> RefinerSettings:
    """Weights of a logistic regression that tells boxes of heads from others."""
    rows, right = [], []
    for one in asked:
        output = looked_twice(one.image, [p.box for p in one.proposals], refiner)
        hits, false = judged(output.boxes, one.sample, side)
        known = refiner.features(output, one.proposals, one.image.shape[:2])
        rows.append(known[hits | false])
        right.append(hits[hits | false])
    found = logistic_weights(np.concatenate(rows), np.concatenate(right), RIDGE)
    names = ("presence", "score", "log_size", "offset")
    return replace(STARTING, **dict(zip(names, found.tolist(), strict=True)))


def final_boxes(
    refiner: Refiner, asked: Sequence[Asked], side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N,) of all boxes that are left in the end, and which (N,) are those of heads."""
    scores, right = [], []
    for one in asked:
        heads, _ = refined_heads(one.image, one.proposals, refiner, len(one.proposals))
        hits, false = judged(np.array([h.box for h in heads]).reshape(-1, 4), one.sample, side)
        scores += [h.score for h, counts in zip(heads, hits | false, strict=True) if counts]
        right += hits[hits | false].tolist()
    return np.array(scores), np.array(right, dtype=bool)


def fit_factors(perceiver: HeadPerceiver, plain: HeadPerceiver, asked: Sequence[Asked]) -> Array:
    """(3,) factors of the variances of the language model's answers that make the mean error of
    joined poses least, on heads whose pose is known well; `plain` is without a refiner."""
    refiner, rows = perceiver.refiner, []
    assert refiner is not None
    for one in tqdm(asked, unit="picture"):
        known = [head for head in one.sample.heads if head.is_exact]
        heads, _ = refined_heads(one.image, one.proposals, refiner, len(one.proposals) or 1)
        if not known or not heads:
            continue
        answers = plain.poses(one.image, [within(h.box, *one.image.shape[1::-1]) for h in heads])
        camera = usual_camera(one.image.shape[:2])
        pairs = match_boxes([h.box for h in known], [h.box for h in heads], SAME_IOU)
        for true, index in pairs.tolist():
            head, answer = heads[index], answers[index]
            if head.rotation_covariance is None or answer.rotation_covariance is None:
                continue
            ray = rotation_to_ray(camera, head.box)
            truth = rotation_vector(ray.T @ known[true].rotation @ head.rotation.T @ ray)
            rows.append([truth, *parts_along(ray, head, answer)])
    if len(rows) < LEAST:
        raise ValueError(
            f"{len(rows)} heads with known poses, {LEAST} are needed: give more pictures"
        )
    truth, turn, ours, theirs = np.moveaxis(np.array(rows), 1, 0)

    def cost(logarithms: np.ndarray) -> float:
        share = ours / (ours + np.exp(logarithms) * theirs)
        return float(np.abs(truth - share * turn).sum(1).mean())

    best: Array = np.exp(minimize(cost, np.zeros(3), method="Nelder-Mead").x)
    return best


def fit_rotations(perceiver: HeadPerceiver, asked: Sequence[Asked]) -> Calibration:
    """Scale and floor of the deviations, on heads whose pose is known well."""
    side, lines = perceiver.input_size, []
    for one in tqdm(asked, unit="picture"):
        known = [h if h.is_exact else replace(h, rotation=None) for h in one.sample.heads]
        sample = replace(one.sample, heads=known)
        scale = side / sample.width, side / sample.height
        lines.append(stated_heads(perceiver(one.image), sample, scale))
    return fit(as_stated(lines))


def main(
    model: Path,
    weights: Path,
    pictures: list[Path],
    base: Path | None = None,
    share: float = 0.6,
    precision: float = 0.96,
    threads: int | None = None,
) -> None:
    """Export a refiner into a model folder and fit its settings.

    Args:
        model: model folder; gets experts/refiner.
        weights: of the network, as `training.teach_refiner` writes them.
        pictures: folders of labelled pictures that neither model nor refiner has learnt from.
        base: model folder whose refiner these weights were learnt from, to take the mean with.
        share: of these weights in that mean.
        precision: share of boxes from the least score on that must be heads.
        threads: of the arithmetic.
    """
    place = model / FOLDER / NAME
    export(averaged(weights, base, share), place)
    perceiver = HeadPerceiver.load(model, max_heads=60, threads=threads)
    refiner, side = perceiver.refiner, perceiver.input_size
    assert refiner is not None
    asked = []
    for sample in tqdm([s for folder in pictures for s in read_labels(folder)], unit="picture"):
        image = sample.load()
        asked.append(Asked(sample, image, perceiver.proposals(image)))
    whole = [one for one in asked if one.sample.all_heads]
    refiner.settings = fit_scores(refiner, whole, side)
    scores, right = final_boxes(refiner, whole, side)
    least = least_score(scores, right, precision)
    refiner.settings = replace(refiner.settings, min_score=least)
    plain = HeadPerceiver.load(model, threads=threads, refine=False)
    pitch, yaw, roll = fit_factors(perceiver, plain, asked).tolist()
    refiner.settings = replace(
        refiner.settings, answer_pitch=pitch, answer_yaw=yaw, answer_roll=roll
    )
    fitted = fit_rotations(perceiver, asked)
    refiner.settings = replace(
        refiner.settings, rotation_scale=fitted.rotation_scale, rotation_floor=fitted.rotation_floor
    )
    write_settings(place, refiner.settings)
    kept = scores >= least
    numbers = {
        "pictures": len(whole), "heads": int(right.sum()),
        "average_precision": average_precision(scores, right),
        "precision": float(right[kept].mean()),
    } | asdict(refiner.settings)  # fmt: skip
    for name, value in numbers.items():
        print(f"{name:<24}{value:.4f}")
    print(f"written to {place}: {sum(f.stat().st_size for f in place.iterdir()) / 1e6:.1f} MB")
    print(json.dumps(numbers))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
