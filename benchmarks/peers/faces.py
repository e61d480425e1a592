# SPDX-License-Identifier: Apache-2.0
"""Face detectors and landmark alignment as users put them together, made comparable with heads.

Face boxes are not head boxes, and landmarks have no axes of ours. So each peer gets what a careful
user would fit: on scenes that are not scored, how its boxes grow to head boxes (medians), and for
landmarks the mean shape in our axes, to which others are then aligned (Kabsch). What looks at a
face alone sees its turn relative to the ray towards it; the ray of a usual camera is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.rays import rotation_to_ray, usual_camera
from training.data.sample import Head, Sample
from training.labelling.faces import FaceFinder

Array = NDArray[np.float64]
Detector = Callable[[NDArray[np.uint8]], Array]
"""An RGB image to face boxes (N, 4), x0 y0 x1 y1 in pixels."""

LEAST_FACE = 0.6  # YuNet's score from which on a face is taken


def haar() -> Detector:
    """OpenCV's frontal face cascade, which its wheel brings."""
    file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(str(file))

    def detect(image: NDArray[np.uint8]) -> Array:
        found = cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1.1, 5)
        boxes = np.asarray(found, dtype=float).reshape(-1, 4)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

    return detect


def face_boxes(find_faces: FaceFinder) -> Detector:
    """Boxes alone of what YuNet finds."""

    def detect(image: NDArray[np.uint8]) -> Array:
        return np.array([face.box for face in find_faces(image)]).reshape(-1, 4)

    return detect


def owners(faces: Array, heads: Sequence[Head]) -> list[tuple[int, Head]]:
    """Which head each face is of: the nearest one whose box holds the face's centre."""
    pairs = []
    for number, (x0, y0, x1, y1) in enumerate(faces):
        centre = np.array([x0 + x1, y0 + y1]) / 2
        inside = [
            h for h in heads if (centre > h.box[:2]).all() and (centre < h.box[2:]).all()
        ]  # fmt: skip
        if inside:
            distance = [np.linalg.norm((h.box[:2] + h.box[2:]) / 2 - centre) for h in inside]
            pairs.append((number, inside[int(np.argmin(distance))]))
    return pairs


@dataclass(frozen=True)
class Growth:
    """Head box from face box: offsets of the four sides in face widths and heights."""

    sides: Array

    @classmethod
    def fit(cls, pairs: Sequence[tuple[Array, Array]]) -> Growth:
        """From (face box, head box); none is growth by nothing."""
        if not pairs:
            return cls(np.zeros(4))
        face, head = (np.array(boxes, dtype=float) for boxes in zip(*pairs, strict=True))
        size = np.tile(face[:, 2:] - face[:, :2], 2)
        return cls(np.median((head - face) / size, axis=0))

    def __call__(self, faces: Array) -> Array:
        size = np.tile(faces[:, 2:] - faces[:, :2], 2)
        grown: Array = faces + self.sides * size
        return grown


def fit_growth(detect: Detector, samples: Sequence[Sample]) -> Growth:
    pairs = []
    for sample in samples:
        faces = detect(sample.load())
        pairs += [(faces[i], head.box) for i, head in owners(faces, sample.heads)]
    return Growth.fit(pairs)


def rays(boxes: Array, size: tuple[int, int]) -> Array:
    """Rotations (N, 3, 3) from the optical axis to boxes in a picture of `size` (height, width)."""
    camera = usual_camera(size)
    return np.array([rotation_to_ray(camera, box) for box in boxes]).reshape(-1, 3, 3)


def within(boxes: Array, size: tuple[int, int]) -> Array:
    """The parts of boxes (N, 4) inside a picture of `size` (height, width), as labels are."""
    return np.clip(boxes, 0.0, np.tile(size[::-1], 2))


def landmark_boxes(faces: Sequence[Any]) -> Array:
    """Boxes (N, 4) around the landmarks (N, 468, 3) of faces."""
    boxes = [np.concatenate([np.min(f, axis=0)[:2], np.max(f, axis=0)[:2]]) for f in faces]
    return np.asarray(boxes, dtype=float).reshape(-1, 4)


@dataclass(frozen=True)
class Alignment:
    """Rotations from landmarks: `shape` (L, 3) is the mean face, centred, in the head's axes."""

    shape: Array

    @classmethod
    def fit(cls, pairs: Sequence[tuple[Array, Array]]) -> Alignment:
        """From landmarks (L, 3) and the true rotation of their head."""
        if not pairs:
            raise ValueError("no face was found in the scenes to fit on: take more of them")
        return cls(np.mean([_normal(points) @ rotation for points, rotation in pairs], axis=0))

    def __call__(self, points: Array) -> Array:
        turn, _ = Rotation.align_vectors(_normal(points), self.shape)
        return np.asarray(turn.as_matrix())


def _normal(points: Array) -> Array:
    centred = points - points.mean(axis=0)
    normal: Array = centred / np.linalg.norm(centred)
    return normal
