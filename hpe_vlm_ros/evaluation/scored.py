# SPDX-License-Identifier: Apache-2.0
"""One row for each true head and each false alarm: what all measures are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.boxes import match_boxes
from hpe_vlm_ros.geometry import circular_difference, geodesic_degrees, rotation_vector
from hpe_vlm_ros.lens import from_numbers
from hpe_vlm_ros.recordings.records import FrameRecord, Head, looking
from hpe_vlm_ros.recordings.truth import Key, Truth

from .metrics import Heads, Rules, assign, head_sizes

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scored:
    """Rows (N) for true heads, rows (A) for false alarms. Sizes are roots of box areas in pixels of
    the model's input, angles are degrees, NaN where unknown or not found.

    frame (N,), alarm_frame (A,): index into `frames`, the labelled frames. counts (N,): whether the
    head counts by the rules: `large` and `seen` enough. found (N,). answer (N,): index of its
    estimate in the frame, or -1.
    error (N, 3): absolute, of yaw, pitch, roll. turn (N, 3): rotation vector, rad, from estimate to
    truth about the optical axes. covariance (N, 3, 3) stated for it. people (N,): heads that count
    in its frame. looks, looks_true (N,): degrees between gaze and camera. size_found, yaw_found
    (N,): of the estimate.
    """

    frames: list[Key]
    frame: Index
    counts: Mask
    large: Mask
    seen: Mask
    found: Mask
    answer: Index
    size: Array
    yaw: Array
    error: Array
    geodesic: Array
    turn: Array
    covariance: Array
    visible: Array
    distance: Array
    people: Array
    looks: Array
    looks_true: Array
    size_found: Array
    yaw_found: Array
    true_heads: list[Head]
    alarm_frame: Index
    alarm_size: Array
    alarm_yaw: Array


def scored(records: Sequence[FrameRecord], truth: Truth, input_size: int, rules: Rules) -> Scored:
    """The table of all frames that are labelled and could be read."""
    labelled = [r for r in records if r.key in truth.heads and r.error is None]
    rows: dict[str, list[object]] = {name: [] for name in _ROWS}
    true_heads: list[Head] = []
    alarms: list[tuple[int, float, float]] = []
    for place, record in enumerate(labelled):
        whole = None if record.key in truth.in_part else alarms
        _add_frame(place, record, truth.heads[record.key], input_size, rules, rows, whole)
        true_heads += truth.heads[record.key]
    count = len(true_heads)
    shapes = {"error": (count, 3), "turn": (count, 3), "covariance": (count, 3, 3)}
    kinds = {
        "frame": np.intp,
        "answer": np.intp,
    } | dict.fromkeys(("counts", "large", "seen", "found"), np.bool_)
    arrays: dict[str, Any] = {
        name: np.array(values, dtype=kinds.get(name, np.float64)).reshape(
            shapes.get(name, (count,))
        )
        for name, values in rows.items()
    }
    alarm = np.array(alarms, dtype=np.float64).reshape(-1, 3)
    return Scored(
        frames=[record.key for record in labelled],
        true_heads=true_heads,
        alarm_frame=alarm[:, 0].astype(np.intp),
        alarm_size=alarm[:, 1],
        alarm_yaw=alarm[:, 2],
        **arrays,
    )  # fmt: skip


_ROWS = (
    "frame", "counts", "large", "seen", "found", "answer", "size", "yaw", "error", "geodesic",
    "turn", "covariance", "visible", "distance", "people", "looks", "looks_true", "size_found",
    "yaw_found",
)  # fmt: skip


def _add_frame(
    place: int,
    record: FrameRecord,
    true: Sequence[Head],
    input_size: int,
    rules: Rules,
    rows: dict[str, list[object]],
    alarms: list[tuple[int, float, float]] | None,
) -> None:
    """alarms: takes the false ones; None where nobody can tell."""
    scale = (input_size / record.width, input_size / record.height)
    mine, theirs = as_heads(record.heads), as_heads(true)
    who = assign(mine, theirs, scale, rules)
    answer = _with_the_uncounted(who.answer, who.counts, mine, theirs, rules)
    sizes = head_sizes(mine.boxes, scale)
    camera = from_numbers(record.camera) if record.camera else None
    people = int(who.counts.sum())
    for row, head in enumerate(true):
        chosen = int(answer[row])
        found = record.heads[chosen] if chosen >= 0 else None
        values = _compared(found, head)
        values |= {
            "frame": place,
            "counts": who.counts[row],
            "large": who.size[row] >= rules.min_size,
            "seen": head.visible >= rules.min_visible,
            "answer": chosen,
            "size": who.size[row],
            "visible": head.visible,
            "distance": np.nan if head.position is None else np.linalg.norm(head.position),
            "people": people,
            "looks_true": looking(
                head.matrix, head.box, record.width, record.height, camera, head.position
            ),
            "size_found": sizes[chosen] if found else np.nan,
        }
        for name in _ROWS:
            rows[name].append(values[name])
    if alarms is not None:
        alarms += [(place, sizes[i], mine.angles[i, 0]) for i in who.false_alarms]


def _compared(found: Head | None, true: Head) -> dict[str, object]:
    """The columns that compare an estimate with the truth; NaN without one."""
    yaw = true.angles[0]
    if found is None:
        blank = {"looks": np.nan, "yaw_found": np.nan, "geodesic": np.nan}
        none = {"error": [np.nan] * 3, "turn": [np.nan] * 3, "covariance": [[np.nan] * 3] * 3}
        return {"found": False, "yaw": yaw, **blank, **none}
    stated = np.full((3, 3), np.nan)
    if found.covariance is not None:
        stated = np.array(found.covariance).reshape(3, 3)
    return {
        "found": True,
        "yaw": yaw,
        "error": np.abs(circular_difference(found.angles, true.angles)),
        "geodesic": float(geodesic_degrees(found.matrix, true.matrix)),
        "turn": rotation_vector(true.matrix @ found.matrix.T) if true.rotation else [np.nan] * 3,
        "covariance": stated,
        "looks": np.nan if found.looking is None else found.looking,
        "yaw_found": found.angles[0],
    }


def as_heads(heads: Sequence[Head]) -> Heads:
    """Records as the metrics take them."""
    return Heads(
        np.array([h.box for h in heads], dtype=float).reshape(-1, 4),
        np.array([h.matrix for h in heads], dtype=float).reshape(-1, 3, 3),
        np.array([h.angles for h in heads], dtype=float).reshape(-1, 3),
        np.array([h.visible for h in heads], dtype=float),
    )


def _with_the_uncounted(
    answer: Index, counts: Mask, mine: Heads, theirs: Heads, rules: Rules
) -> Index:
    """Answers for heads that do not count as well, from estimates left over: for tables only."""
    left = np.setdiff1d(np.arange(len(mine.boxes)), answer)
    rest = np.flatnonzero(~counts)
    pairs = match_boxes(mine.boxes[left], theirs.boxes[rest], rules.iou)
    full = answer.copy()
    full[rest[pairs[:, 1]]] = left[pairs[:, 0]]
    return full
