# SPDX-License-Identifier: Apache-2.0
"""Measures of body keypoints: PCK, and COCO's OKS with the precision and recall that rest on it.

PCK@t is the share of the labelled points that lie within t times the longer side of the body's box,
averaged first over a body's points and then over bodies (as for MP-100: Xu et al., Pose for
Everything, 2022). Object keypoint similarity and the protocol of its average precision are those of
https://cocodataset.org/#keypoints-eval. Bodies without a labelled point count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# COCO's per-point deviations, as a share of the root of a body's area; order of `skeleton`
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
AREA_OF_BOX = 0.53  # a person's usual share of the own box, where the area is not labelled
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of OKS
RECALLS = np.linspace(0, 1, 101)
MOST = 20  # answers of one picture that count, the surest
MEDIUM, LARGE = 32.0**2, 96.0**2  # square pixels
SIZES = {"": (0.0, np.inf), "M": (MEDIUM, LARGE), "L": (LARGE, np.inf)}


@dataclass(frozen=True)
class Bodies:
    """One picture: `true` (N, 17, 3) x, y and visibility in pixels, `areas` (N,) in square pixels,
    `found` (M, 17, 2), `scores` (M,). Which answer is about whom is not given."""

    true: Array
    areas: Array
    found: Array
    scores: Array


def pck(true: Array, boxes: Array, found: Array, share: float) -> float:
    """PCK@share of answers `found` (N, 17, 2) about bodies `true` (N, 17, 3) with `boxes` (N, 4).

    A point that was not answered is NaN and counts as missed. NaN without labelled points.
    """
    labelled = true[..., 2] > 0
    reach = share * (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0)
    near = np.linalg.norm(found - true[..., :2], axis=-1) <= reach[:, None]
    there = labelled.any(1)
    if not there.any():
        return float("nan")
    shares = (near & labelled)[there].sum(1) / labelled[there].sum(1)
    return float(shares.mean())


def similarity(true: Array, areas: Array, found: Array) -> Array:
    """OKS (N, M) of bodies `true` (N, 17, 3) of `areas` (N,) with answers `found` (M, 17, 2).

    The mean of exp(-d^2 / (2 s^2 k^2)) over the labelled points, s^2 the area and k = 2 sigma; 0
    for points that were not answered (NaN), and for bodies without a labelled point.
    """
    away = ((true[:, None, :, :2] - found[None]) ** 2).sum(-1)
    scaled = away / (2 * SIGMAS) ** 2 / (areas[:, None, None] + np.spacing(1)) / 2
    alike = np.exp(-np.where(np.isnan(scaled), np.inf, scaled))
    labelled = np.broadcast_to((true[:, None, :, 2] > 0), alike.shape)
    return np.asarray((alike * labelled).sum(-1) / np.maximum(labelled.sum(-1), 1))


def average_precision(pictures: Sequence[Bodies]) -> dict[str, float]:
    """AP, AP50, AP75, APM, APL and AR of all pictures, each 0..1; NaN where no body counts."""
    out = {}
    for name, (low, high) in SIZES.items():
        precision, recall = _curves([_judged(one, low, high) for one in pictures])
        out[f"AP{name}"] = float(precision.mean())
        if not name:
            out |= {"AP50": float(precision[0].mean()), "AP75": float(precision[5].mean())}
            out["AR"] = float(recall.mean())
    return {name: out[name] for name in ("AP", "AP50", "AP75", "APM", "APL", "AR")}


@dataclass(frozen=True)
class _Judged:
    """Answers of one picture, surest first: `hit` and `counts` (T, M) by threshold; how many true
    bodies are `wanted`."""

    scores: Array
    hit: Mask
    counts: Mask
    wanted: int


def _judged(picture: Bodies, low: float, high: float) -> _Judged:
    """Which answers hit a body whose area lies within the bounds, each body but once."""
    order = np.argsort(-picture.scores, kind="stable")[:MOST]
    labelled = (picture.true[..., 2] > 0).any(1)
    wanted = labelled & (picture.areas >= low) & (picture.areas <= high)
    bodies = np.argsort(~wanted, kind="stable")  # those that are wanted first
    alike = similarity(picture.true, picture.areas, picture.found)[np.ix_(bodies, order)]
    own = np.nan_to_num(np.ptp(picture.found[order], axis=1)).prod(1)
    hit = np.zeros((len(THRESHOLDS), len(order)), bool)
    counts = np.broadcast_to((own >= low) & (own <= high), hit.shape).copy()
    for row, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(bodies), bool)
        for column in range(len(order)):
            fits = free & (alike[:, column] >= threshold)
            if fits[wanted[bodies]].any():
                fits &= wanted[bodies]
            if fits.any():
                best = _last_best(alike[:, column], fits)
                free[best], hit[row, column] = False, True
                counts[row, column] = wanted[bodies[best]]
    return _Judged(picture.scores[order], hit, counts, int(wanted.sum()))


def _last_best(values: Array, among: Mask) -> int:
    chosen = np.flatnonzero(among)
    return int(chosen[np.flatnonzero(values[chosen] == values[chosen].max())[-1]])


def _curves(judged: Sequence[_Judged]) -> tuple[Array, Array]:
    """Precision (T, 101) at each recall, and the highest recall (T,), by threshold."""
    wanted = sum(one.wanted for one in judged)
    if not wanted:
        nothing = np.full(len(THRESHOLDS), np.nan)
        return np.tile(nothing[:, None], len(RECALLS)), nothing
    order = np.argsort(-np.concatenate([one.scores for one in judged]), kind="stable")
    hit = np.concatenate([one.hit for one in judged], axis=1)[:, order]
    counts = np.concatenate([one.counts for one in judged], axis=1)[:, order]
    right, wrong = (hit & counts).cumsum(1), (~hit & counts).cumsum(1)
    recall = right / wanted
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    at = np.zeros((len(THRESHOLDS), len(RECALLS)))
    for row in range(len(THRESHOLDS)):
        place = np.searchsorted(recall[row], RECALLS, side="left")
        reached = place < recall.shape[1]
        at[row, reached] = precision[row, place[reached]]
    return at, recall.max(1, initial=0)
