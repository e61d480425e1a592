# SPDX-License-Identifier: Apache-2.0
"""Faces of photographs, found by YuNet, and what they tell of the head: box and rough pose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hpe_vlm_ros.geometry import rotation_from_vector
from hpe_vlm_ros.rays import ray_rotation

from ..data.readers.landmarks import HEAD_AXES

# A head box in units of the face's size (root of the face box's area) from the face box's middle,
# given the nose's place (across, down) between eyes and mouth: the nose shows how far the head is
# turned, and thus on which side of the face the rest of the head lies. Each edge is a constant, a
# part of |across| and a part of down; BEHIND is the side the nose points away from. Fitted by
# least absolute deviations to 709 faces of photographs (18 pixels and more) whose heads were drawn
# by eye: median miss of an edge 0.04 to 0.11, where a box fitted to rendered heads had an IoU of
# 0.69 with them. Frontal heads were taken a little wider than fitted, since boxes were drawn anew
# only where the old ones, which were too wide, were clearly wrong.
BEHIND = (0.565, 3.2, -0.5)  # at across 0 as AHEAD, so that a frontal head is symmetric
AHEAD = (0.565, -0.55, -0.5)
TOP = (-0.87, -1.6, -1.3)
BOTTOM = (0.615, 0.29, -1.25)
FARTHEST = 0.35  # |across| beyond which a face tells no more of the head behind it
SIZES_AWAY = 10.0

# YuNet's landmarks in space, from the tip of the nose: eyes, tip of the nose, corners of the mouth,
# of each pair the person's right one first. Axes of the reference face (x to the person's left, y
# up, z out), the eyes as far apart as there. Fitted to 233 faces in rendered scenes of known
# rotation, where the typical landmark then misses by a tenth of the distance between the eyes.
FIVE_POINTS = np.array(
    [
        (-3.55, 4.38, -3.32),
        (3.55, 4.38, -3.32),
        (0.0, 0.0, 0.0),
        (-2.94, -3.52, -3.63),
        (2.94, -3.52, -3.63),
    ]
)


@dataclass(frozen=True)
class Face:
    """box: (4,) x0 y0 x1 y1, landmarks: (5, 2) in the order of FIVE_POINTS, pixels; score 0..1."""

    box: np.ndarray
    landmarks: np.ndarray
    score: float

    @property
    def height(self) -> float:
        """Of the box, in pixels."""
        return float(self.box[3] - self.box[1])

    def head_box(self) -> np.ndarray:
        """(4,) x0 y0 x1 y1 of the whole head, hair included; may reach over the border."""
        middle = (self.box[:2] + self.box[2:]) / 2
        size = np.sqrt(np.prod(self.box[2:] - self.box[:2]))
        across, down = (self.landmarks[2] - self.landmarks[[0, 1, 3, 4]].mean(0)) / size
        given = np.array([1.0, min(abs(across), FARTHEST), down])
        behind, ahead, top, bottom = (given @ edge for edge in (BEHIND, AHEAD, TOP, BOTTOM))
        # the nose's side of the middle is where the face looks
        sides = (-behind, ahead) if across > 0 else (-ahead, behind)
        edges = (sides[0], top, sides[1], bottom)
        return np.tile(middle, 2) + size * np.array(edges)

    def turn(self) -> np.ndarray:
        """(3, 3) of the head relative to the ray it is seen along, to 10 or 20 degrees.

        From the five landmarks alone, solved as if the face were `SIZES_AWAY` times its size before
        a camera that looks at it; the picture's own scale would be too small for small faces.
        """
        size = np.sqrt(np.prod(self.box[2:] - self.box[:2]))
        projected = (self.landmarks - self.landmarks.mean(0)) / (size * SIZES_AWAY)
        _, turn, _ = cv2.solvePnP(
            FIVE_POINTS @ HEAD_AXES, projected, np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP
        )
        return rotation_from_vector(turn.ravel())

    def rotation(self, width: int, height: int) -> np.ndarray:
        """(3, 3) head in the optical frame: `turn`, put on the ray it is seen along by a camera
        that sees 53 degrees across the picture's longer side."""
        x, y = (self.landmarks.mean(0) - np.array([width, height]) / 2) / max(width, height)
        return ray_rotation([x, y, 1.0]) @ self.turn()


class FaceFinder:
    """YuNet (face_detection_yunet or yunet_n in ONNX) through OpenCV.

    Returns faces with a score of at least `least`, best first. Raises FileNotFoundError or
    ValueError where the model file is missing or none.
    """

    def __init__(self, model: Path | str, least: float = 0.3) -> None:
        if not Path(model).exists():
            raise FileNotFoundError(f"{model}: no such model; YuNet's ONNX file is needed")
        try:
            self._detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), least, 0.3)
        except cv2.error as error:
            raise ValueError(f"{model}: OpenCV cannot read this as YuNet ({error})") from error

    def __call__(self, image: np.ndarray) -> list[Face]:
        """The faces of an RGB image (H, W, 3) uint8."""
        self._detector.setInputSize(image.shape[1::-1])
        _, rows = self._detector.detect(np.ascontiguousarray(image[..., ::-1]))
        found = [] if rows is None else [_face(row.astype(float)) for row in rows]
        return sorted(found, key=lambda face: -face.score)


def _face(row: np.ndarray) -> Face:
    x, y, w, h = row[:4]
    return Face(np.array([x, y, x + w, y + h]), row[4:14].reshape(5, 2), float(row[14]))
