# SPDX-License-Identifier: Apache-2.0
"""Software rasteriser: z-buffer, alpha test and mip-mapped textures.

Everything is float32 and compiled by numba. Screen coordinates are pixels, x right, y down, pixel
(i, j) has its centre at (j + 0.5, i + 0.5). Depth values grow towards the viewer (inverse depth for
a pinhole camera, minus the distance for a parallel one), both of which are linear on the screen.
Attributes are interpolated affinely: triangles of people are small against their distance.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from .. import Array

FLAG_ALPHA = 1  # texels with little alpha are holes
FLAG_CULL = 2  # triangles seen from behind are dropped
jit: Any = njit(cache=True, fastmath=True, nogil=True)


@jit
def skin(rest, normals, bones, weights, linear, shift, out, out_normals):  # type: ignore[no-untyped-def]
    """Linear blend skinning of positions and normals with four bones a vertex."""
    for v in range(rest.shape[0]):
        m = np.zeros((3, 4), np.float32)
        for k in range(4):
            w = weights[v, k]
            if w == 0.0:
                continue
            b = bones[v, k]
            for i in range(3):
                for j in range(3):
                    m[i, j] += w * linear[b, i, j]
                m[i, 3] += w * shift[b, i]
        for i in range(3):
            out[v, i] = m[i, 0] * rest[v, 0] + m[i, 1] * rest[v, 1] + m[i, 2] * rest[v, 2] + m[i, 3]
            out_normals[v, i] = (
                m[i, 0] * normals[v, 0] + m[i, 1] * normals[v, 1] + m[i, 2] * normals[v, 2]
            )


@jit
def vertex_normals(points, triangles):  # type: ignore[no-untyped-def]
    """Area-weighted unit normals (N, 3)."""
    out = np.zeros_like(points)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, vx = points[b, 0] - points[a, 0], points[c, 0] - points[a, 0]
        uy, vy = points[b, 1] - points[a, 1], points[c, 1] - points[a, 1]
        uz, vz = points[b, 2] - points[a, 2], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            out[v, 0] += nx
            out[v, 1] += ny
            out[v, 2] += nz
    for v in range(points.shape[0]):
        length = math.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        if length > 0:
            out[v] /= length
    return out


@jit
def project(points, rotation, position, focal, cx, cy, near, screen):  # type: ignore[no-untyped-def]
    """World points to (x, y, 1/z) of a pinhole camera; 1/z = 0 marks points behind `near`."""
    for v in range(points.shape[0]):
        px = points[v, 0] - position[0]
        py = points[v, 1] - position[1]
        pz = points[v, 2] - position[2]
        x = rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz
        y = rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz
        z = rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz
        if z < near:
            screen[v, 2] = 0.0
        else:
            screen[v, 0] = cx + focal * x / z
            screen[v, 1] = cy + focal * y / z
            screen[v, 2] = 1.0 / z


@jit
def texel(texels, table, level, u, v):  # type: ignore[no-untyped-def]
    """Index of the nearest texel; `table` row: offset, width, height per level, flattened by 3."""
    w = table[3 * level + 1]
    h = table[3 * level + 2]
    x = int(math.floor((u - math.floor(u)) * w))
    y = int(math.floor((1.0 - (v - math.floor(v))) * h))
    x = min(max(x, 0), w - 1)
    y = min(max(y, 0), h - 1)
    return table[3 * level] + y * w + x


@jit
def covered(a, b, c, size):  # type: ignore[no-untyped-def]
    """First and last of `size` pixels along an axis whose centres lie between three corners."""
    first = int(math.ceil(max(min(a, b, c) - 0.5, 0.0)))
    last = int(math.floor(min(max(a, b, c) - 0.5, size - 1.0)))
    return first, last


@jit
def mip_level(ratio, count):  # type: ignore[no-untyped-def]
    """The one of `count` levels for a triangle that has `ratio` times as many texels as pixels."""
    level = 0
    while ratio > 2.0 and level < count - 1:
        ratio *= 0.25
        level += 1
    return level


@jit
def draw(  # type: ignore[no-untyped-def]
    screen,
    uv,
    triangles,
    materials,
    of_head,
    material_texture,
    material_flags,
    texels,
    tables,
    owner,
    depth,
    triangle_of,
    bary,
    owner_of,
    levels,
):
    """Visibility pass of one mesh. Writes depth, triangle index, two barycentrics and the owner.

    The owner of a pixel is `owner`, plus one where of_head (T,) uint8 is 1.

    `levels` (T,) receives the mip level of each triangle. `depth` is 0 where nothing is drawn for
    a pinhole camera; parallel views start it at -1e9.
    """
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        da, db, dc = screen[a, 2], screen[b, 2], screen[c, 2]
        if da == 0.0 or db == 0.0 or dc == 0.0:
            continue
        ax, ay = screen[a, 0], screen[a, 1]
        bx, by = screen[b, 0], screen[b, 1]
        gx, gy = screen[c, 0], screen[c, 1]
        x0, x1 = covered(ax, bx, gx, width)
        if x0 > x1:
            continue
        y0, y1 = covered(ay, by, gy, height)
        if y0 > y1:
            continue
        area = (bx - ax) * (gy - ay) - (by - ay) * (gx - ax)
        m = materials[t]
        flags = material_flags[m]
        if area == 0.0 or ((flags & FLAG_CULL) != 0 and area > 0.0):
            continue
        table = tables[material_texture[m]]
        du1, dv1 = uv[b, 0] - uv[a, 0], uv[b, 1] - uv[a, 1]
        du2, dv2 = uv[c, 0] - uv[a, 0], uv[c, 1] - uv[a, 1]
        texture_area = abs(du1 * dv2 - dv1 * du2) * table[1] * table[2]
        level = mip_level(texture_area / abs(area), tables.shape[1] // 3)
        levels[t] = level
        inverse = 1.0 / area
        w1_dx, w1_dy = (gy - ay) * inverse, -(gx - ax) * inverse
        w2_dx, w2_dy = -(by - ay) * inverse, (bx - ax) * inverse
        for y in range(y0, y1 + 1):
            py = y + 0.5 - ay
            for x in range(x0, x1 + 1):
                px = x + 0.5 - ax
                w1 = px * w1_dx + py * w1_dy
                if w1 < 0.0:
                    continue
                w2 = px * w2_dx + py * w2_dy
                if w2 < 0.0 or w1 + w2 > 1.0:
                    continue
                d = da + w1 * (db - da) + w2 * (dc - da)
                if d <= depth[y, x]:
                    continue
                if (flags & FLAG_ALPHA) != 0:
                    k = texel(
                        texels,
                        table,
                        level,
                        uv[a, 0] + w1 * du1 + w2 * du2,
                        uv[a, 1] + w1 * dv1 + w2 * dv2,
                    )
                    # an ordered 2x2 pattern of thresholds turns supersampling into soft edges
                    if texels[k, 3] < 50 + 40 * ((x & 1) * 2 + ((x ^ y) & 1)):
                        continue
                depth[y, x] = d
                triangle_of[y, x] = t
                bary[y, x, 0] = w1
                bary[y, x, 1] = w2
                owner_of[y, x] = owner + of_head[t]


@jit
def draw_depth(screen, triangles, keep, depth):  # type: ignore[no-untyped-def]
    """Depth only (parallel light view); `keep` (T,) uint8 selects triangles."""
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        if keep[t] == 0:
            continue
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, da = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, db = screen[b, 0], screen[b, 1], screen[b, 2]
        gx, gy, dc = screen[c, 0], screen[c, 1], screen[c, 2]
        x0, x1 = covered(ax, bx, gx, width)
        if x0 > x1:
            continue
        y0, y1 = covered(ay, by, gy, height)
        area = (bx - ax) * (gy - ay) - (by - ay) * (gx - ax)
        if y0 > y1 or area == 0.0:
            continue
        inverse = 1.0 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5 - ay
            for x in range(x0, x1 + 1):
                px = x + 0.5 - ax
                w1 = (px * (gy - ay) - py * (gx - ax)) * inverse
                w2 = (py * (bx - ax) - px * (by - ay)) * inverse
                if w1 < 0.0 or w2 < 0.0 or w1 + w2 > 1.0:
                    continue
                d = da + w1 * (db - da) + w2 * (dc - da)
                if d > depth[y, x]:
                    depth[y, x] = d


@jit
def visible_in(screen, depth, bias):  # type: ignore[no-untyped-def]
    """(N,) 1 where a point lies in front of the depth map (or outside of it), else 0."""
    height, width = depth.shape
    out = np.ones(screen.shape[0], np.float32)
    for v in range(screen.shape[0]):
        x, y = int(screen[v, 0]), int(screen[v, 1])
        if 0 <= x < width and 0 <= y < height and screen[v, 2] < depth[y, x] - bias:
            out[v] = 0.0
    return out


@jit
def cover(screen, triangles, select, box, mask):  # type: ignore[no-untyped-def]
    """Silhouette of the selected triangles on a coarse grid laid over `box` (x0, y0, x1, y1)."""
    n = mask.shape[0]
    sx = n / (box[2] - box[0])
    sy = n / (box[3] - box[1])
    for t in range(triangles.shape[0]):
        if select[t] == 0:
            continue
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if screen[a, 2] == 0.0 or screen[b, 2] == 0.0 or screen[c, 2] == 0.0:
            continue
        ax, ay = (screen[a, 0] - box[0]) * sx, (screen[a, 1] - box[1]) * sy
        bx, by = (screen[b, 0] - box[0]) * sx, (screen[b, 1] - box[1]) * sy
        gx, gy = (screen[c, 0] - box[0]) * sx, (screen[c, 1] - box[1]) * sy
        x0, x1 = covered(ax, bx, gx, n)
        y0, y1 = covered(ay, by, gy, n)
        area = (bx - ax) * (gy - ay) - (by - ay) * (gx - ax)
        if x0 > x1 or y0 > y1 or area == 0.0:
            continue
        inverse = 1.0 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5 - ay
            for x in range(x0, x1 + 1):
                px = x + 0.5 - ax
                w1 = (px * (gy - ay) - py * (gx - ax)) * inverse
                w2 = (py * (bx - ax) - px * (by - ay)) * inverse
                if w1 >= 0.0 and w2 >= 0.0 and w1 + w2 <= 1.0:
                    mask[y, x] = 1


def parallel_view(
    points: Array, direction: Array, centre: Array, radius: float, size: int
) -> Array:
    """Screen coordinates (N, 3) of a parallel view along -direction (direction: towards the light).

    The view is a square of `size` pixels and covers `radius` metres around `centre`.
    """
    up = np.array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(right, direction), direction]).astype(np.float32)
    scale = np.array([size / (2 * radius), size / (2 * radius), 1.0], np.float32)
    offset = np.array([size / 2, size / 2, 0.0], np.float32)
    return (points - centre.astype(np.float32)) @ (axes.T * scale) + offset
