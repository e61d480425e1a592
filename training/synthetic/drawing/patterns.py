# SPDX-License-Identifier: Apache-2.0
"""Procedural textures (uint8 RGB or RGBA): skin, eyes, hair, cloth, walls."""

from __future__ import annotations

import cv2
import numpy as np

from .. import Array, Integers


def noise(size: int, octaves: int, rng: np.random.Generator, stretch: float = 1.0) -> Array:
    """Tiling value noise (size, size) in 0..1; stretch > 1 lengthens it vertically."""
    half = (size + 1) // 2
    out = np.zeros((half, half), np.float32)
    weight, total = 1.0, 0.0
    for octave in range(octaves):
        cells = 2 ** (octave + 1)
        grid = rng.random((max(int(cells / stretch), 1) + 1, cells + 1)).astype(np.float32)
        out += weight * cv2.resize(grid, (half, half), interpolation=cv2.INTER_CUBIC)
        total += weight
        weight *= 0.6
    out = np.clip(out / total, 0, 1)
    out = np.concatenate([out, out[:, ::-1]], 1)
    return np.concatenate([out, out[::-1]], 0)[:size, :size]


def skin_texture(rng: np.random.Generator, size: int = 256) -> Integers:
    """Plain light skin with blotches."""
    tone = np.array([222, 176, 152], np.float32)
    return _bytes(tone * (0.9 + 0.2 * noise(size, 7, rng)[..., None]))


def eye_texture(rng: np.random.Generator, size: int = 128) -> Integers:
    """White with an iris in the middle; the radius fits a frontal projection of the eyeball."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    r = np.hypot(x - size / 2 + 0.5, y - size / 2 + 0.5) / (size / 2)
    image = np.full((size, size, 3), (226, 218, 214), np.float32)
    iris = np.array([96, 66, 40], np.float32) * (0.7 + 0.6 * noise(size, 6, rng)[..., None])
    image = np.where(r[..., None] < 0.5, iris, image)
    image = np.where((r[..., None] > 0.45) & (r[..., None] < 0.52), iris * 0.5, image)
    image[r < 0.22] = 12
    return _bytes(image)


def hair_texture(rng: np.random.Generator, size: int = 256) -> Integers:
    """Opaque strands, light grey-brown (the colour is set per scene)."""
    strands = noise(size, 8, rng, stretch=24.0) * 0.75 + noise(size, 4, rng) * 0.25
    return _bytes(np.array([150, 140, 130], np.float32) * (0.35 + 1.1 * strands[..., None]))


def cloth_texture(rng: np.random.Generator, size: int = 256) -> Integers:
    """Plain, striped, checked or blotched cloth; grey values, tinted per scene."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    kind = rng.integers(5)
    period = 2 ** rng.integers(2, 6)
    wave = np.sign(np.sin(2 * np.pi * period * x)) * 0.5 + 0.5
    cross = np.sign(np.sin(2 * np.pi * period * y)) * 0.5 + 0.5
    base = (np.ones_like(x), wave, cross, (wave + cross) / 2, noise(size, 4, rng))[kind]
    weave = 0.85 + 0.3 * noise(size, 8, rng)
    one, two = rng.uniform(60, 230, 3), rng.uniform(40, 230, 3)
    return _bytes((base[..., None] * one + (1 - base[..., None]) * two) * weave[..., None])


def plain_texture(rng: np.random.Generator, size: int = 256) -> Integers:
    """Sleek hair, plastic or plain cloth: nearly one light grey; the colour is set per scene."""
    return _bytes(np.full(3, 150.0) * (0.92 + 0.16 * noise(size, 5, rng)[..., None]))


def wall_texture(rng: np.random.Generator, size: int = 256) -> Integers:
    """Paint, wood, tiles, bricks or wallpaper."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    tone = rng.uniform(70, 240) * rng.uniform(0.75, 1.1, 3)
    kind = rng.integers(5)
    grain = 0.94 + 0.12 * noise(size, 7, rng)
    if kind == 1:
        grain = 0.75 + 0.5 * noise(size, 8, rng, stretch=16.0)
    elif kind in (2, 3):
        rows = 2 ** rng.integers(2, 5)
        shift = 0.5 * (np.floor(y * rows) % 2) if kind == 3 else 0.0
        fx, fy = (x * rows / 2 + shift) % 1.0, (y * rows) % 1.0
        joint = (fx < 0.03) | (fy < 0.06)
        grain = grain * np.where(joint, rng.uniform(0.5, 1.2), 1.0)
    elif kind == 4:
        period = 2 ** rng.integers(2, 5)
        grain = grain * (1 + 0.15 * np.sign(np.sin(2 * np.pi * period * x)))
    return _bytes(tone * grain[..., None])


def _bytes(image: Array) -> Integers:
    return np.clip(image, 0, 255).astype(np.uint8)
