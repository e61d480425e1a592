# SPDX-License-Identifier: Apache-2.0
"""The measures of a run against ground truth, each a function of weights on frames.

Definitions are those of `hpe_vlm_ros.evaluation.metrics`: heads count from a size and a visible
share on; angle errors are circular and only of heads that have a triple; E_angle is the share of
invalid answers when no grammar rules them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from hpe_vlm_ros.recordings.records import FrameRecord

from .bootstrap import Area, Measure, Quantile, Ratio
from .calibration import within_sigma
from .metrics import between, bins, halves, sides
from .scored import Array, Index, Mask, Scored

Row = tuple[str, dict[str, Measure]]

SIZES = (16.0, 32.0, 48.0, 64.0, 96.0, 128.0)
YAWS = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0)
DISTANCES = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
VISIBLE = (0.2, 0.4, 0.6, 0.8, 1.0)
PEOPLE = (1, 2, 3, 5, 8)


def totals(table: Scored, looking_angle: float) -> dict[str, Measure]:
    """Name to measure over all heads that count. looking_angle: degrees; see `looking_area`."""
    triple = np.isfinite(table.error).all(axis=1)
    half = halves(table.yaw)
    found = table.counts & table.found
    posed = found & np.isfinite(table.geodesic)
    mae = table.error.mean(axis=1)
    named: dict[str, Measure] = {
        "recall": _mean(table, table.counts, table.found),
        "precision": precision(table),
        "mae": _mean(table, found & triple, mae),
    }
    for column, name in enumerate(("yaw", "pitch", "roll")):
        named[f"mae_{name}"] = _mean(table, found & triple, table.error[:, column])
    named |= {
        "mae_front": _mean(table, found & triple & half["front"], mae),
        "mae_back": _mean(table, found & triple & half["back"], mae),
        "geodesic_mean": _mean(table, posed, table.geodesic),
        "geodesic_median": _quantile(table, posed, table.geodesic, 0.5),
        "geodesic_p90": _quantile(table, posed, table.geodesic, 0.9),
        "looking_auc": looking_area(table, looking_angle),
    }
    stated = posed & np.isfinite(table.covariance).all(axis=(1, 2))
    for count in (1, 2):
        inside = within_sigma(table.turn, table.covariance, count)
        named[f"within_{count}_sigma"] = Ratio(
            _per_frame(table, table.frame, stated, inside.sum(axis=1)),
            _per_frame(table, table.frame, stated, np.full(len(stated), 3.0)),
        )
    return named


def unconstrained(records: Sequence[FrameRecord]) -> dict[str, Measure]:
    """E_angle over frames in which it was asked; weights are on all of `records`."""
    asked = [record.free or () for record in records]
    invalid = np.array([sum(bool(reason) for reason in a) for a in asked], dtype=float)
    return {"e_angle": Ratio(invalid, np.array([len(a) for a in asked], dtype=float))}


def precision(table: Scored, right: Mask | None = None, wrong: Mask | None = None) -> Ratio:
    """Hits by hits and false alarms; of heads in `right` (N,) (None: all that count) and false
    alarms in `wrong` (A,) (None: all)."""
    hits = table.found & (table.counts if right is None else right)
    alarms = np.ones(len(table.alarm_frame), bool) if wrong is None else wrong
    good = _per_frame(table, table.frame, hits)
    return Ratio(good, good + _per_frame(table, table.alarm_frame, alarms))


def looking_area(table: Scored, angle: float) -> Area:
    """Area under the ROC of "looks at the camera": true within `angle` degrees, by the estimate."""
    rows = table.counts & table.found & np.isfinite(table.looks) & np.isfinite(table.looks_true)
    return Area(-table.looks[rows], table.looks_true[rows] <= angle, table.frame[rows])


def by_size(table: Scored) -> list[Row]:
    """Recall by true size, precision by the estimate's; sizes in pixels of the model's input.

    Heads too small to count have rows as well.
    """
    return [
        (name, _row(table, a & table.seen) | {"precision": precision(table, b & table.seen, c)})
        for name, a, b, c in _bins(SIZES, " px", table.size, table.size_found, table.alarm_size)
    ]


def by_yaw(table: Scored) -> list[Row]:
    """Bins of |yaw|; heads without a triple have a row of their own."""
    bounds = {f"{a:g}-{b:g}°": (a, np.inf if b == YAWS[-1] else b) for a, b in pairwise(YAWS)}
    columns = table.yaw, table.yaw_found, table.alarm_yaw
    turns, found, alarms = (between(np.abs(yaw), bounds) for yaw in columns)
    rows = [
        (
            name,
            _row(table, turns[name] & table.counts)
            | {"precision": precision(table, found[name] & table.counts, alarms[name])},
        )
        for name in bounds
    ]
    return [*rows, ("no triple", _row(table, table.counts & np.isnan(table.yaw)))]


def by_side(table: Scored) -> list[Row]:
    """The rows are `metrics.sides`."""
    return [(name, _row(table, mask & table.counts)) for name, mask in sides(table.yaw).items()]


def by_distance(table: Scored) -> list[Row]:
    """Bins of the true distance in metres; only heads that have one."""
    found = _bins(DISTANCES, " m", table.distance)
    return [(name, _row(table, a & table.counts)) for name, a in found]


def by_visible(table: Scored) -> list[Row]:
    """Bins of the share of the head that shows; heads too hidden to count have rows as well."""
    found = _bins(VISIBLE, "", table.visible)
    return [(name, _row(table, a & table.large)) for name, a in found]


def by_people(table: Scored) -> list[Row]:
    """Bins of how many true heads a frame has."""
    bounds = {f"{a}" if b == a + 1 else f"{a}-{b - 1}": (a, b) for a, b in pairwise(PEOPLE)}
    masks = between(table.people, bounds | {f">= {PEOPLE[-1]}": (PEOPLE[-1], np.inf)})
    return [(name, _row(table, mask & table.counts)) for name, mask in masks.items()]


BREAKDOWNS: dict[str, tuple[str, Callable[[Scored], list[Row]]]] = {
    "by_side": ("Front (|yaw| < 60°), side, back (> 120°)", by_side),
    "by_yaw": ("By yaw", by_yaw),
    "by_size": ("By head size at the model's input", by_size),
    "by_distance": ("By distance", by_distance),
    "by_visible": ("By visible share of the head", by_visible),
    "by_people": ("By number of heads in the frame", by_people),
}


def _row(table: Scored, part: Mask) -> dict[str, Measure]:
    """The columns of a breakdown, of the heads in `part` (N,)."""
    found = part & table.found
    posed = found & np.isfinite(table.geodesic)
    triple = np.isfinite(table.error).all(axis=1)
    return {
        "recall": _mean(table, part, table.found),
        "mae": _mean(table, found & triple, table.error.mean(axis=1)),
        "geodesic_median": _quantile(table, posed, table.geodesic, 0.5),
        "geodesic_p90": _quantile(table, posed, table.geodesic, 0.9),
    }


def _bins(edges: Sequence[float], unit: str, *columns: Array) -> list[tuple[Any, ...]]:
    """A name and a mask for each column, for each bin that any column has something in."""
    masks = [bins(column, edges, unit) for column in columns]
    rows = [(name, [mask[name] for mask in masks]) for name in masks[0]]
    return [(name, *found) for name, found in rows if any(mask.any() for mask in found)]


def _mean(table: Scored, rows: Mask, values: Array | Mask) -> Ratio:
    whole: Array = np.where(rows, values, 0.0)
    return Ratio(_per_frame(table, table.frame, rows, whole), _per_frame(table, table.frame, rows))


def _quantile(table: Scored, rows: Mask, values: Array, share: float) -> Quantile:
    return Quantile(values[rows], table.frame[rows], share)


def _per_frame(table: Scored, frame: Index, rows: Mask, values: Array | None = None) -> Array:
    """Sums (F,) of `values` (ones if None) over the rows chosen."""
    amounts = np.ones(len(frame)) if values is None else values
    chosen = np.asarray(amounts, dtype=float)[rows]
    return np.bincount(frame[rows], chosen, len(table.frames)).astype(np.float64)
