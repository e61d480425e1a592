# SPDX-License-Identifier: Apache-2.0
"""Textures in one flat array with their mip levels, and the sRGB transfer curve."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from .. import Array, Integers

LEVELS = 7  # full size to 1/64


def srgb_to_linear(value: Array) -> Array:
    """Linear light of sRGB values, both in 0..1 (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: Array) -> Array:
    """sRGB values in 0..1 of linear light, clipped to that range; undoes `srgb_to_linear`."""
    value = np.clip(value, 0.0, 1.0)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


_FROM_LINEAR: Array = linear_to_srgb(np.arange(4097) / 4096).astype(np.float32)


def quick_srgb(value: Array) -> Array:
    """linear_to_srgb by table; off by less than 0.002 above black."""
    return _FROM_LINEAR[(np.clip(value, 0, 1) * 4096 + 0.5).astype(np.int16)]


TO_LINEAR: Array = srgb_to_linear(np.arange(256) / 255.0).astype(np.float32)


def shrunk(image: Integers, limit: int) -> Integers:
    """An image (H, W, ...) at most `limit` pixels wide and high."""
    scale = limit / max(image.shape[:2])
    if scale >= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


class TextureStore:
    """Collects RGBA images; `texels` (N, 4) uint8 and `tables` (K, 3 * LEVELS) int64 feed numba."""

    def __init__(self) -> None:
        self._chunks: list[Integers] = []
        self._rows: list[list[int]] = []
        self._size = 0
        self.means: list[Array] = []
        self.add(np.full((1, 1, 4), 255, np.uint8))

    def add(self, image: Integers) -> int:
        """Add an RGB or RGBA uint8 image and return its index."""
        if image.shape[2] == 3:
            image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        solid = image[..., 3] > 127
        pixels = image[solid] if solid.any() else image.reshape(-1, 4)
        self.means.append(TO_LINEAR[pixels[:, :3]].mean(0))
        row: list[int] = []
        for _ in range(LEVELS):
            height, width = image.shape[:2]
            row += [self._size, width, height]
            self._chunks.append(np.ascontiguousarray(image.reshape(-1, 4)))
            self._size += width * height
            image = cv2.resize(
                image, (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA
            )
        self._rows.append(row)
        return len(self._rows) - 1

    def add_file(self, path: Path, limit: int = 512) -> int:
        """Add an image file, at most `limit` pixels wide and high."""
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise FileNotFoundError(f"{path}: not a readable image; check the assets folder")
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        image = shrunk(image, limit)
        order = [2, 1, 0, 3][: image.shape[2]]
        return self.add(np.ascontiguousarray(image[..., order]))

    def arrays(self) -> tuple[Integers, Integers]:
        """The flat texels and the table of levels."""
        return np.concatenate(self._chunks), np.array(self._rows, np.int64)

    def alpha(self, index: int, uv: Array, level: int = 3) -> Array:
        """Mean alpha (0..1) of a texture around each uv (N, 2)."""
        row = self._rows[index][3 * level : 3 * level + 3]
        chunk = self._chunks[index * LEVELS + level]
        x = np.clip(((uv[:, 0] % 1.0) * row[1]).astype(int), 0, row[1] - 1)
        y = np.clip(((1 - uv[:, 1] % 1.0) * row[2]).astype(int), 0, row[2] - 1)
        return chunk[y * row[1] + x, 3] / np.float32(255)
