# SPDX-License-Identifier: Apache-2.0
"""The heads of one photograph: faces grown to head boxes, poses where all labellers agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hpe_vlm_ros.geometry import (
    angles_from_rotation,
    geodesic_degrees,
    mean_rotations,
    mirror_rotation,
)

from ..data.sample import Head
from .faces import Face, FaceFinder


class Labeller(Protocol):
    """Tells poses of heads whose boxes are known."""

    def rotations(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
        """Rotations (N, 3, 3) of the heads in N boxes x0 y0 x1 y1 of an RGB image (H, W, 3)
        uint8."""


@dataclass(frozen=True)
class Filters:
    """What counts as a face and as agreement.

    Attributes:
        score: least confidence of a face, 0..1.
        min_face: its least height in pixels.
        min_inside: least share of the head box in the picture.
        min_pose: least height in pixels of a head whose pose is kept.
        agree: largest angle in degrees between a labeller's answer and the mean of all.
        roughly: largest angle in degrees between that mean and the pose by landmarks.
    """

    score: float = 0.8
    min_face: float = 16.0
    min_inside: float = 0.6
    min_pose: float = 40.0
    agree: float = 10.0
    roughly: float = 35.0


FILTERS = Filters()


def label_photo(
    image: np.ndarray, finder: FaceFinder, labellers: Mapping[str, Labeller], filters: Filters
) -> tuple[list[Head], list[dict[str, Any]]]:
    """The heads of an RGB image (H, W, 3) uint8 and, for each, the fields that its label adds.

    `visible` is the share of the head box in the picture. Fields: `face` box, `score`, `angles`
    (yaw, pitch, roll in degrees, or null), `disagreement` in degrees among the labellers and
    `off_landmarks` between their mean and the landmarks' pose.
    """
    height, width = image.shape[:2]
    kept = [
        (face, box, clipped, inside)
        for face in finder(image)
        if face.score >= filters.score and face.height >= filters.min_face
        for box in [face.head_box()]
        for clipped, inside in [_inside(box, width, height)]
        if inside >= filters.min_inside
    ]
    poses = agreed_poses(image, [box for _, box, _, _ in kept], labellers)
    heads, fields = [], []
    for (face, _, clipped, inside), (rotation, disagreement) in zip(kept, poses, strict=True):
        rough = float(geodesic_degrees(rotation, face.rotation(width, height)))
        angles = angles_from_rotation(rotation)
        tall = clipped[3] - clipped[1] >= filters.min_pose
        sure = disagreement <= filters.agree and rough <= filters.roughly
        known = rotation if tall and sure and angles is not None else None
        heads.append(Head(clipped, known, inside))
        fields.append(_fields(face, angles if known is not None else None, disagreement, rough))
    return heads, fields


def agreed_poses(
    image: np.ndarray, boxes: Sequence[np.ndarray], labellers: Mapping[str, Labeller]
) -> list[tuple[np.ndarray, float]]:
    """For each box the mean (3, 3) of all answers and the largest angle in degrees to one of them.

    Each labeller answers twice, about the picture and about its mirror image.
    """
    if not boxes:
        return []
    width, mirror = image.shape[1], np.ascontiguousarray(image[:, ::-1])
    swapped = [np.array([width - x1, y0, width - x0, y1]) for x0, y0, x1, y1 in boxes]
    answers = []
    for labeller in labellers.values():
        answers.append(labeller.rotations(image, boxes))
        answers.append(mirror_rotation(labeller.rotations(mirror, swapped)))
    means = mean_rotations(answers)
    apart = np.max([geodesic_degrees(answer, means) for answer in answers], axis=0)
    return list(zip(means, apart.tolist(), strict=True))


def _inside(box: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
    clipped = np.clip(box, 0, (width, height, width, height))
    return clipped, float(np.prod(clipped[2:] - clipped[:2]) / np.prod(box[2:] - box[:2]))


def _fields(
    face: Face, angles: tuple[float, float, float] | None, disagreement: float, rough: float
) -> dict[str, Any]:
    return {
        "face": np.round(face.box, 2).tolist(),
        "score": round(face.score, 3),
        "angles": None if angles is None else [round(a, 3) for a in angles],
        "disagreement": round(disagreement, 2),
        "off_landmarks": round(rough, 2),
    }
