# SPDX-License-Identifier: Apache-2.0
"""Head labels from 3-D face landmarks, the way DirectMHP labels AGORA and CMU Panoptic.

A reference face is laid over the landmarks by the best similarity transform (Umeyama, IEEE TPAMI
13(4), 1991). Its rotation is the head's; a sphere about the reference head, carried along and
projected, gives the box. The same labeller made WHENet's training data (with a larger sphere).

Differences from DirectMHP's own program, none of which moves a label noticeably: landmarks are
taken to the camera's frame before the fit instead of after (the fit turns with them), lens
distortion is OpenCV's own instead of a copy with mixed tangential terms (a few hundredths of a
pixel), the points of the sphere are not doubled at its pole, and heads behind the camera are
refused instead of projected.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from hpe_vlm_ros.geometry import angles_from_rotation

from ..sample import Head
from .common import NoLabel

# A subset of the 58-point anthropometric face of glAnthropometric3DModel (ISR Coimbra) that
# DirectMHP and WHENet use: x to the person's left, y up, z out of the face, about a centimetre a
# unit. Brows, corners of the eyes, nostrils, corners and bottom of the mouth, chin.
REFERENCE_FACE = np.array(
    [
        (-6.825897, 6.760612, 4.402142),  # right brow, outer end
        (-1.330353, 7.122144, 6.903745),  # right brow, inner end
        (6.825897, 6.760612, 4.402142),  # left brow, outer end
        (1.330353, 7.122144, 6.903745),  # left brow, inner end
        (5.311432, 5.485328, 3.987654),  # left eye, outer corner
        (1.789930, 5.393625, 4.413414),  # left eye, inner corner
        (-1.789930, 5.393625, 4.413414),  # right eye, inner corner
        (-5.311432, 5.485328, 3.987654),  # right eye, outer corner
        (2.005628, 1.409845, 6.165652),  # left nostril
        (-2.005628, 1.409845, 6.165652),  # right nostril
        (2.774015, -2.080775, 5.048531),  # left corner of the mouth
        (-2.774015, -2.080775, 5.048531),  # right corner of the mouth
        (0.000000, -3.116408, 6.097667),  # bottom of the lower lip
        (0.000000, -7.415691, 4.070434),  # chin
    ]
)
SPHERE_RADIUS, SPHERE_CENTRE = 18.0, (0.0, 5.0, -5.0)  # in the units and axes of the face
HEAD_AXES = np.diag([1.0, -1.0, -1.0])  # of the package (x left, y down, z back) in the face's
MAX_ASPECT, MAX_SHARE = 1.5, 0.7  # of a box: longer by shorter side; of the picture's side
NEAREST = 1e-3  # of the landmarks' unit; anything closer to the camera's plane is behind it


@dataclass(frozen=True)
class Lens:
    """Pinhole matrix (3, 3) in pixels, OpenCV's distortion (k1 k2 p1 p2 k3), (width, height)."""

    matrix: np.ndarray
    size: tuple[int, int]
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(5))


def fit_similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation R (3, 3), shift t (3,), scale s with the least squares |s R source + t - target|.

    source, target: (N, 3), N >= 3, not all on a line.
    """
    middle, goal = source.mean(0), target.mean(0)
    a, b = source - middle, target - goal
    u, _, vt = np.linalg.svd(b.T @ a)
    handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ handed @ vt
    scale = float((b * (a @ rotation.T)).sum() / (a**2).sum())
    return rotation, goal - scale * rotation @ middle, scale


def sphere() -> np.ndarray:
    """(N, 3) points every 10 degrees on the sphere about the reference face's head."""
    around, down = np.radians(np.meshgrid(np.arange(0, 360, 10), np.arange(10, 180, 10)))
    ring = np.stack(
        [np.cos(around) * np.sin(down), np.sin(around) * np.sin(down), np.cos(down)], axis=-1
    )
    pole = [(0.0, 0.0, 1.0)]  # its antipode is left out, as it is by DirectMHP's steps
    return SPHERE_RADIUS * np.vstack([pole, ring.reshape(-1, 3)]) + SPHERE_CENTRE


def project(points: np.ndarray, lens: Lens) -> np.ndarray:
    """(N, 2) pixels of points (N, 3) in the camera's optical frame."""
    zero = np.zeros(3)
    pixels, _ = cv2.projectPoints(
        points.reshape(-1, 1, 3), zero, zero, lens.matrix, lens.distortion
    )
    return pixels.reshape(-1, 2)


def label_head(
    landmarks: np.ndarray, reference: np.ndarray, lens: Lens, sellion: np.ndarray | None = None
) -> Head:
    """The head whose face landmarks (N, 3), in the optical frame, match `reference` (N, 3).

    The rotation is fit rotation times `HEAD_AXES`: R = Rx(-pitch) Ry(yaw) Rz(roll). The box has
    whole pixels, as in DirectMHP's files. `sellion` (3,) in metres becomes the position.
    Raises NoLabel where no angle triple has |pitch|, |roll| < 90 and where the box is outside the
    picture, longer than 1.5 times its width (or wider), or fills 0.7 of the picture's side.
    """
    if not (np.isfinite(landmarks).all() and np.ptp(landmarks, axis=0).any()):
        raise NoLabel("head without finite landmarks", seen=True, lost=True)
    turn, shift, scale = fit_similarity(reference, landmarks)
    surface = scale * sphere() @ turn.T + shift
    if surface[:, 2].min() <= NEAREST:
        raise NoLabel(
            "head behind the camera or around it", seen=bool(surface[:, 2].max() > NEAREST)
        )
    rotation = turn @ HEAD_AXES
    if angles_from_rotation(rotation) is None:
        raise NoLabel("head without a valid angle triple", seen=True, lost=True)
    return Head(_whole_box(project(surface, lens), *lens.size), rotation, position=sellion)


def _whole_box(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    low, high = pixels.min(0), pixels.max(0)
    x0, y0 = (int(v) for v in np.maximum(low, 0))
    x1, y1 = (int(v) for v in np.minimum(high, (width, height)))
    if x0 >= x1 or y0 >= y1:
        raise NoLabel("head outside the picture", seen=False)
    w, h = x1 - x0, y1 - y0
    if max(w / h, h / w) >= MAX_ASPECT or w >= MAX_SHARE * width or h >= MAX_SHARE * height:
        raise NoLabel("head cut by the border or larger than the picture allows", seen=True)
    return np.array([x0, y0, x1, y1], dtype=float)
