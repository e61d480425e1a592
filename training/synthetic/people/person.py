# SPDX-License-Identifier: Apache-2.0
"""Bodies and what they wear joined to one mesh with everything that poses, draws and labels it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import Array, Integers
from ..clothes.hairdos import restyle
from ..clothes.shells import Shell, edge_height
from ..clothes.wardrobe import Garment
from ..drawing.raster import draw_depth, parallel_view, vertex_normals, visible_in

SKULL = np.array([0.0, 0.085, 0.03], np.float32)  # the skull's middle from the sellion
HEADWEAR = ("cover", "hat")  # kinds of garments
BEHIND = 0.06  # metres behind the skull up to which hair belongs to the head's box


@dataclass(frozen=True)
class Person:
    """A resting dressed mesh. `rest`, `normals` (N, 3); `bones`, `weights` (N, 4); `uv` (N, 2).

    `of_head` (T,): triangles of head, hair above the chin and hat. `box_points`: vertices that span
    the head's box; `bald_points`: those of the head without hair. Materials are listed by texture,
    flags, gloss, kind and name.
    `face` (3, 3): the tip of the nose, the left and the right ear.
    """

    rest: Array
    normals: Array
    uv: Array
    bones: Integers
    weights: Array
    triangles: Integers
    materials: Integers
    of_head: Integers
    occlusion: Array
    joints: Array
    sellion: Array
    box_points: Integers
    bald_points: Integers
    textures: Integers
    flags: Integers
    gloss: Array
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    skin_name: str
    age: float
    face: Array


@dataclass(frozen=True)
class Body:
    """A resting body that garments are placed on.

    `points`, `normals` (V, 3) and `joints` (J, 3), metres; `head`: number of the head's bone;
    `chin` and `sellion` (3,); `back`: y of the skull's back; `template`: points (N, 3) on this head
    to places on the template's, which shells are drawn for; `age` 0..1 as of `bodies`; `face`
    (3, 3): the tip of the nose, the left and the right ear.
    """

    points: Array
    normals: Array
    joints: Array
    head: int
    chin: Array
    sellion: Array
    back: float
    template: Callable[[Array], Array]
    age: float
    face: Array


def join(
    body: Body,
    parts: list[tuple[Garment, Integers | None]],
    skin: int | None,
    skin_name: str,
    rng: np.random.Generator,
    strands: np.random.Generator | None,
) -> Person:
    """Place parts on a body, each with the triangles to keep (None: all), the body first.

    skin: texture of parts of kind body, or None where each has its own. rng: numbers for varied
    hair; strands: those for `restyle`, or None to leave hair as it is.
    """
    rest, normals, uv, bones, weights, triangles, materials, in_head, box, bald = (
        [] for _ in range(10)
    )
    covers = [g.shell for g, _ in parts if g.kind == "cover" and g.shell is not None]
    start = 0
    for number, (garment, kept) in enumerate(parts):
        points = garment.place(body.points, body.normals)
        if garment.kind == "hair" and garment.shell is None:
            if garment.fit is not None:
                points = _vary_hair(points, body, rng)
            kept = _uncovered(garment.triangles, points, body, covers)
        if strands is not None and _stylable(garment) and not covers:
            points = restyle(points, body.chin, body.sellion + SKULL, strands)
        local = garment.triangles if kept is None else kept
        rest.append(points)
        shared = garment.fit is None and garment.thickness is None
        normals.append(
            body.normals[garment.corners]
            if shared and (garment.kind == "body" or garment.own_normals)
            else vertex_normals(points, local)
        )
        uv.append(garment.uv)
        bones.append(garment.bones)
        weights.append(garment.weights)
        triangles.append(local + start)
        materials.append(np.full(len(local), number, np.uint8))
        inside = _head_vertices(garment, points, body)
        in_head.append(inside)
        used = np.zeros(len(points), bool)
        used[local] = True
        shown = inside & used
        if garment.solid is not None and garment.kind == "hair":
            shown = shown & (garment.solid > 0.3)
        box.append(np.nonzero(shown)[0] + start)
        if garment.kind == "body":
            bald.append(np.nonzero(inside & used)[0] + start)
        start += len(points)
    all_rest = np.concatenate(rest).astype(np.float32)
    all_triangles = np.concatenate(triangles).astype(np.int32)
    all_normals = np.concatenate(normals).astype(np.float32)
    garments = [garment for garment, _ in parts]
    of_head = np.asarray(np.concatenate(in_head)[all_triangles].all(1), np.uint8)
    return Person(
        all_rest,
        all_normals,
        np.concatenate(uv).astype(np.float32),
        np.concatenate(bones).astype(np.int16),
        np.concatenate(weights).astype(np.float32),
        all_triangles,
        np.concatenate(materials),
        of_head,
        occlusion(all_rest, all_normals, all_triangles, body.sellion),
        np.asarray(body.joints, np.float32),
        body.sellion,
        np.concatenate(box),
        np.concatenate(bald),
        np.array([g.texture if skin is None or g.kind != "body" else skin for g in garments]),
        np.array([g.flags for g in garments]),
        np.array([g.gloss for g in garments], np.float32),
        tuple(g.kind for g in garments),
        tuple(g.name for g in garments),
        skin_name,
        body.age,
        body.face,
    )


def _stylable(garment: Garment) -> bool:
    return garment.kind == "hair" and (garment.shell is None or garment.shell.list_name != "beard")


def _head_vertices(garment: Garment, points: Array, body: Body) -> Integers:
    above = points[:, 2] >= body.chin[2]
    if garment.kind in ("body", "cover", "hat"):
        weight = (garment.weights * (garment.bones == body.head)).sum(1)
        return above & (weight > 0.5)
    if garment.kind in ("hair", "brow", "eye", "glasses"):
        return above & (points[:, 1] < body.back + BEHIND)
    return np.zeros(len(points), bool)


def _vary_hair(points: Array, body: Body, rng: np.random.Generator) -> Array:
    """Mirror half of the hair and change its volume a little, about the middle of the skull."""
    centre = body.sellion + SKULL
    scale = rng.uniform([0.99, 0.99, 0.98], [1.06, 1.08, 1.08])
    if rng.random() < 0.5:
        scale[0] = -scale[0]
    out = (points - centre) * scale + centre
    low = np.clip((body.chin[2] - out[:, 2]) / 0.1, 0, 1)
    out[:, 2] -= low * (body.chin[2] - out[:, 2]) * rng.uniform(-0.4, 0.25)
    return out.astype(np.float32)


def _uncovered(triangles: Integers, points: Array, body: Body, covers: list[Shell]) -> Integers:
    """Hair triangles not under a hat."""
    template = body.template(points)
    hidden = np.zeros(len(points), bool)
    for shell in covers:
        if shell.region == "scalp":
            hidden |= template[:, 2] > edge_height(shell, template[:, 1]) + 0.004
    return triangles[~hidden[triangles].any(1)]


def occlusion(points: Array, normals: Array, triangles: Integers, centre: Array) -> Array:
    """Ambient occlusion (N,) of the upper body from 24 parallel depth views; 1 is open."""
    near = np.linalg.norm(points - centre, axis=1) < 0.45
    keep = near[triangles].any(1).astype(np.uint8)
    total = np.full(len(points), 1e-3, np.float32)
    unoccluded = total.copy()
    for k in range(24):
        z = 1 - (k + 0.5) / 24 * 1.5
        angle = k * 2.399963
        r = np.sqrt(1 - z * z)
        direction = np.array([r * np.cos(angle), r * np.sin(angle), z])
        screen = parallel_view(points, direction, centre, 0.42, 144)
        depth = np.full((144, 144), -1e9, np.float32)
        draw_depth(screen, triangles, keep, depth)
        facing = np.maximum(normals @ direction.astype(np.float32), 0) + 0.05
        total += facing
        unoccluded += facing * visible_in(screen, depth, np.float32(0.012))
    return np.where(near, np.clip(0.15 + 0.95 * unoccluded / total, 0.2, 1), 1).astype(np.float32)
