# SPDX-License-Identifier: Apache-2.0
"""One head before cameras of every kind, by formulas written out here and a CameraInfo for each.

Nothing of the package or of OpenCV is used: a sphere's outline is drawn point by point through the
formulas of the OpenCV manual, and what a model would say follows by Rodrigues' rotation formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

DIAMETER, OFFSET = 0.25, (0.0, 0.01, -0.09)
SIZE = (640, 480)  # of the full picture


@dataclass(frozen=True)
class Told:
    """What camera, model and driver say. sellion: (3,) metres; rotation: (3, 3), both true."""

    box: tuple[float, float, float, float]
    rotation_told: np.ndarray
    info: Any
    size: tuple[int, int]
    sellion: np.ndarray
    rotation: np.ndarray


@dataclass(frozen=True)
class Camera:
    """focal, middle: of the full picture. cut: region (x, y, width, height). binned: factors.
    shrunk: by how much the picture was made smaller without a word in CameraInfo. p: focal and
    middle of the rectified picture. axes: of the sensor in the frame of P (columns)."""

    focal: tuple[float, float] = (500.0, 510.0)
    middle: tuple[float, float] = (330.0, 235.0)
    model: str = "plumb_bob"
    d: tuple[float, ...] = ()
    cut: tuple[int, int, int, int] = (0, 0, 0, 0)
    binned: tuple[int, int] = (1, 1)
    shrunk: float = 1.0
    p: tuple[float, float, float, float] | None = None
    tx: float = 0.0
    rectified: bool = False
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    full: tuple[int, int] = SIZE

    @property
    def size(self) -> tuple[int, int]:
        across, down = self.cut[2:] if self.cut[2] else self.full
        return (
            round(across / self.binned[0] * self.shrunk),
            round(down / self.binned[1] * self.shrunk),
        )

    def info(self) -> Any:
        """A CameraInfo, with the fields that every library has."""
        (fx, fy), (cx, cy) = self.focal, self.middle
        x, y, width, height = self.cut
        px, py, pcx, pcy = self.p or (0.0,) * 4
        p = (px, 0, pcx, self.tx, 0, py, pcy, 0, 0, 0, 1.0 if self.p else 0.0, 0)
        return SimpleNamespace(
            width=self.full[0],
            height=self.full[1],
            distortion_model=self.model,
            d=np.array(self.d),
            k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1.0]),
            r=self.axes.ravel(),
            p=np.array(p, float),
            binning_x=0 if self.binned == (1, 1) else self.binned[0],
            binning_y=0 if self.binned == (1, 1) else self.binned[1],
            roi=SimpleNamespace(
                x_offset=x, y_offset=y, width=width, height=height, do_rectify=False
            ),
        )

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Of points (N, 3) in the frame of P, in the published image."""
        if self.rectified:
            fx, fy, cx, cy = self.p
            flat = points[:, :2] / points[:, 2:]
        else:
            (fx, fy), (cx, cy) = self.focal, self.middle
            on_sensor = points @ self.axes
            flat = bent(on_sensor, self.model, self.d)
        full = flat * (fx, fy) + (cx, cy)
        return (full - self.cut[:2]) / self.binned * self.shrunk


def bent(points: np.ndarray, model: str, d: tuple[float, ...]) -> np.ndarray:
    """Where points (N, 3) meet the picture, in focal lengths."""
    x, y, z = points.T
    if model == "equidistant":
        r = np.hypot(x, y)
        t = np.arctan2(r, z)
        k1, k2, k3, k4 = (*d, 0, 0, 0, 0)[:4]
        far = t * (1 + k1 * t**2 + k2 * t**4 + k3 * t**6 + k4 * t**8)
        return points[:, :2] * np.divide(far, r, out=1 / z, where=r > 0)[:, None]
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*d, *[0] * 12)[:12]
    x, y = x / z, y / z
    r2 = x * x + y * y
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return np.column_stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + s1 * r2 + s2 * r2**2,
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + s3 * r2 + s4 * r2**2,
        ]
    )


def tell(camera: Camera, sellion: np.ndarray, rotation: np.ndarray, quarters: int = 0) -> Told:
    """A head in the frame of P, seen by a camera; `quarters`: the model sees the picture turned by
    so many quarters clockwise, in which it names box and rotation."""
    centre = sellion - rotation @ OFFSET
    distance = np.linalg.norm(centre)
    axis, half = centre / distance, np.arcsin(DIAMETER / 2 / distance)
    turn = smallest_turn(axis)
    around = np.linspace(0, 2 * np.pi, 3601)
    circle = np.column_stack(
        [np.cos(around), np.sin(around), np.full_like(around, 1 / np.tan(half))]
    )
    outline = camera.pixels(circle @ turn.T)
    width, height = camera.size
    on_sensor = np.eye(3) if camera.rectified else camera.axes
    local = on_sensor.T  # the picture's axes from the frame of P
    for _ in range(quarters):  # x right becomes y down, y down becomes x left
        outline = np.column_stack([height - outline[:, 1], outline[:, 0]])
        width, height = height, width
        local = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]) @ local
    (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
    usual = width / 2 / np.tan(np.radians(30))
    assumed = np.array([(x0 + x1 - width) / 2 / usual, (y0 + y1 - height) / 2 / usual, 1])
    looks = smallest_turn(local @ axis).T @ local @ rotation
    told = smallest_turn(assumed / np.linalg.norm(assumed)) @ looks
    return Told((x0, y0, x1, y1), told, camera.info(), camera.size, sellion, rotation)


def smallest_turn(direction: np.ndarray) -> np.ndarray:
    """Rodrigues' rotation of the z axis onto a unit vector."""
    axis = np.cross([0, 0, 1.0], direction)
    sine = np.linalg.norm(axis)
    if sine < 1e-12:
        return np.eye(3)
    x, y, z = axis / sine
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.arctan2(sine, direction[2])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
