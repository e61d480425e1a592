# SPDX-License-Identifier: Apache-2.0
"""Cameras that no pinhole describes: bent by a lens, or mounted sideways; OpenCV and numpy.

Sources: OpenCV's camera models ("calib3d: Camera Calibration and 3D Reconstruction", and its
"Fisheye camera model"), which are those of sensor_msgs/CameraInfo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .geometry import CameraIntrinsics

Array = NDArray[np.float64]

# OpenCV stops after five rounds if not told otherwise: too early at the border of wide lenses.
STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-10)
EXACT = 0.1  # pixels by which a ray may miss its pixel; a ray that misses by more is not one
OUTLINE = np.linspace(0, 2 * np.pi, 181)[:-1]  # points of a sphere's outline
ROUNDS = 20  # of fitting a sphere to a box; each leaves about a tenth of the error
FRAME: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)  # the identity, row by row
_UNITS, _NO_POSE = np.eye(3), np.zeros(3)  # pixels in focal lengths, rays in the camera's axes


@dataclass(frozen=True)
class LensCamera(CameraIntrinsics):
    """A camera with distortion, a picture that was turned upright, or a frame that is not its own.

    fx, fy, cx, cy: of the picture as it is looked at, in its pixels.
    distortion: OpenCV's coefficients, 4 of a fisheye lens, else 4, 5, 8, 12 or 14; or none.
    fisheye: the equidistant model.
    quarters: by so many quarter turns clockwise the picture was turned to be upright.
    frame: (9) row by row, rotation from the sensor's axes to the optical frame of its header.
    """

    distortion: tuple[float, ...] = ()
    fisheye: bool = False
    quarters: int = 0
    frame: tuple[float, ...] = FRAME

    @property
    def turn(self) -> Array:
        """Rotation (3, 3) from the axes of the picture as it is looked at to the optical frame."""
        turn: Array = np.reshape(self.frame, (3, 3)) @ quarter_turn(self.quarters)
        return turn

    def directions(self, points: ArrayLike) -> Array:
        """As of CameraIntrinsics; NaN where the lens has no ray. Those of a fisheye that are 89
        degrees and more off its axis are one unit long instead of deep."""
        pixels = np.asarray(points, dtype=float).reshape(-1, 2)
        bent = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        if not self.distortion:
            return np.column_stack([bent, np.ones(len(bent))])
        turn = quarter_turn(self.quarters)
        unbend = fisheye_rays if self.fisheye else _polynomial_rays
        rays = unbend(bent @ turn[:2, :2].T, self.distortion) @ turn
        missed = np.abs(self.pixels(rays) - pixels).max(axis=1)
        rays[~(missed < EXACT)] = np.nan
        return rays

    def pixels(self, rays: ArrayLike) -> Array:
        """Pixels (N, 2) of rays (N, 3) in the axes of the picture; NaN for what the lens does not
        show."""
        turn = quarter_turn(self.quarters)
        directions = np.asarray(rays, dtype=float).reshape(-1, 3) @ turn.T
        bend = fisheye_points if self.fisheye else _polynomial_points
        flat = bend(directions, self.distortion) @ turn[:2, :2]
        pixels: Array = flat * (self.fx, self.fy) + (self.cx, self.cy)
        return pixels

    def sphere(self, box: ArrayLike, radius: float) -> Array:
        """As of CameraIntrinsics, by trial: the outline of a sphere before the lens is compared
        with the box until they agree."""
        if not self.distortion:
            return super().sphere(box, radius)
        x0, y0, x1, y1 = np.asarray(box, dtype=float)
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        aim, (low, high) = middle, _units(self.directions([[middle[0], y0], [middle[0], y1]]))
        half = np.arccos(np.clip(low @ high, -1, 1)) / 2
        if not np.isfinite(half):  # an edge lies beyond what the lens shows
            half = (y1 - y0) / 2 / self.fy
        for _ in range(ROUNDS):
            (centre,) = _units(self.directions([aim]))
            outline = self.pixels(_cone(centre, half))
            least, most = outline.min(axis=0), outline.max(axis=0)
            miss, scale = middle - (least + most) / 2, (y1 - y0) / (most - least)[1]
            aim, half = aim + miss, half * scale
            if not np.isfinite(half) or (np.abs(miss).max() < 1e-3 and abs(scale - 1) < 1e-5):
                break
        (centre,) = _units(self.directions([aim]))
        found: Array = centre * radius / np.sin(half)
        return found


def fisheye_points(rays: Array, coefficients: Sequence[float]) -> Array:
    """Where rays (N, 3) of any length meet the picture (N, 2), in focal lengths; NaN beyond the
    angle at which the polynomial turns back. OpenCV's stops at 90 degrees."""
    across, ahead = np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2]
    far = np.interp(np.arctan2(across, ahead), *_fisheye_curve(coefficients), right=np.nan)
    scale = np.divide(far, across, out=np.ones_like(across), where=across > 0)
    points: Array = rays[:, :2] * scale[:, None]
    return points


def fisheye_rays(points: Array, coefficients: Sequence[float]) -> Array:
    """Rays (N, 3) that meet the picture at points (N, 2), in focal lengths; undoes
    `fisheye_points`. z = 1, but for rays 89 degrees and more off the axis, which are one unit long.

    Not OpenCV's `fisheye.undistortPoints`, which cuts off points that are farther than pi / 2 from
    the middle, though lenses with a positive k1 show rays ahead of the camera there.
    """
    far = np.hypot(*points.T)
    angles, radii = _fisheye_curve(coefficients)
    angle = np.interp(far, radii, angles, right=np.nan)
    around = np.divide(np.sin(angle), far, out=np.ones_like(far), where=far > 0)
    rays = np.column_stack([points * around[:, None], np.cos(angle)])
    ahead = rays[:, 2] > np.cos(np.radians(89))
    rays[ahead] /= rays[ahead, 2:]
    return rays


@lru_cache(maxsize=32)
def _fisheye_curve(coefficients: tuple[float, ...]) -> tuple[Array, Array]:
    """Angles to the axis and radii in the picture (in focal lengths), both growing; so close to
    each other that what is read between two is exact to 1e-8."""
    angles = np.linspace(0, np.pi, 40_001)
    k1, k2, k3, k4 = coefficients
    square = angles**2
    radii = angles * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    back = np.flatnonzero(np.diff(radii) <= 0)
    end = int(back[0]) + 1 if len(back) else len(radii)
    return angles[:end], radii[:end]


def _polynomial_points(rays: Array, coefficients: Sequence[float]) -> Array:
    """As `fisheye_points`, of OpenCV's other lenses; NaN for what lies beside or behind."""
    flat = rays[:, :2] / np.where(rays[:, 2:] > 0, rays[:, 2:], np.nan)
    if not coefficients:
        return flat
    ahead = np.column_stack([flat, np.ones(len(flat))]).reshape(-1, 1, 3)
    points, _ = cv2.projectPoints(ahead, _NO_POSE, _NO_POSE, _UNITS, np.array(coefficients))
    return np.asarray(points, dtype=float).reshape(-1, 2)


def _polynomial_rays(points: Array, coefficients: Sequence[float]) -> Array:
    """As `fisheye_rays`, of OpenCV's other lenses; wrong where there is none."""
    lens = _UNITS, np.array(coefficients), _UNITS, _UNITS
    flat = cv2.undistortPointsIter(points.reshape(-1, 1, 2), *lens, STEPS)
    return np.column_stack([np.reshape(flat, (-1, 2)), np.ones(len(points))])


def quarter_turn(quarters: int) -> Array:
    """Rotation (3, 3) that takes the axes of a picture, turned by so many quarters clockwise, to
    those of the camera that took it: x right, y down, z forward."""
    turn = np.eye(3)
    for _ in range(quarters % 4):
        turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) @ turn
    return turn


def turned_upright(camera: CameraIntrinsics, quarters: int, size: tuple[int, int]) -> LensCamera:
    """The camera of a picture of `size` = (width, height), before the turn, that was turned by so
    many quarters clockwise. Its rays are still in the optical frame of the camera as mounted."""
    x, y, fx, fy = camera.cx, camera.cy, camera.fx, camera.fy
    width, height = size
    for _ in range(quarters % 4):
        x, y, fx, fy, width, height = height - y, x, fy, fx, height, width
    if isinstance(camera, LensCamera):
        quarters += camera.quarters
        return replace(camera, fx=fx, fy=fy, cx=x, cy=y, quarters=quarters % 4)
    return LensCamera(fx, fy, x, y, quarters=quarters % 4)


def as_numbers(camera: CameraIntrinsics) -> tuple[float, ...]:
    """A camera as numbers for a file: fx, fy, cx, cy in pixels, and of a LensCamera also whether it
    is a fisheye, the quarters, the frame and the distortion. `from_numbers` undoes it."""
    plain = camera.fx, camera.fy, camera.cx, camera.cy
    if not isinstance(camera, LensCamera):
        return plain
    return (*plain, float(camera.fisheye), camera.quarters, *camera.frame, *camera.distortion)


def from_numbers(values: Sequence[float]) -> CameraIntrinsics:
    """The camera of `as_numbers`; ValueError for anything else."""
    if len(values) == 4:
        return CameraIntrinsics(*values)
    if len(values) < 15:
        raise ValueError(f"a camera of {len(values)} numbers: need 4, or 15 and more")
    fx, fy, cx, cy, fisheye, quarters, *others = values
    frame, distortion = tuple(others[:9]), tuple(others[9:])
    return LensCamera(fx, fy, cx, cy, distortion, bool(fisheye), int(quarters), frame)


def _units(vectors: Array) -> Array:
    units: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def _cone(axis: Array, half: float) -> Array:
    """Directions (N, 3) at an angle of `half` radians about a unit vector."""
    # the axis that lies least along it, so that the cross product is long
    aside = np.eye(3)[[int(np.argmin(np.abs(axis)))]]
    across = _units(np.cross(axis, aside))[0]
    up = np.cross(axis, across)
    around = np.outer(np.cos(OUTLINE), across) + np.outer(np.sin(OUTLINE), up)
    cone: Array = np.cos(half) * axis + np.sin(half) * around
    return cone
