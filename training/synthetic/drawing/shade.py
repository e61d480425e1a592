# SPDX-License-Identifier: Apache-2.0
"""Deferred shading of the pixels that a mesh won in the visibility pass."""

from __future__ import annotations

import math

from .raster import jit, texel


@jit
def irradiance(sh, x, y, z, channel):  # type: ignore[no-untyped-def]
    """Irradiance over pi along a unit normal from nine SH radiance coefficients (9, 3).

    Ramamoorthi and Hanrahan 2001: band factors 1, 2/3 and 1/4 after division by pi.
    """
    s = 0.282095 * sh[0, channel]
    s += 0.6666667 * 0.488603 * (sh[1, channel] * y + sh[2, channel] * z + sh[3, channel] * x)
    s += (
        0.25 * 1.092548 * (sh[4, channel] * x * y + sh[5, channel] * y * z + sh[7, channel] * x * z)
    )
    s += 0.25 * 0.315392 * sh[6, channel] * (3.0 * z * z - 1.0)
    s += 0.25 * 0.546274 * sh[8, channel] * (x * x - y * y)
    return max(s, 0.0)


@jit
def shade(  # type: ignore[no-untyped-def]
    owners,
    triangles,
    materials,
    levels,
    normals,
    points,
    uv,
    occlusion,
    shadow_screen,
    material_texture,
    material_matrix,
    material_gloss,
    texels,
    tables,
    to_linear,
    sh,
    key_direction,
    key_colour,
    shadow,
    shadow_bias,
    eye,
    triangle_of,
    bary,
    owner_of,
    colour,
):
    """Fill `colour` (H, W, 3, linear light) where owner_of is owners[0] or owners[1].

    shadow: depth map seen from the light, or an array of size zero; shadow_screen (N, 3): the
    vertices in it. material_matrix (M, 3, 4): affine colour change of the linear albedo.
    """
    height, width = owner_of.shape
    size = shadow.shape[0]
    for y in range(height):
        for x in range(width):
            owner = owner_of[y, x]
            if owner != owners[0] and owner != owners[1]:
                continue
            t = triangle_of[y, x]
            w1 = bary[y, x, 0]
            w2 = bary[y, x, 1]
            w0 = 1.0 - w1 - w2
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
            ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
            nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            px = w0 * points[a, 0] + w1 * points[b, 0] + w2 * points[c, 0]
            py = w0 * points[a, 1] + w1 * points[b, 1] + w2 * points[c, 1]
            pz = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
            vx, vy, vz = eye[0] - px, eye[1] - py, eye[2] - pz
            length = math.sqrt(vx * vx + vy * vy + vz * vz)
            vx, vy, vz = vx / length, vy / length, vz / length
            if nx * vx + ny * vy + nz * vz < 0.0:
                nx, ny, nz = -nx, -ny, -nz
            ao = w0 * occlusion[a] + w1 * occlusion[b] + w2 * occlusion[c]
            m = materials[t]
            k = texel(
                texels,
                tables[material_texture[m]],
                levels[t],
                w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[c, 0],
                w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[c, 1],
            )
            red, green = to_linear[texels[k, 0]], to_linear[texels[k, 1]]
            blue = to_linear[texels[k, 2]]
            lx, ly, lz = key_direction[0], key_direction[1], key_direction[2]
            facing = nx * lx + ny * ly + nz * lz
            lit = max(facing, 0.0)
            gloss = material_gloss[m]
            shine = 0.0
            if lit > 0.0:
                if size > 0:
                    sa, sb, sc = shadow_screen[a], shadow_screen[b], shadow_screen[c]
                    sx = w0 * sa[0] + w1 * sb[0] + w2 * sc[0]
                    sy = w0 * sa[1] + w1 * sb[1] + w2 * sc[1]
                    sd = w0 * sa[2] + w1 * sb[2] + w2 * sc[2]
                    light = 0.0
                    for i in range(2):
                        for j in range(2):
                            u, v = int(sx - 0.5) + j, int(sy - 0.5) + i
                            if u < 0 or v < 0 or u >= size or v >= size:
                                light += 0.25
                            elif sd >= shadow[v, u] - shadow_bias:
                                light += 0.25
                    lit *= light
                hx, hy, hz = lx + vx, ly + vy, lz + vz
                length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
                h = max((nx * hx + ny * hy + nz * hz) / length, 0.0)
                shine = gloss * lit * h**24.0
            rim = 1.0 - max(nx * vx + ny * vy + nz * vz, 0.0)
            sheen = 0.25 * gloss * rim * rim * rim * ao
            for i in range(3):
                albedo = (
                    material_matrix[m, i, 0] * red
                    + material_matrix[m, i, 1] * green
                    + material_matrix[m, i, 2] * blue
                    + material_matrix[m, i, 3]
                )
                albedo = min(max(albedo, 0.005), 0.95)
                around = irradiance(sh, nx, ny, nz, i)
                colour[y, x, i] = (
                    albedo * (around * ao + key_colour[i] * lit)
                    + shine * key_colour[i]
                    + sheen * around
                )
