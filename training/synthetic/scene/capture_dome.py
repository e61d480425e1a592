# SPDX-License-Identifier: Apache-2.0
"""Cameras, light and backgrounds of `panoptic` scenes: a capture dome, ceilings, wide lenses."""

from __future__ import annotations

import numpy as np

from .. import Array
from . import backgrounds
from .camera import Camera, tilted
from .lights import Panorama, panorama_of, sphere

RADIUS = 2.75  # metres, of CMU Panoptic's dome


def dome_camera(width: int, height: int, rng: np.random.Generator) -> Camera:
    """On the dome's wall (half of them), under a ceiling, or level with a wide lens."""
    kind = rng.random()
    if kind < 0.5:
        fov, level = rng.uniform(40, 58), rng.uniform(0.4, 3.0)
        pitch = np.degrees(np.arctan2(1.2 - level, RADIUS)) + rng.normal(0, 5)
    elif kind < 0.8:
        fov, level, pitch = rng.uniform(65, 95), rng.uniform(2.4, 3.4), rng.uniform(-60, -22)
    else:
        fov, level, pitch = rng.uniform(78, 105), rng.uniform(1.0, 2.2), rng.normal(-4, 9)
    focal = width / 2 / np.tan(np.radians(fov) / 2)
    roll = float(np.clip(rng.normal(0, 5), -14, 14))
    rotation = tilted(float(np.clip(pitch, -62, 35)), roll)
    return Camera(width, height, float(focal), rotation, np.array([0.0, 0.0, level]))


def lamps(rng: np.random.Generator) -> Panorama:
    """Light of a grid of lamps above, and of whitish walls."""
    directions, _ = sphere(64)
    height = directions[..., 2:]
    tone = 1 + np.array([1, 0, -1]) * rng.normal(0, 0.08)
    walls, floor = rng.uniform(0.25, 0.9) * tone, rng.uniform(0.08, 0.5) * tone
    image = np.where(height > 0, walls * (0.7 + 0.5 * height), floor * (1 + 0.4 * height))
    above = np.maximum(height[..., 0], 1e-3)
    cells = rng.uniform(0.8, 2.0)
    across, along = directions[..., 0] / above / cells, directions[..., 1] / above / cells
    lit = (np.abs(across % 1 - 0.5) < 0.16) & (np.abs(along % 1 - 0.5) < 0.28)
    lit &= height[..., 0] > rng.uniform(0.25, 0.6)
    image = image + lit[..., None] * rng.uniform(2, 14) * tone
    return panorama_of("procedural", image.astype(np.float32))


def dome_background(camera: Camera, room: Array, rng: np.random.Generator) -> Array:
    """Linear picture (H, W, 3): the dome's panels, or a room or hall of other proportions."""
    if rng.random() < 0.5:
        return _dome(camera, rng)
    size = np.array([rng.uniform(4, 16), rng.uniform(5, 20), rng.uniform(2.5, 4.5)])
    size[2] = max(size[2], camera.position[2] + 0.1)
    behind = rng.uniform(0.2, 0.6) * size[1]
    origin = np.array([-size[0] * rng.uniform(0.2, 0.8), -behind, 0.0])
    glow = rng.uniform(0.4, 1.3, (6, 1)) * rng.uniform(0.85, 1.1, 3)
    return backgrounds.room_view(room, camera, size, origin, glow)


def _dome(camera: Camera, rng: np.random.Generator) -> Array:
    """Hexagonal panels with dark seams and camera holes, lamps in some, over a mottled floor."""
    direction = backgrounds.rays(camera).astype(np.float64)
    eye = camera.position - np.array([0.0, 0.95 * RADIUS, 1.0])  # from the middle of the dome
    a = (direction**2).sum(-1)
    b, c = direction @ eye, min(float(eye @ eye), (0.98 * RADIUS) ** 2) - RADIUS**2
    wall = (-b + np.sqrt(b * b - a * c)) / a
    down = -camera.position[2] / np.minimum(direction[..., 2], -1e-6)
    point = eye + direction * wall[..., None]
    panels = _panels(point / RADIUS, rng)
    ground = camera.position + direction * down[..., None]
    floor = rng.uniform(0.08, 0.5) * rng.uniform(0.85, 1.1, 3)
    stripes = 0.9 + 0.1 * np.sign(np.sin(ground[..., :1] * 9) * np.sin(ground[..., 1:2] * 9))
    out = np.where((down < wall)[..., None], floor * stripes, panels)
    return out.astype(np.float32)


def _panels(unit: Array, rng: np.random.Generator) -> Array:
    """Colours (H, W, 3) of the dome at unit vectors (H, W, 3) from its middle."""
    azimuth = np.arctan2(unit[..., 0], unit[..., 1]) + rng.uniform(0, 1)
    rise = np.arcsin(np.clip(unit[..., 2], -1, 1))
    count = rng.uniform(3.0, 5.0)  # panels per radian
    cell, edge = _hexagons(azimuth * np.cos(0.5 * rise) * count, rise * count)
    level = rng.uniform(0.3, 0.75)
    tone = level * (1 + np.array([1, 0, -1]) * rng.normal(0, 0.06))
    shade = 0.85 + 0.3 * (np.sin(cell[..., 0] * 12.99 + cell[..., 1] * 78.23) * 43758.5 % 1)
    colour = tone * shade[..., None]
    colour = np.where((edge < 0.05)[..., None], rng.uniform(0.02, 0.15), colour)
    hole = np.abs(edge - 0.3) < 0.03
    colour = np.where(hole[..., None], 0.04, colour)
    lamp = (np.sin(cell[..., 0] * 4.1 + cell[..., 1] * 9.7) * 917.3 % 1 < 0.06) & (edge > 0.12)
    return np.where(lamp[..., None], rng.uniform(1.0, 2.0), colour)


def _hexagons(x: Array, y: Array) -> tuple[Array, Array]:
    """Centre (..., 2) of the hexagon (1 wide) around each point, and how far its edge is."""
    pitch = np.array([1.0, np.sqrt(3)])
    point = np.stack([x, y], -1)
    first = np.round(point / pitch) * pitch
    second = (np.floor(point / pitch) + 0.5) * pitch
    nearer = ((point - first) ** 2).sum(-1) < ((point - second) ** 2).sum(-1)
    centre = np.where(nearer[..., None], first, second)
    offset = np.abs(point - centre)
    inner = np.maximum(offset[..., 0], offset @ np.array([0.5, np.sqrt(3) / 2]))
    return centre, 0.5 - inner
