# SPDX-License-Identifier: Apache-2.0
"""Cameras mounted sideways or upside down: the picture is turned upright for the model, boxes are
turned back. Poses need no turning back: the camera of the upright picture gives its rays in the
frame of the camera as mounted, see `lens`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .geometry import CameraIntrinsics
from .lens import quarter_turn, turned_upright

TURNS = (0, 90, 180, 270)
"""Degrees clockwise by which a picture can be turned."""
Box = tuple[float, float, float, float]
Size = tuple[int, int]
Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class Mounting:
    """By how many degrees clockwise (of TURNS) a camera's picture is turned to be upright, and the
    picture's width and height in pixels before that."""

    degrees: int = 0
    size: Size = (0, 0)

    @property
    def upright_size(self) -> Size:
        """Width and height of the upright picture."""
        width, height = self.size
        return (height, width) if self.degrees % 180 else (width, height)

    @property
    def turn(self) -> NDArray[np.float64] | None:
        """Rotation (3, 3) from the optical axes of the upright picture to those as mounted; None
        where they are the same."""
        return quarter_turn(self.degrees // 90) if self.degrees else None

    def camera(self, camera: CameraIntrinsics | None) -> CameraIntrinsics | None:
        """The camera of the upright picture, of the one as mounted."""
        if camera is None or not self.degrees:
            return camera
        return turned_upright(camera, self.degrees // 90, self.size)

    def box(self, box: Sequence[float]) -> Box:
        """A box x0, y0, x1, y1 of the upright picture in the picture as the camera took it."""
        x0, y0, x1, y1 = box
        width, height = self.upright_size
        for _ in range(self.degrees // 90):  # turned back by a quarter, right becomes top
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
            width, height = height, width
        return x0, y0, x1, y1

    def upright_box(self, box: Sequence[float]) -> Box:
        """Undoes `box`."""
        return Mounting(-self.degrees % 360, self.upright_size).box(box)

    def points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 2) of the upright picture in the picture as the camera took it."""
        turned = [self.box((x, y, x, y))[:2] for x, y in np.asarray(points).tolist()]
        return np.array(turned, dtype=float).reshape(-1, 2)


def upright(image: NDArray[Pixel], degrees: int) -> NDArray[Pixel]:
    """An image (H, W, ...) turned clockwise by `degrees` of TURNS."""
    return np.ascontiguousarray(np.rot90(image, -(degrees // 90))) if degrees else image
