# SPDX-License-Identifier: Apache-2.0
"""What it is worth to know the lens: errors by field of view, as told and for the true camera."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hpe_vlm_ros.answers import Angles
from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, seen_by

from ..data.sample import Sample
from .measures import AnsweredScene, given_records

# degrees that the camera sees across, from and below
LENSES = {"below 55": (0, 55), "55 to 65": (55, 65), "65 to 80": (65, 80), "80, more": (80, 180)}


def field_of_view(sample: Sample) -> float:
    """Degrees across; NaN where the camera is unknown."""
    return (
        math.degrees(2 * math.atan(sample.width / 2 / sample.focal)) if sample.focal else math.nan
    )


def by_lens(asked: Sequence[AnsweredScene]) -> dict[str, dict[str, float]]:
    """Errors with true boxes, of rotations as the model tells them and as `heads.seen_by` turns
    them into the frame of the true camera; none of empty groups."""
    rows = {}
    for name, (low, high) in LENSES.items():
        scenes = [scene for scene in asked if low <= field_of_view(scene.sample) < high]
        each = [given_records(s, [tuple(angles) for angles in s.answers["given"]]) for s in scenes]
        if not sum(len(records.size) for records in each):
            continue
        as_answered = metrics.score(metrics.merge(each))
        known = metrics.score(metrics.merge([given_records(s, _turned(s)) for s in scenes]))
        rows[name] = {
            "heads": as_answered.heads,
            "mae": as_answered.mae,
            "mae_known": known.mae,
            "geodesic_median": as_answered.geodesic_median,
            "geodesic_known": known.geodesic_median,
        }
    return rows


def _turned(scene: AnsweredScene) -> list[Angles]:
    sample = scene.sample
    heads = [
        HeadEstimate(tuple(head.box), *angles, rotation_from_angles(*angles), 1.0)
        for head, angles in zip(sample.heads, scene.answers["given"], strict=True)
    ]
    in_camera = seen_by(sample.camera, heads, (sample.width, sample.height))
    # where no triple can name the turned rotation, the head counts as the model told it
    pairs = zip(heads, in_camera, strict=True)
    named = [answer if np.isnan(turned.yaw) else turned for answer, turned in pairs]
    return [(head.yaw, head.pitch, head.roll) for head in named]
