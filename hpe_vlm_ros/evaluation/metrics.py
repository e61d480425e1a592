# SPDX-License-Identifier: Apache-2.0
"""Scores of head poses: detection, circular error per angle, geodesic error, and tables by bin.

Pure numpy, shared by every evaluation. Each image gives `Records`, one row per true head that
counts; `merge` joins images, `score` sums up, `by_yaw` and `by_size` break down. Errors per angle
exist only where the true head has a (yaw, pitch, roll) triple, geodesic errors for all found heads.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpe_vlm_ros.boxes import match_boxes
from hpe_vlm_ros.geometry import (
    angles_from_rotations,
    box_area,
    box_iou,
    box_overlap,
    circular_difference,
    geodesic_degrees,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SIZE_EDGES = (32.0, 48.0, 64.0, 96.0, 128.0)


def halves(yaw: ArrayLike) -> dict[str, Mask]:
    """Masks (N,) of `front`, |yaw| < 90 degrees, and `back`, the rest, as in the paper's Table X.

    What `mae_front` and `mae_back` mean in every report. NaN is in neither.
    """
    turn = np.abs(np.asarray(yaw, dtype=float))
    return {"front": turn < 90, "back": turn >= 90}


def sides(yaw: ArrayLike) -> dict[str, Mask]:
    """Masks (N,) of `front` (|yaw| < 60 degrees), `side` and `back` (> 120), the rows of tables.

    NaN is in none.
    """
    turn = np.abs(np.asarray(yaw, dtype=float))
    return {"front": turn < 60, "side": (turn >= 60) & (turn <= 120), "back": turn > 120}


def between(values: ArrayLike, bounds: Mapping[str, tuple[float, float]]) -> dict[str, Mask]:
    """Masks (N,) of values in [low, high), by name. NaN is in none."""
    column = np.asarray(values, dtype=float)
    return {name: (column >= low) & (column < high) for name, (low, high) in bounds.items()}


def bins(values: ArrayLike, edges: Sequence[float], unit: str = "") -> dict[str, Mask]:
    """Masks (N,) of values below, between and above edges, named such as "16-32 px"."""
    bounds = {f"< {edges[0]:g}{unit}": (-np.inf, edges[0])}
    bounds |= {f"{a:g}-{b:g}{unit}": (a, b) for a, b in pairwise(edges)}
    return between(values, bounds | {f">= {edges[-1]:g}{unit}": (edges[-1], np.inf)})


@dataclass(frozen=True)
class Rules:
    """Which heads count and what a hit is; a head that does not count is neither hit nor miss."""

    iou: float = 0.5  # at least, for a hit
    min_size: float = 32.0  # root of the box's area in pixels of the model's input (as in COCO)
    min_visible: float = 0.2  # share of the head that shows


@dataclass(frozen=True)
class Heads:
    """Heads of one image: boxes (N, 4) in pixels, rotations (N, 3, 3), angles (N, 3) in degrees.

    Angles are yaw, pitch, roll, NaN where there is no triple; `visible` (N,) is a share, 0..1.
    An invalid answer, or a true head whose pose nobody knows, is a row of NaN in rotations and
    angles.
    """

    boxes: Array
    rotations: Array
    angles: Array
    visible: Array


def heads(
    boxes: ArrayLike,
    rotations: ArrayLike,
    angles: ArrayLike | None = None,
    visible: ArrayLike | None = None,
) -> Heads:
    """`Heads` of lists: boxes (N, 4) in pixels, rotations (N, 3, 3), angles (N, 3) in degrees.

    Give predicted `angles` as answered; None takes those of the rotations. visible: (N,) shares,
    None for all of each head. ValueError where there are more of one than of another.
    """
    box = np.asarray(boxes, dtype=float).reshape(-1, 4)
    rotation = np.asarray(rotations, dtype=float).reshape(-1, 3, 3)
    if len(box) != len(rotation):
        raise ValueError(f"{len(box)} boxes with {len(rotation)} rotations: give one for each head")
    angle = _angles(rotation) if angles is None else np.asarray(angles, dtype=float)
    share = np.ones(len(box)) if visible is None else np.asarray(visible, dtype=float)
    return Heads(box, rotation, angle.reshape(len(box), 3), share.reshape(len(box)))


def _angles(rotations: Array) -> Array:
    angles, known = np.full((len(rotations), 3), np.nan), np.isfinite(rotations).all(axis=(1, 2))
    # rounded, or rounding errors choose the bin at 60
    angles[known] = np.round(angles_from_rotations(rotations[known])[0], 9)
    return angles


@dataclass(frozen=True)
class Assignment:
    """Who answers for whom in one image.

    size (N,): of each true head, pixels of the model's input; counts (N,): whether it counts;
    answer (N,): index of the prediction for it, -1 for none, and -1 for heads that do not count;
    false_alarms (F,): indices of predictions that answer for nobody.
    """

    size: Array
    counts: Mask
    answer: NDArray[np.intp]
    false_alarms: NDArray[np.intp]


@dataclass(frozen=True)
class Records:
    """One row per true head that counts, and what was found beside them.

    size (N,) pixels of the model's input; yaw (N,) true, NaN without a triple; found (N,);
    error (N, 3) absolute circular degrees of yaw, pitch, roll; geodesic (N,) degrees. Errors are
    NaN where nothing was found, `error` also where there is no triple.
    """

    size: Array
    yaw: Array
    found: Mask
    error: Array
    geodesic: Array
    false_alarms: int | None = 0  # None: cannot be told, as in a part of the heads
    ignored: int = 0


@dataclass(frozen=True)
class Score:
    """Summary of `Records`; degrees, and shares 0..1. NaN where there is nothing to average.

    `mae` is the mean over heads of the mean over yaw, pitch and roll; front and back are `halves`.
    `without_triple` counts found heads that are in the geodesic errors only. Heads of unknown
    pose are in recall and precision only.
    """

    heads: int
    found: int
    false_alarms: int | None
    ignored: int
    without_triple: int
    recall: float
    precision: float
    mae: float
    mae_front: float
    mae_back: float
    geodesic_mean: float
    geodesic_median: float

    def as_dict(self) -> dict[str, float | int | None]:
        """Names and values, fit for JSON: NaN becomes None."""
        return {k: None if v is None or np.isnan(v) else v for k, v in asdict(self).items()}


def assign(
    predicted: Heads, true: Heads, scale: tuple[float, float] = (1.0, 1.0), rules: Rules = Rules()
) -> Assignment:
    """Match an image's predictions with its true heads by their boxes.

    `scale` is (across, down) pixels of the model's input per pixel of the image. Predictions left
    over that overlap a head that does not count, or lie mostly within it, are dropped; the rest are
    false alarms.
    """
    size, counts = head_sizes(true.boxes, scale), _counting(true, scale, rules)
    pairs = match_boxes(predicted.boxes, true.boxes[counts], rules.iou)
    answer = np.full(len(true.boxes), -1, dtype=np.intp)
    answer[np.flatnonzero(counts)[pairs[:, 1]]] = pairs[:, 0]
    left = np.setdiff1d(np.arange(len(predicted.boxes)), pairs[:, 0])
    absorbed = _absorbed(predicted.boxes[left], true.boxes[~counts], rules.iou)
    return Assignment(size, counts, answer, left[~absorbed])


def end_to_end(
    predicted: Heads, true: Heads, scale: tuple[float, float] = (1.0, 1.0), rules: Rules = Rules()
) -> Records:
    """Score an image's predictions by their own boxes; arguments as for `assign`."""
    who = assign(predicted, true, scale, rules)
    alarms = len(who.false_alarms)
    return _records(predicted, who.answer, true, who.size, who.counts, alarms)


def given_boxes(
    predicted: Heads, true: Heads, scale: tuple[float, float] = (1.0, 1.0), rules: Rules = Rules()
) -> Records:
    """Score answers to questions about the true boxes: `predicted` holds one head per true head.

    This is the paper's protocol. An invalid answer (NaN) is a head not found, so 1 - recall is the
    share of invalid answers.
    """
    if len(predicted.rotations) != len(true.rotations):
        raise ValueError(
            f"{len(predicted.rotations)} answers about {len(true.rotations)} heads: give one each"
        )
    valid = np.isfinite(predicted.rotations.sum(axis=(1, 2)))
    answer = np.where(valid, np.arange(len(valid)), -1)
    size, counts = head_sizes(true.boxes, scale), _counting(true, scale, rules)
    return _records(predicted, answer, true, size, counts, false_alarms=None)


def merge(records: Iterable[Records]) -> Records:
    """The records of many images as one; ValueError if there are none."""
    parts = list(records)
    if not parts:
        raise ValueError("no records: score at least one image")
    alarms = [part.false_alarms for part in parts if part.false_alarms is not None]
    return Records(
        size=np.concatenate([part.size for part in parts]),
        yaw=np.concatenate([part.yaw for part in parts]),
        found=np.concatenate([part.found for part in parts]),
        error=np.concatenate([part.error for part in parts]),
        geodesic=np.concatenate([part.geodesic for part in parts]),
        false_alarms=sum(alarms) if len(alarms) == len(parts) else None,
        ignored=sum(part.ignored for part in parts),
    )


def score(records: Records) -> Score:
    """Sum up; see `Score`."""
    found, triple = int(records.found.sum()), np.isfinite(records.error).all(axis=1)
    per_head = records.error[triple].mean(axis=1)
    half = halves(records.yaw[triple])
    posed = records.found & np.isfinite(records.geodesic)
    geodesic = records.geodesic[posed]
    alarms = records.false_alarms
    return Score(
        heads=len(records.found),
        found=found,
        false_alarms=alarms,
        ignored=records.ignored,
        without_triple=int((posed & ~triple).sum()),
        recall=_ratio(found, len(records.found)),
        precision=float("nan") if alarms is None else _ratio(found, found + alarms),
        mae=_mean(per_head),
        mae_front=_mean(per_head[half["front"]]),
        mae_back=_mean(per_head[half["back"]]),
        geodesic_mean=_mean(geodesic),
        geodesic_median=float(np.median(geodesic)) if len(geodesic) else float("nan"),
    )


def by_yaw(records: Records) -> list[tuple[str, Score]]:
    """Scores of `sides` and of heads without a triple."""
    masks = sides(records.yaw) | {"no triple": np.isnan(records.yaw)}
    return [(name, score(part(records, mask))) for name, mask in masks.items()]


def by_size(records: Records, edges: tuple[float, ...] = SIZE_EDGES) -> list[tuple[str, Score]]:
    """Scores of heads between `edges` (pixels of the model's input), and below and above them."""
    masks = bins(records.size, edges)
    return [(name, score(part(records, mask))) for name, mask in masks.items() if mask.any()]


def format_table(title: str, rows: Iterable[tuple[str, Score]]) -> str:
    """A table for people: one line a score, errors in degrees, '-' where there is none."""
    names = ("recall", "precision", "mae", "mae_front", "mae_back", "geodesic_median")
    lines = [f"{title:<12}{'heads':>8}" + "".join(f"{name:>17}" for name in names)]
    for name, row in rows:
        values = [getattr(row, column) for column in names]
        digits = [3, 3, 1, 1, 1, 1]
        cells = ["-" if np.isnan(v) else f"{v:.{d}f}" for v, d in zip(values, digits, strict=True)]
        lines.append(f"{name:<12}{row.heads:>8}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


def _records(
    predicted: Heads,
    answer: NDArray[np.intp],
    true: Heads,
    size: Array,
    counts: Mask,
    false_alarms: int | None,
) -> Records:
    """`answer` (N,): which prediction each true head has, -1 for none."""
    found = answer >= 0
    error, geodesic = np.full((len(found), 3), np.nan), np.full(len(found), np.nan)
    mine = answer[found]
    error[found] = np.abs(circular_difference(predicted.angles[mine], true.angles[found]))
    geodesic[found] = geodesic_degrees(predicted.rotations[mine], true.rotations[found])
    return Records(
        size[counts],
        true.angles[counts, 0],
        found[counts],
        error[counts],
        geodesic[counts],
        false_alarms,
        int((~counts).sum()),
    )


def head_sizes(boxes: Array, scale: tuple[float, float]) -> Array:
    """Square roots (N,) of areas of boxes (N, 4), in the input's pixels; `scale` as in `assign`."""
    sides = (boxes[:, 2:] - boxes[:, :2]) * np.asarray(scale, dtype=float)
    size: Array = np.sqrt(np.clip(sides, 0, None).prod(axis=1))
    return size


def _counting(true: Heads, scale: tuple[float, float], rules: Rules) -> Mask:
    mask: Mask = (head_sizes(true.boxes, scale) >= rules.min_size) & (
        true.visible >= rules.min_visible
    )
    return mask


def _absorbed(boxes: Array, ignored: Array, iou: float) -> Mask:
    """Which boxes (N,) overlap an ignored head, or have more than half their area within it."""
    within = box_overlap(boxes, ignored) > 0.5 * box_area(boxes)[:, None]
    return np.asarray(((box_iou(boxes, ignored) >= iou) | within).any(axis=1))


def part(records: Records, mask: Mask) -> Records:
    """The records of some heads; of false alarms nothing can be said then."""
    return Records(
        records.size[mask], records.yaw[mask], records.found[mask], records.error[mask],
        records.geodesic[mask], false_alarms=None,
    )  # fmt: skip


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
