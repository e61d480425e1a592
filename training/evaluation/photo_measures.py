# SPDX-License-Identifier: Apache-2.0
"""What answers about photographs are worth: pure numpy, no pictures.

A label is a line of `training/testsets/photos/labels.jsonl`: boxes and facing sectors judged by
eye, poses by three public networks ("teachers") where they agree, regions that are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import (
    angles_from_rotation,
    circular_difference,
    geodesic_degrees,
    rotation_from_angles,
)
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera

from ..labelling.proposals import sector_of, sector_yaw

# Boxes were drawn by eye, so a hit needs less overlap than with rendered truth. Heads below the
# least size are neither hit nor miss, and a box on one is no false positive.
RULES = metrics.Rules(iou=0.4, min_size=16.0)
LARGE = 32.0  # pixels at the model's input: root of the box's area
SIDE_TOLERANCE = 67.5  # degrees: the judged sector of 45 degrees or one of its neighbours
CONFIDENT = 12.0  # degrees that the teachers may differ by, on any angle
HALF_PROFILE, SIDE = 60.0, 30.0  # |yaw| in degrees, to and from which faces count
BACKS = ("BL", "B", "BR")
SIDES = ("L", "R")
ANGLES = ("yaw", "pitch", "roll")
EDGES = {"yaw": (-60, -30, -10, 10, 30, 60), "pitch": (-20, -10, 0, 10, 20),
         "roll": (-30, -15, -5, 5, 15, 30)}  # fmt: skip

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A labelled head that counts, and the answer to it.

    size: root of the box's area in pixels of the model's input. facing: its sector, None where
    nobody could tell. teacher: (3,) yaw, pitch, roll of the teachers' median, None where they are
    not confident. answer: (3,) the same of the answer, None where none was found or its rotation
    has no such triple. All angles are degrees relative to the ray the head is seen along.
    """

    size: float
    facing: str | None
    teacher: Array | None
    found: bool
    answer: Array | None
    score: float = 0.0


@dataclass(frozen=True)
class Photo:
    """What was answered about one photograph. hits, false: scores of boxes on heads of any size
    that counts, and of boxes on none; only where the photograph is labelled whole."""

    heads: list[Judged]
    hits: list[float]
    false: list[float]
    whole: bool
    empty: bool


def compare(label: dict[str, Any], found: Sequence[HeadEstimate], input_size: int) -> Photo:
    """The answers about one photograph beside its label."""
    width, height = label["width"], label["height"]
    scale = input_size / np.sqrt(width * height)
    boxes = [head["box"] for head in label["heads"]]
    regions = label.get("ignore", [])
    unknown = np.full((len(boxes) + len(regions), 3, 3), np.nan)
    visible = [1.0] * len(boxes) + [0.0] * len(regions)
    true = metrics.heads([*boxes, *regions], unknown, visible=visible)
    predicted = metrics.heads([h.box for h in found], [h.rotation for h in found])
    who = metrics.assign(predicted, true, (scale, scale), RULES)
    heads = [
        _judged(head, found[who.answer[i]] if who.answer[i] >= 0 else None, scale, (height, width))
        for i, head in enumerate(label["heads"])
        if who.counts[i]
    ]
    hits = [found[i].score for i in who.answer[who.answer >= 0]]
    false = [found[i].score for i in who.false_alarms]
    whole = bool(label["whole"])
    empty = whole and not boxes and not regions
    return Photo(heads, hits if whole else [], false if whole else [], whole, empty)


def _judged(
    head: dict[str, Any], answer: HeadEstimate | None, scale: float, size: tuple[int, int]
) -> Judged:
    x0, y0, x1, y1 = head["box"]
    teacher = None
    if is_confident(head):
        teacher = np.array(head["angles"], dtype=float)
    predicted = None if answer is None else relative_angles(answer, size)
    extent = float(np.sqrt((x1 - x0) * (y1 - y0)) * scale)
    score = 0.0 if answer is None else answer.score
    return Judged(extent, head["facing"], teacher, answer is not None, predicted, score)


def is_confident(head: dict[str, Any]) -> bool:
    """Whether teachers agree about a face, with each other and with the eye."""
    if head.get("source") != "face" or "angles" not in head:
        return False
    return max(head["spread"]) <= CONFIDENT and sector_of(head["angles"][0]) == head["facing"]


def relative_angles(head: HeadEstimate, size: tuple[int, int]) -> Array | None:
    """(3,) degrees relative to the ray the head is seen along, in a picture of `size` = (height,
    width) whose lens is unknown; None where no triple stands for that rotation."""
    turn = rotation_to_ray(usual_camera(size), head.box).T @ head.rotation
    angles = angles_from_rotation(turn)
    return None if angles is None else np.array(angles)


def summary(photos: Sequence[Photo]) -> dict[str, float]:
    """The numbers of the last line, but for milliseconds; NaN where there is nothing to average."""
    heads = [head for photo in photos for head in photo.heads]
    large = [h for h in heads if h.size >= LARGE]
    hits = sum(len(p.hits) for p in photos)
    false = sum(len(p.false) for p in photos)
    empty = [p for p in photos if p.empty]
    faces = compared_faces(photos)
    frontal = [h for h in faces if abs(_yaw(h)) <= HALF_PROFILE]
    turned = [h for h in faces if abs(_yaw(h)) > SIDE]
    in_company = false - sum(len(p.false) for p in empty)
    return {
        "recall": _mean([h.found for h in large]),
        "recall_small": _mean([h.found for h in heads if h.size < LARGE]),
        "precision": hits / (hits + in_company) if hits + in_company else float("nan"),
        "false_per_empty": sum(len(p.false) for p in empty) / len(empty) if empty else float("nan"),
        "teacher_geodesic_median": _median([_turn(h) for h in faces]),
        "teacher_mae": _mean([float(_errors(h).mean()) for h in frontal]),
        "teacher_mae_side": _mean([float(_errors(h).mean()) for h in turned]),
        "sides_right": _mean([side_is_right(h) for h in large if h.found and h.facing]),
        "backs_found": _mean([h.found for h in large if h.facing in BACKS]),
        "heads": len(heads),
        "empty_pictures": len(empty),
    }


def compared_faces(photos: Sequence[Photo]) -> list[Judged]:
    """Large heads of which both the teachers and the answer tell angles."""
    heads = [head for photo in photos for head in photo.heads if head.size >= LARGE]
    return [h for h in heads if h.teacher is not None and h.answer is not None]


def side_is_right(head: Judged) -> bool:
    """Whether the answered yaw lies in the judged sector or in one of its neighbours."""
    if head.answer is None or head.facing is None:
        return False
    apart = circular_difference(head.answer[0], sector_yaw(head.facing))
    return bool(abs(float(apart)) <= SIDE_TOLERANCE)


def by_facing(photos: Sequence[Photo]) -> dict[str, dict[str, float]]:
    """Heads, recall and share of sides right, of large heads by judged sector."""
    large = [h for p in photos for h in p.heads if h.size >= LARGE]
    rows = {}
    for facing in ("F", "FL", "L", "BL", "B", "BR", "R", "FR", None):
        part = [h for h in large if h.facing == facing]
        right = [side_is_right(h) for h in part if h.found and h.facing]
        rows[facing or "?"] = {"heads": len(part), "recall": _mean([h.found for h in part]),
                               "side right": _mean(right)}  # fmt: skip
    return rows


def by_range(photos: Sequence[Photo]) -> dict[str, list[dict[str, float]]]:
    """For each angle and range of the teachers' value: how many, mean absolute and signed error."""
    faces = compared_faces(photos)
    table: dict[str, list[dict[str, float]]] = {}
    for axis, name in enumerate(ANGLES):
        truth = np.array([h.teacher[axis] for h in faces if h.teacher is not None])
        error = np.array([_signed(h)[axis] for h in faces])
        bounds = list(pairwise((-180.0, *EDGES[name], 180.0)))
        masks = metrics.between(truth, dict(enumerate(bounds)))
        table[name] = [
            {"from": low, "to": high, "heads": int(inside.sum()),
             "absolute": float(np.abs(error[inside]).mean()),
             "signed": float(error[inside].mean())}
            for (low, high), inside in zip(bounds, masks.values(), strict=True) if inside.any()
        ]  # fmt: skip
    return table


def slopes(photos: Sequence[Photo]) -> dict[str, float]:
    """Least-squares slope of answers against the teachers, by angle: 1 is neither shrunk nor
    stretched."""
    faces = compared_faces(photos)
    found = {}
    for axis, name in enumerate(ANGLES):
        truth = np.array([h.teacher[axis] for h in faces if h.teacher is not None])
        predicted = truth + np.array([_signed(h)[axis] for h in faces])
        spread = truth - truth.mean() if len(truth) else truth
        enough = len(truth) > 1 and float(spread @ spread) > 0
        found[name] = float(spread @ predicted / (spread @ spread)) if enough else float("nan")
    return found


def curve(photos: Sequence[Photo], thresholds: Sequence[float]) -> list[dict[str, float]]:
    """Recall of large heads and precision, both on photographs labelled whole, and false positives
    a picture without people, by the least score."""
    whole = [p for p in photos if p.whole]
    company, empty = [p for p in whole if not p.empty], [p for p in whole if p.empty]
    large = [h for p in company for h in p.heads if h.size >= LARGE]
    rows = []
    for least in thresholds:
        hits = sum(score >= least for p in company for score in p.hits)
        false = sum(score >= least for p in company for score in p.false)
        nobody = sum(score >= least for p in empty for score in p.false)
        rows.append({
            "score": least,
            "recall": _mean([h.found and h.score >= least for h in large]),
            "precision": hits / (hits + false) if hits + false else float("nan"),
            "false_per_empty": nobody / len(empty) if empty else float("nan"),
        })  # fmt: skip
    return rows


def _signed(head: Judged) -> Array:
    assert head.answer is not None and head.teacher is not None
    signed: Array = circular_difference(head.answer, head.teacher)
    return signed


def _errors(head: Judged) -> Array:
    return np.abs(_signed(head))


def _turn(head: Judged) -> float:
    assert head.answer is not None and head.teacher is not None
    predicted, true = rotation_from_angles(*head.answer), rotation_from_angles(*head.teacher)
    return float(geodesic_degrees(predicted, true))


def _yaw(head: Judged) -> float:
    assert head.teacher is not None
    return float(head.teacher[0])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else float("nan")
