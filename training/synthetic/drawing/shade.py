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
def blend(values, corners, shares):  # type: ignore[no-untyped-def]
    """The vector between three corners, by their shares in it; values (N, 3)."""
    a, b, c = corners
    w0, w1, w2 = shares
    return (
        w0 * values[a, 0] + w1 * values[b, 0] + w2 * values[c, 0],
        w0 * values[a, 1] + w1 * values[b, 1] + w2 * values[c, 1],
        w0 * values[a, 2] + w1 * values[b, 2] + w2 * values[c, 2],
    )


@jit
def unshadowed(shadow, bias, x, y, depth):  # type: ignore[no-untyped-def]
    """Share of the light (0..1) that arrives at a place in the depth map seen from it: of the four
    nearest entries, those that lie no nearer to the light."""
    size = shadow.shape[0]
    light = 0.0
    for i in range(2):
        for j in range(2):
            u, v = int(x - 0.5) + j, int(y - 0.5) + i
            if u < 0 or v < 0 or u >= size or v >= size:
                light += 0.25
            elif depth >= shadow[v, u] - bias:
                light += 0.25
    return light


@jit
def albedo_of(matrix, red, green, blue):  # type: ignore[no-untyped-def]
    """One channel of the linear albedo, changed by a row (4,) of an affine map; 0.005 to 0.95."""
    albedo = matrix[0] * red + matrix[1] * green + matrix[2] * blue + matrix[3]
    return min(max(albedo, 0.005), 0.95)


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
    for y in range(height):
        for x in range(width):
            owner = owner_of[y, x]
            if owner != owners[0] and owner != owners[1]:
                continue
            t = triangle_of[y, x]
            w1 = bary[y, x, 0]
            w2 = bary[y, x, 1]
            w0 = 1.0 - w1 - w2
            shares = w0, w1, w2
            corners = a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            nx, ny, nz = blend(normals, corners, shares)
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            px, py, pz = blend(points, corners, shares)
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
                if shadow.shape[0] > 0:
                    sx, sy, sd = blend(shadow_screen, corners, shares)
                    lit *= unshadowed(shadow, shadow_bias, sx, sy, sd)
                hx, hy, hz = lx + vx, ly + vy, lz + vz
                length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
                h = max((nx * hx + ny * hy + nz * hz) / length, 0.0)
                shine = gloss * lit * h**24.0
            rim = 1.0 - max(nx * vx + ny * vy + nz * vz, 0.0)
            sheen = 0.25 * gloss * rim * rim * rim * ao
            for i in range(3):
                albedo = albedo_of(material_matrix[m, i], red, green, blue)
                around = irradiance(sh, nx, ny, nz, i)
                colour[y, x, i] = (
                    albedo * (around * ao + key_colour[i] * lit)
                    + shine * key_colour[i]
                    + sheen * around
                )
