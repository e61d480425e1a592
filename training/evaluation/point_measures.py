# SPDX-License-Identifier: Apache-2.0
"""How well keypoints are found of people whose bodies' true boxes are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.evaluation.keypoints import AREA_OF_BOX, Bodies, average_precision, pck
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, MIRRORED, SEEN

from ..data.sample import Sample

Array = NDArray[np.float64]
LEAST_BODY = 96.0  # pixels, of the longer side of a body that is asked about
SHARES = {"PCK@.05": 0.05, "PCK@.1": 0.1, "PCK@.2": 0.2}
LIMBS = [k for k, name in enumerate(KEYPOINTS) if name.endswith(("wrist", "ankle"))]


@dataclass(frozen=True)
class Group:
    """People of one picture: `true` (N, 17, 3) x, y and visibility, `boxes` (N, 4) of all that
    shows of each, pixels, and `areas` (N,), square pixels."""

    sample: Sample
    true: Array
    boxes: Array
    areas: Array


@dataclass(frozen=True)
class Found:
    """What is said of a group: `points` (N, 17, 2), NaN where one is said to be absent, and
    `scores` (N,)."""

    points: Array
    scores: Array


def groups_of(samples: Sequence[Sample], most: int) -> list[Group]:
    """Up to `most` people, or a few more, with a marked keypoint and a body of LEAST_BODY or more;
    those of one picture stay together."""
    groups: list[Group] = []
    for sample in samples:
        people = [
            (head.keypoints, head.appearance)
            for head in sample.heads
            if head.keypoints is not None
            and head.appearance is not None
            and (head.keypoints[:, 2] != ABSENT).any()
            and np.ptp(head.appearance.body.reshape(2, 2), axis=0).max() >= LEAST_BODY
        ]
        if people and sum(len(group.true) for group in groups) < most:
            boxes = np.array([looks.body for _, looks in people])
            usual = AREA_OF_BOX * (boxes[:, 2:] - boxes[:, :2]).prod(1)
            known = [looks.area for _, looks in people]
            areas = [a if a else u for a, u in zip(known, usual.tolist(), strict=True)]
            true = np.array([points for points, _ in people], float)
            groups.append(Group(sample, true, boxes, np.array(areas, float)))
    return groups


def ask(perceiver: HeadPerceiver, groups: Sequence[Group]) -> list[Found]:
    """What a model that has learnt keypoints says."""
    found = []
    for group in groups:
        boxes = [(x0, y0, x1, y1) for x0, y0, x1, y1 in group.boxes.tolist()]
        answers = perceiver.keypoints(group.sample.load(), boxes)
        points = np.array([one.points for one in answers])
        found.append(Found(points, np.array([one.scores.mean() for one in answers])))
    return found


def mean_places(groups: Sequence[Group]) -> list[Found]:
    """What says nobody anything: every keypoint where it is on average in the boxes of all others.
    NaN of one that nobody else has."""
    true, boxes = (
        np.concatenate([g.true for g in groups]),
        np.concatenate([g.boxes for g in groups]),
    )
    corners, sides = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    there = (true[..., 2:] != ABSENT).astype(float)
    shares = (true[..., :2] - corners) / sides * there
    others = there.sum(0) - there
    with np.errstate(invalid="ignore", divide="ignore"):
        points = (shares.sum(0) - shares) / others * sides + corners
    ends = np.cumsum([len(group.true) for group in groups])[:-1]
    return [Found(part, np.full(len(part), 0.5)) for part in np.split(points, ends)]


def scores(groups: Sequence[Group], found: Sequence[Found]) -> dict[str, float]:
    """PCK at each of SHARES, `average_precision`'s six, and of wrists and ankles that are seen the
    share that is said nearer to the true place of the other side's ("swapped")."""
    true, points = (
        np.concatenate([g.true for g in groups]),
        np.concatenate([f.points for f in found]),
    )
    boxes = np.concatenate([group.boxes for group in groups])
    numbers = {name: pck(true, boxes, points, share) for name, share in SHARES.items()}
    pairs = zip(groups, found, strict=True)
    numbers |= average_precision([Bodies(g.true, g.areas, f.points, f.scores) for g, f in pairs])
    return numbers | {"swapped": _swapped(true, points)}


def _swapped(true: Array, points: Array) -> float:
    """Of those whose other side is in the picture too; NaN where there are none."""
    both = (true[..., 2] == SEEN) & (true[:, MIRRORED, 2] != ABSENT) & np.isfinite(points[..., 0])
    own = np.linalg.norm(points - true[..., :2], axis=-1)
    other = np.linalg.norm(points - true[:, MIRRORED, :2], axis=-1)
    judged = both[:, LIMBS]
    return float((other < own)[:, LIMBS][judged].mean()) if judged.any() else float("nan")
