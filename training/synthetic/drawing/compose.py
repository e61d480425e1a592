# SPDX-License-Identifier: Apache-2.0
"""Draw posed meshes over a background with supersampling."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import Array, Integers
from ..scene.camera import Camera
from ..scene.lights import Light
from .raster import draw, draw_depth, parallel_view, project
from .shade import shade
from .textures import TO_LINEAR

NEAR = 0.08  # metres
SHADOW_SIZE = 160
EMPTY_SHADOW: Array = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Mesh:
    """A posed mesh in the world. `maps` (M, 3, 4): colour of its materials."""

    points: Array
    normals: Array
    uv: Array
    triangles: Integers
    materials: Integers
    of_head: Integers
    occlusion: Array
    textures: Integers
    flags: Integers
    gloss: Array
    maps: Array
    centre: Array  # (3,) what matters most (the head): centre of its shadow map
    shadow_radius: float  # metres around the centre; 0 casts and takes no shadow


class Canvas:
    """Buffers of one picture size; `scale` supersamples in both directions."""

    def __init__(self, width: int, height: int, scale: int, texels: Integers, tables: Integers):
        self.width, self.height, self.scale = width, height, scale
        self.texels, self.tables = texels, tables
        shape = (height * scale, width * scale)
        self.depth = np.zeros(shape, np.float32)
        self.triangle_of = np.zeros(shape, np.int32)
        self.bary = np.zeros((*shape, 2), np.float32)
        self.owner_of = np.zeros(shape, np.uint8)
        self.colour = np.zeros((*shape, 3), np.float32)

    def clear(self) -> None:
        """Forget the last picture."""
        self.depth[:] = 0
        self.owner_of[:] = 0
        self.colour[:] = 0

    def add(self, mesh: Mesh, owner: int, camera: Camera, light: Light) -> Array:
        """Draw one mesh as owners `owner` and `owner` + 1 (its head).

        Returns its vertices as (x, y, 1/z) in pixels of the final picture; 1/z is 0 behind NEAR.
        """
        screen = self._project(mesh.points, camera)
        levels = self._fill(mesh, owner, screen)
        self._shade(mesh, owner, camera, light, levels)
        screen[:, :2] /= self.scale
        return screen

    def _project(self, points: Array, camera: Camera) -> Array:
        """Vertices as `add` returns them, but in supersampled pixels."""
        scale = self.scale
        screen = np.zeros_like(points)
        project(
            points,
            camera.rotation.astype(np.float32),
            camera.position.astype(np.float32),
            camera.focal * scale,
            self.width * scale / 2,
            self.height * scale / 2,
            NEAR,
            screen,
        )
        return screen

    def _fill(self, mesh: Mesh, owner: int, screen: Array) -> Integers:
        """Claims the pixels in which the mesh is nearest; mip levels (T,) of its triangles."""
        levels = np.zeros(len(mesh.triangles), np.uint8)
        draw(
            screen,
            mesh.uv,
            mesh.triangles,
            mesh.materials,
            mesh.of_head,
            mesh.textures,
            mesh.flags,
            self.texels,
            self.tables,
            owner,
            self.depth,
            self.triangle_of,
            self.bary,
            self.owner_of,
            levels,
        )
        return levels

    def _shade(
        self, mesh: Mesh, owner: int, camera: Camera, light: Light, levels: Integers
    ) -> None:
        """Colours the claimed pixels."""
        shadow, shadow_screen = _shadow(mesh, light)
        shade(
            (owner, owner + 1),
            mesh.triangles,
            mesh.materials,
            levels,
            mesh.normals,
            mesh.points,
            mesh.uv,
            mesh.occlusion,
            shadow_screen,
            mesh.textures,
            mesh.maps,
            mesh.gloss,
            self.texels,
            self.tables,
            TO_LINEAR,
            light.sh,
            light.direction,
            light.colour,
            shadow,
            np.float32(0.012),
            camera.position.astype(np.float32),
            self.triangle_of,
            self.bary,
            self.owner_of,
            self.colour,
        )

    def over(self, background: Array) -> Array:
        """The drawn meshes over a linear background (H, W, 3)."""
        size = (self.width, self.height)
        colour = cv2.resize(self.colour, size, interpolation=cv2.INTER_AREA)
        drawn = cv2.resize(
            (self.owner_of > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
        return colour + background * (1 - drawn[..., None])

    def owners(self) -> Integers:
        """Owner of each final pixel (the supersample next to its centre)."""
        half = self.scale // 2
        return self.owner_of[half :: self.scale, half :: self.scale]


def _shadow(mesh: Mesh, light: Light) -> tuple[Array, Array]:
    strength = float(light.colour.mean()) / (float(light.sh[0].mean()) * 0.282 + 1e-6)
    if mesh.shadow_radius == 0 or strength < 0.15:
        return EMPTY_SHADOW, mesh.points
    screen = parallel_view(
        mesh.points, light.direction, mesh.centre, mesh.shadow_radius, SHADOW_SIZE
    )
    depth = np.full((SHADOW_SIZE, SHADOW_SIZE), -1e9, np.float32)
    draw_depth(screen, mesh.triangles, np.ones(len(mesh.triangles), np.uint8), depth)
    return depth, screen
