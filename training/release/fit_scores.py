# SPDX-License-Identifier: Apache-2.0
"""Fit how a model's box scores are joined out of the text's and the tower's, on labelled pictures.

    python -m training.release.fit_scores MODEL '[runs/photos_validation]'

Every picture is asked for boxes once. Of each box that the text names it is known whether it is one
of a head; a logistic regression (`hpe_vlm_ros.vlm.decoding.presence.ScoreWeights`) of the text's
score, the tower's read-out and the box's size and shape then gives the probability. The weights go
into the model's config.json, with the least score (`min_score`) at which `precision` of the boxes
are heads, and scores need no further calibration. Pictures must not have been learnt from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli
from scipy.optimize import minimize
from tqdm import tqdm

from hpe_vlm_ros.answers import pixel_box
from hpe_vlm_ros.boxes import without_duplicates
from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.vlm.decoding.constrained import expected
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.decoding.presence import ScoreWeights, features
from hpe_vlm_ros.vlm.loading import load_engine

from ..data.labels import read_labels
from ..data.sample import Sample
from ..evaluation.photo_measures import RULES
from ..evaluation.scoring import true_heads

MOST = 60  # boxes of one picture
RIDGE = 1e-3  # keeps weights finite where boxes are told apart without an error


@dataclass(frozen=True)
class Boxes:
    """Boxes that a model named: what is known of each (N, 6), and whether it is a head's (N,)."""

    features: np.ndarray
    hits: np.ndarray


def named_boxes(engine: Engine, samples: Sequence[Sample]) -> Boxes:
    """The boxes on pictures of which all heads are known, less duplicates."""
    rows, hits = [], []
    for sample in tqdm(samples, unit="picture"):
        image = sample.load()
        look = engine.look(engine.processor.pixels(image), pick=expected)
        found = without_duplicates(look.detect(MOST))
        presence = look.presence
        if presence is None:
            raise ValueError("this model has no read-out of presence: train it on further first")
        size = sample.width, sample.height
        boxes = [pixel_box(one.box, *size) for one in found]
        scale = engine.processor.facts.image_size / np.sqrt(size[0] * size[1])
        predicted = metrics.heads(boxes, np.full((len(boxes), 3, 3), np.nan))
        who = metrics.assign(predicted, true_heads(sample), (scale, scale), RULES)
        right = set(who.answer[who.answer >= 0].tolist())
        counted = [i for i in range(len(found)) if i in right or i in who.false_alarms]
        known = features([one.score for one in found], [one.box for one in found], presence.logits)
        rows.append(known[counted])
        hits += [i in right for i in counted]
    return Boxes(np.concatenate(rows), np.array(hits, dtype=bool))


def fit(boxes: Boxes) -> ScoreWeights:
    """The weights that make what came true likeliest. ValueError where there is only one kind."""
    # the ridge should weigh alike on features of all sizes
    scale = np.maximum(boxes.features.std(0), 1e-6)
    scale[-1] = 1.0  # the constant does not vary
    found = logistic_weights(boxes.features / scale, boxes.hits, RIDGE) / scale
    return ScoreWeights(*(round(float(v), 4) for v in found))


def logistic_weights(features: np.ndarray, hits: np.ndarray, ridge: float) -> np.ndarray:
    """(C,) weights of a logistic regression of hits (N,) on features (N, C) of boxes.

    ridge: of the squared length of the weights, beside the mean loss of a box. ValueError where
    all boxes are hits, or none is.
    """
    if hits.all() or not hits.any():
        raise ValueError("all boxes are right or all wrong: give more pictures")

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        sums = features @ weights
        loss = (np.logaddexp(0, sums) - hits * sums).mean() + ridge * weights @ weights
        miss = 1 / (1 + np.exp(-sums)) - hits
        return loss, features.T @ miss / len(miss) + 2 * ridge * weights

    found: np.ndarray = minimize(cost, np.zeros(features.shape[1]), jac=True).x
    return found


def least_score(scores: np.ndarray, hits: np.ndarray, precision: float) -> float:
    """The lowest of scores (N,) from which on the share `precision` of the boxes are hits (N,); 1
    where there is none."""
    order = np.argsort(-scores)
    share = np.cumsum(hits[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= precision)
    return float(scores[order][good[-1]]) if len(good) else 1.0


def average_precision(scores: np.ndarray, hits: np.ndarray) -> float:
    """Area under the precision-recall curve of scores (N,) for hits (N,): recall counts heads that
    some box names, not those that none does."""
    order = np.argsort(-scores)
    share = np.cumsum(hits[order]) / np.arange(1, len(order) + 1)
    return float(share[hits[order]].mean())


def main(
    model: Path,
    pictures: list[Path],
    precision: float = 0.93,
    threads: int | None = None,
    write: bool = True,
) -> None:
    """Fit weights of scores, and the least score of a box.

    Args:
        model: model folder; its config.json gets the weights.
        pictures: folders of labelled pictures that were not learnt from.
        precision: share of boxes from the least score on that must be heads.
        threads: of the arithmetic.
        write: false only prints.
    """
    engine = load_engine(model, None, "auto", threads)
    engine.score_weights = None  # what the text says plainly
    samples = [s for folder in pictures for s in read_labels(folder) if s.all_heads]
    boxes = named_boxes(engine, samples)
    weights = fit(boxes)
    text = boxes.features[:, 0]
    joined = 1 / (1 + np.exp(-boxes.features @ np.array([*weights.as_dict().values()])))
    least = round(least_score(joined, boxes.hits, precision), 4)
    kept = joined >= least
    numbers = {
        "pictures": len(samples), "boxes": len(boxes.hits), "heads": int(boxes.hits.sum()),
        "average_precision_text": average_precision(text, boxes.hits),
        "average_precision": average_precision(joined, boxes.hits),
        "min_score": least, "precision": float(boxes.hits[kept].mean()) if kept.any() else None,
        "kept_of_heads": float(kept[boxes.hits].mean()),
    } | weights.as_dict()  # fmt: skip
    for name, value in numbers.items():
        print(f"{name:<24}{value}")
    if write:
        file = model / "config.json"
        config = json.loads(file.read_text())
        known = config.get("calibration") or {}
        config |= {
            "score_weights": weights.as_dict(), "min_score": least,
            "calibration": known | {"score_slope": 1.0, "score_offset": 0.0},
        }  # fmt: skip
        file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        print(f"written into {file}")
    print(json.dumps(numbers))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
