# SPDX-License-Identifier: Apache-2.0
"""Backgrounds without people: panoramas, furnished rooms, photographs, patterns and leaves."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .. import Array, Integers
from ..drawing.patterns import noise, wall_texture
from ..drawing.raster import jit
from ..drawing.textures import TO_LINEAR
from .camera import Camera


def rays(camera: Camera) -> Array:
    """World directions (H, W, 3) of unit depth through the pixel centres."""
    x = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    y = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal
    rotation = camera.rotation.astype(np.float32)
    out = x[None, :, None].astype(np.float32) * rotation[0] + rotation[2]
    return out + y[:, None, None].astype(np.float32) * rotation[1]


def panorama_view(image: Array, camera: Camera, turn: float) -> Array:
    """The part of a panorama, turned by a share of a full turn, that the camera sees (H, W, 3)."""
    direction = rays(camera)
    height, width = image.shape[:2]
    azimuth = np.arctan2(direction[..., 0], direction[..., 1])
    polar = np.arctan2(np.hypot(direction[..., 0], direction[..., 1]), direction[..., 2])
    # azimuth 0 is +y here; the panorama's middle column is -y
    u = (azimuth / (2 * np.pi) - turn) % 1.0 * width - 0.5
    v = polar / np.pi * height - 0.5
    return cv2.remap(
        image,
        u.astype(np.float32),
        v.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )


def pattern(width: int, height: int, rng: np.random.Generator) -> Array:
    """Gradients, noise and shapes, linear (H, W, 3)."""
    size = max(width, height)
    base = rng.uniform(0.02, 0.8, 3) ** 1.5
    image = np.tile(base.astype(np.float32), (size, size, 1))
    for _ in range(rng.integers(1, 4)):
        blend = noise(size, int(rng.integers(1, 8)), rng)[..., None]
        image = image * (1 - blend) + blend * (rng.uniform(0.0, 0.9, 3) ** 1.5).astype(np.float32)
    for _ in range(rng.integers(0, 14)):
        colour = (rng.uniform(0.05, 0.95, 3) ** 2).tolist()
        x, y = (int(i) for i in rng.integers(0, size, 2))
        a, b = (int(i) for i in np.exp(rng.uniform(1.5, 5, 2)))
        if rng.random() < 0.5:
            cv2.ellipse(image, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            cv2.rectangle(image, (x, y), (x + a, y + b), colour, -1)
    return np.ascontiguousarray(image[:height, :width])


def leaves(width: int, height: int, rng: np.random.Generator) -> Array:
    """A hedge, ivy, gravel or dry leaves: many small lit ovals over the dark, linear (H, W, 3)."""
    mixed = rng.random() < 0.4
    tint = rng.uniform(0.05, 1.0, 3) * (0.35, 0.35, 0.15) if mixed else np.array([0.1, 0.28, 0.04])
    largest = float(np.exp(rng.uniform(1.6, 3.2)))  # pixels, half the length of a leaf
    slim, count = rng.uniform(0.3, 0.9), int(4 * width * height / largest**2)
    image = np.full((height, width, 3), tint * 0.1, np.float32)
    at = rng.uniform(0, (width, height), (count, 2)).round().astype(int).tolist()
    sizes = largest * rng.uniform(0.5, 1.0, count)
    lit = float(np.exp(rng.uniform(-3.5, 1.0)))  # ivy in the shade to leaves in the sun
    turns, shades = rng.uniform(0, 360, count), rng.beta(1.5, 3, count) * lit
    shades.sort()  # what is deep inside lies in the dark
    colours = tint * rng.uniform(0.7, 1.3, (count, 3)) * shades[:, None]
    for place, size, turn, colour in zip(at, sizes, turns, colours.tolist(), strict=True):
        axes = max(round(size), 1), max(round(size * slim), 1)
        cv2.ellipse(image, place, axes, turn, 0, 360, colour, -1, cv2.LINE_8)
    return np.minimum(image, 1.0)


def photo_view(photo: Integers, width: int, height: int, rng: np.random.Generator) -> Array:
    """A random crop of an 8-bit photograph, mirrored half of the time, linear (H, W, 3)."""
    limit = min(photo.shape[1] / width, photo.shape[0] / height)
    scale = limit * rng.uniform(0.5, 1.0)
    w, h = int(width * scale), int(height * scale)
    x = rng.integers(0, photo.shape[1] - w + 1)
    y = rng.integers(0, photo.shape[0] - h + 1)
    crop = cv2.resize(photo[y : y + h, x : x + w], (width, height), interpolation=cv2.INTER_AREA)
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    return TO_LINEAR[crop]


def room_textures(rng: np.random.Generator, scenery: Array | None, size: int = 256) -> Array:
    """Six linear textures (6, size, size, 3): floor, ceiling, then the four walls.

    Walls carry doors, windows (showing `scenery`, linear), shelves and pictures.
    """
    wall = TO_LINEAR[wall_texture(rng, size)]
    out = [TO_LINEAR[wall_texture(rng, size)], TO_LINEAR[wall_texture(rng, size)] * 0.5 + 0.35]
    for _ in range(4):
        out.append(_furnish((wall * rng.uniform(0.7, 1.1)).astype(np.float32), rng, scenery))
    return np.stack(out).astype(np.float32)


def _furnish(wall: Array, rng: np.random.Generator, scenery: Array | None) -> Array:
    size = wall.shape[0]
    for _ in range(rng.integers(1, 8)):
        w, h = (int(i) for i in rng.integers(size // 16, size // 3, 2))
        x, y = int(rng.integers(0, size - w)), int(rng.integers(0, size - h))
        kind = rng.random()
        frame = (rng.uniform(0.02, 0.7) * np.ones(3)).tolist()
        cv2.rectangle(wall, (x, y), (x + w, y + h), frame, -1)
        inner = wall[y + 2 : y + h - 1, x + 2 : x + w - 1]
        if inner.size == 0:
            continue
        if kind < 0.35 and scenery is not None:
            row = int(rng.integers(0, scenery.shape[0] // 2))
            column = int(rng.integers(0, scenery.shape[1] // 2))
            high, wide = scenery.shape[0] // 3, scenery.shape[1] // 3
            part = scenery[row : row + high, column : column + wide]
            part = np.minimum(part / max(float(part.mean()), 1e-4) * 0.5, 2.0)
            inner[:] = cv2.resize(part, inner.shape[1::-1], interpolation=cv2.INTER_AREA)
        elif kind < 0.75:
            inner[:] = pattern(inner.shape[1], inner.shape[0], rng)
        else:
            for row in range(0, inner.shape[0], 6):
                for column in range(0, inner.shape[1], 3):
                    inner[row : row + 5, column : column + 2] = rng.uniform(0.02, 0.6, 3)
    return wall


def room_view(textures: Array, camera: Camera, size: Array, origin: Array, glow: Array) -> Array:
    """Inside of a box (size, origin: its lower corner, metres), linear (H, W, 3)."""
    out = np.empty((camera.height, camera.width, 3), np.float32)
    _room(
        rays(camera),
        camera.position.astype(np.float32),
        origin.astype(np.float32),
        size.astype(np.float32),
        textures,
        glow.astype(np.float32),
        out,
    )
    return out


@jit
def _room(direction, eye, origin, size, textures, glow, out):  # type: ignore[no-untyped-def]
    """Box intersection; floor and ceiling repeat every 2 m, walls once per wall height."""
    n = textures.shape[1]
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            best = np.float32(1e9)
            axis, high = 0, 0
            for i in range(3):
                d = direction[y, x, i]
                if abs(d) < 1e-6:
                    continue
                wall = origin[i] + size[i] if d > 0 else origin[i]
                t = (wall - eye[i]) / d
                if 0 < t < best:
                    best, axis, high = t, i, int(d > 0)
            px = eye[0] + best * direction[y, x, 0]
            py = eye[1] + best * direction[y, x, 1]
            pz = eye[2] + best * direction[y, x, 2]
            if axis == 2:
                face, u, v = high, px * 0.5, py * 0.5
            else:
                along = py if axis == 0 else px
                face, u, v = 2 + 2 * axis + high, along / size[2], 1.0 - (pz - origin[2]) / size[2]
            fx = (u - math.floor(u)) * n
            fy = (v - math.floor(v)) * n
            ix, iy = int(fx) % n, int(fy) % n
            jx, jy = (ix + 1) % n, (iy + 1) % n
            ax, ay = fx - math.floor(fx), fy - math.floor(fy)
            corner = min(abs(pz - origin[2]), abs(origin[2] + size[2] - pz) if axis != 2 else 1.0)
            if axis == 2:
                corner = min(
                    min(px - origin[0], origin[0] + size[0] - px),
                    min(py - origin[1], origin[1] + size[1] - py),
                )
            dark = 0.75 + 0.25 * min(max(corner, 0.0) / 0.5, 1.0)
            for c in range(3):
                top = textures[face, iy, ix, c] * (1 - ax) + textures[face, iy, jx, c] * ax
                low = textures[face, jy, ix, c] * (1 - ax) + textures[face, jy, jx, c] * ax
                out[y, x, c] = (top * (1 - ay) + low * ay) * glow[face, c] * dark
