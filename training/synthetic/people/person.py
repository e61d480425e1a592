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
    covers = [g.shell for g, _ in parts if g.kind == "cover" and g.shell is not None]
    pieces = [_placed(*part, body, covers, rng, strands) for part in parts]
    garments = [garment for garment, _ in parts]
    starts = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    at = list(zip(garments, pieces, starts[:-1].tolist(), strict=True))
    rest = np.concatenate([piece.points for piece in pieces]).astype(np.float32)
    normals = np.concatenate([piece.normals for piece in pieces]).astype(np.float32)
    triangles = np.concatenate([piece.triangles + start for _, piece, start in at]).astype(np.int32)
    in_head = np.concatenate([piece.in_head for piece in pieces])
    box = [np.nonzero(_bounding(garment, piece))[0] + start for garment, piece, start in at]
    return Person(
        rest,
        normals,
        np.concatenate([garment.uv for garment in garments]).astype(np.float32),
        np.concatenate([garment.bones for garment in garments]).astype(np.int16),
        np.concatenate([garment.weights for garment in garments]).astype(np.float32),
        triangles,
        np.repeat(np.arange(len(pieces)), [len(p.triangles) for p in pieces]).astype(np.uint8),
        np.asarray(in_head[triangles].all(1), np.uint8),
        occlusion(rest, normals, triangles, body.sellion),
        np.asarray(body.joints, np.float32),
        body.sellion,
        np.concatenate(box),
        np.concatenate([b for b, g in zip(box, garments, strict=True) if g.kind == "body"]),
        np.array([g.texture if skin is None or g.kind != "body" else skin for g in garments]),
        np.array([g.flags for g in garments]),
        np.array([g.gloss for g in garments], np.float32),
        tuple(g.kind for g in garments),
        tuple(g.name for g in garments),
        skin_name,
        body.age,
        body.face,
    )


@dataclass(frozen=True)
class _Piece:
    """A garment on a body: points and normals (N, 3), triangles (T, 3) that are kept, and which
    points (N,) belong to the head."""

    points: Array
    normals: Array
    triangles: Integers
    in_head: Integers


def _placed(
    garment: Garment,
    kept: Integers | None,
    body: Body,
    covers: list[Shell],
    rng: np.random.Generator,
    strands: np.random.Generator | None,
) -> _Piece:
    """One of the parts of `join`; covers: hats and the like, under which hair is left out."""
    points = garment.place(body.points, body.normals)
    if garment.kind == "hair" and garment.shell is None:
        if garment.fit is not None:
            points = _vary_hair(points, body, rng)
        kept = _uncovered(garment.triangles, points, body, covers)
    if strands is not None and _stylable(garment) and not covers:
        points = restyle(points, body.chin, body.sellion + SKULL, strands)
    triangles = garment.triangles if kept is None else kept
    shared = garment.fit is None and garment.thickness is None
    if shared and (garment.kind == "body" or garment.own_normals):
        normals = body.normals[garment.corners]
    else:
        normals = vertex_normals(points, triangles)
    return _Piece(points, normals, triangles, _head_vertices(garment, points, body))


def _bounding(garment: Garment, piece: _Piece) -> Integers:
    """Which points (N,) span the head's box: those of the head that are drawn, and of hair those
    that are nearly solid."""
    drawn = np.zeros(len(piece.points), bool)
    drawn[piece.triangles] = True
    shown = piece.in_head & drawn
    if garment.solid is not None and garment.kind == "hair":
        shown = shown & (garment.solid > 0.3)
    return shown


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
