# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera, and the faults of real ones.

World: z up, the untilted camera looks along +y. Optical frame: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from .. import Array, Integers
from ..drawing.textures import quick_srgb

LEVEL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True)
class Camera:
    """Square pixels, principal point at the image centre. `rotation` world to optical."""

    width: int
    height: int
    focal: float
    rotation: Array  # (3, 3)
    position: Array  # (3,)

    def ray(self, u: float, v: float) -> Array:
        """World direction, of unit depth, through a pixel position."""
        optical = np.array(
            [(u - self.width / 2) / self.focal, (v - self.height / 2) / self.focal, 1.0]
        )
        return self.rotation.T @ optical

    def pixel(self, point: Array) -> tuple[float, float, float]:
        """(u, v, depth) of a world point."""
        x, y, z = self.rotation @ (point - self.position)
        safe = z if abs(z) > 1e-6 else 1e-6
        u = self.width / 2 + self.focal * x / safe
        return u, self.height / 2 + self.focal * y / safe, z


def tilted(pitch: float, roll: float) -> Array:
    """World-to-optical rotation; pitch > 0 looks up, roll > 0 turns the camera clockwise (deg)."""
    about = Rotation.from_euler("xz", [-pitch, -roll], degrees=True).as_matrix()
    return about @ LEVEL


def random_camera(width: int, height: int, rng: np.random.Generator) -> Camera:
    """Field of view mostly 50 to 70 degrees, height mostly a robot's 0.8 to 1.6 m."""
    fov = rng.uniform(50, 70) if rng.random() < 0.8 else rng.uniform(38, 85)
    focal = width / 2 / np.tan(np.radians(fov) / 2)
    kind = rng.random()
    if kind < 0.7:
        level, pitch = rng.uniform(0.8, 1.6), rng.normal(0, 6)
    elif kind < 0.85:
        level, pitch = rng.uniform(1.8, 2.8), rng.normal(-16, 7)
    else:
        level, pitch = rng.uniform(0.25, 0.8), rng.normal(12, 7)
    roll = float(np.clip(rng.normal(0, 3), -8, 8))
    rotation = tilted(float(np.clip(pitch, -35, 32)), roll)
    return Camera(width, height, float(focal), rotation, np.array([0.0, 0.0, level]))


def raised_camera(width: int, height: int, rng: np.random.Generator) -> Camera:
    """Looking down on people from a stair, a shelf or a ceiling, through any lens."""
    focal = width / 2 / np.tan(np.radians(rng.uniform(45, 95)) / 2)
    rotation = tilted(rng.uniform(-70, -12), float(np.clip(rng.normal(0, 7), -20, 20)))
    return Camera(width, height, float(focal), rotation, np.array([0, 0, rng.uniform(1.8, 4.2)]))


def develop(linear: Array, rng: np.random.Generator) -> Integers:
    """Linear light (H, W, 3), about 0..1, to an 8-bit photograph with mild camera faults."""
    height, width = linear.shape[:2]
    balance = np.exp(rng.normal(0, [0.07, 0.03, 0.07])).astype(np.float32)
    image = linear * balance * np.float32(np.exp(rng.normal(0, 0.18)))
    if rng.random() < 0.3:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        image *= (1 - rng.uniform(0, 0.3) * (x * x + y * y)[..., None] / 2).astype(np.float32)
    image = _blur(image, rng)
    image = quick_srgb(image / (1 + np.float32(0.12) * image))
    contrast, lift = np.exp(rng.normal(0, 0.1)), rng.normal(0, 0.025)
    image = (image - 0.45) * np.float32(contrast) + np.float32(0.45 + lift)
    image += _grain(image.shape, rng)
    if rng.random() < 0.05:
        image = np.repeat(image @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, 2)
    out = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 80))]
        out = cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_COLOR)
    return out


def _blur(image: Array, rng: np.random.Generator) -> Array:
    kind, scale = rng.random(), image.shape[1] / 320
    if kind < 0.3:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, 1.1) * scale)
    if kind < 0.37:
        length = max(int(rng.integers(3, 7) * scale), 1)  # of a small picture: no blur
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        centre = (length - 1) / 2
        for t in np.linspace(-centre, centre, 4 * length):
            row, column = centre + t * np.sin(angle), centre + t * np.cos(angle)
            kernel[round(row), round(column)] = 1
        return cv2.filter2D(image, -1, kernel / kernel.sum())
    if kind < 0.44:
        factor = rng.uniform(0.4, 0.8)
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return image


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    strength = rng.choice([0.004, 0.012, 0.03], p=[0.45, 0.4, 0.15])
    out = np.empty(shape, np.float32)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(out, np.zeros(3), np.full(3, float(strength)))
    return out
