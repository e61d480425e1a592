# SPDX-License-Identifier: Apache-2.0
"""Dressed identities: one resting mesh with skinning, materials, occlusion and head landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic import Array, Integers
from training.synthetic.bodies import BodyBank
from training.synthetic.colours import cloth_map, hair_colour, scaled, skin_map, tinted
from training.synthetic.hairdos import restyle
from training.synthetic.raster import draw_depth, parallel_view, vertex_normals, visible_in
from training.synthetic.shells import Shell, edge_height
from training.synthetic.splits import SPLITS, number_of
from training.synthetic.wardrobe import Garment, Wardrobe

CHIN, SELLION = 747, 132  # base mesh vertices: front of the chin, deepest point of the nose bridge
SKULL = np.array([0.0, 0.085, 0.03], np.float32)  # the skull's middle from the sellion
BEHIND = 0.06  # metres behind the skull up to which hair belongs to the head's box


@dataclass(frozen=True)
class Person:
    """A resting dressed mesh. `rest`, `normals` (N, 3); `bones`, `weights` (N, 4); `uv` (N, 2).

    `of_head` (T,): triangles of head, hair above the chin and hat. `box_points`: vertices that span
    the head's box; `bald_points`: those of the head without hair. `head_bounds` (2, 3): the resting
    head's extent. Materials are listed by texture, flags, gloss, kind and name.
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


def dress(bank: BodyBank, wardrobe: Wardrobe, split: str, seed: int, index: int) -> Person:
    """Identity `index`: its body from the bank, and clothes, hair and skin from its own seed."""
    rng = np.random.default_rng([seed, number_of(split), 72, index])
    body = np.asarray(bank.rest[index], np.float32)
    gender, age, _ = bank.traits[index]
    skins = wardrobe.skin_choices(split)
    texture, skin_name = skins[_skin_choice([s[1] for s in skins], bank.traits[index], rng)]
    worn = _outfit(wardrobe, split, gender > 0.5, age, rng)
    normals = vertex_normals(body, wardrobe.body.corners[wardrobe.body.triangles].astype(np.int32))
    hidden = np.zeros(len(body), bool)
    for garment in worn:
        if garment.fit is not None:
            hidden[garment.fit.deleted] = True
    parts = [(wardrobe.body, _visible_body(wardrobe.body, hidden)), (wardrobe.eyes, None)]
    parts += [(garment, None) for garment in worn]
    strands = None
    if SPLITS[split].drawn:  # numbers of its own: those of the other splits stay as they are
        strands = np.random.default_rng([seed, number_of(split), 74, index])
    return _merge(bank, parts, body, normals, index, texture, skin_name, rng, strands)


def person_colours(
    person: Person, texture_means: list[Array], rng: np.random.Generator
) -> tuple[Array, str]:
    """Colour maps of a person's materials, and the skin's tone."""
    means = [texture_means[t] for t in person.textures]
    skin_colour, tone = skin_map(means[0], rng)
    hair = hair_colour(person.age, rng)
    maps = []
    for kind, mean in zip(person.kinds, means, strict=True):
        if kind == "body":
            maps.append(skin_colour)
        elif kind == "hair":
            maps.append(tinted(hair, mean))
        elif kind == "brow":
            maps.append(tinted(hair * 0.6, mean))
        elif kind == "eye":
            maps.append(scaled(np.exp(rng.normal(0, 0.1, 3))))
        elif kind == "glasses":
            maps.append(scaled(np.exp(rng.uniform(-4, -1)) * np.ones(3)))
        else:
            maps.append(cloth_map(mean, rng))
    return np.stack(maps).astype(np.float32), tone


def _visible_body(garment: Garment, hidden: Integers) -> Integers:
    gone = hidden[garment.corners][garment.triangles].all(1)
    return garment.triangles[~gone]


def _skin_choice(names: list[str], traits: Array, rng: np.random.Generator) -> int:
    """Favour textures whose name fits the body's sex, age and ancestry."""
    gender, age, african = traits
    odds = np.ones(len(names))
    for i, name in enumerate(names):
        odds[i] *= 4.0 if ("female" in name) == (gender > 0.5) else 1.0
        odds[i] *= 4.0 if ("dark" in name) == (african > 0.4) else 1.0
        odds[i] *= 0.15 if "old" in name and age < 0.85 else 1.0
    return int(rng.choice(len(names), p=odds / odds.sum()))


def _outfit(
    wardrobe: Wardrobe, split: str, female: bool, age: float, rng: np.random.Generator
) -> list[Garment]:
    def one(kind: str) -> list[Garment]:
        options = wardrobe.choices(kind, split)
        return [options[rng.integers(len(options))]] if options else []

    worn: list[Garment] = []
    suits = wardrobe.choices("clothes", split)
    if suits:
        fitting = [g for g in suits if g.name.startswith("female") == female]
        options = fitting if fitting and rng.random() < 0.8 else suits
        worn.append(options[rng.integers(len(options))])
    worn += one("plain_top") + one("plain_bottom") + one("shoes") + one("brow")
    style = rng.random()
    cover = one("cover") if rng.random() < 0.15 else []
    cover_name = cover[0].name if cover else ""
    hat = one("hat") if not cover and rng.random() < 0.07 else []
    bald = rng.random() < (0.02 if female else 0.1)
    if cover_name not in ("hood", "headscarf") and not bald:
        cropped = hat or cover_name
        use_crop = style < (0.08 if female else 0.3) or (cropped and not female)
        worn += (
            one("crop")
            if use_crop or not wardrobe.choices("hair", split)
            else _hair(wardrobe, split, female, bool(cropped), rng)
        )
    worn += cover + hat
    if rng.random() < 0.06:
        worn += one("mask")
    elif not female and age > 0.55 and rng.random() < 0.3:
        worn += one("beard")
    if rng.random() < 0.2:
        worn += one("glasses")
    return worn


def _hair(
    wardrobe: Wardrobe, split: str, female: bool, covered: bool, rng: np.random.Generator
) -> list[Garment]:
    options = wardrobe.choices("hair", split)
    short = [g for g in options if g.name.startswith(("short", "afro"))]
    long = [g for g in options if g not in short]
    group = long if (rng.random() < (0.75 if female else 0.15)) else short
    if covered:
        group = [g for g in options if g.name.startswith(("long", "braid", "ponytail"))] or group
    group = group or options
    return [group[rng.integers(len(group))]]


def _merge(
    bank: BodyBank,
    parts: list[tuple[Garment, Integers | None]],
    body: Array,
    body_normals: Array,
    index: int,
    skin: int,
    skin_name: str,
    rng: np.random.Generator,
    strands: np.random.Generator | None,
) -> Person:
    head = bank.rig.labels.index("head")
    chin, back = body[CHIN, 2], _skull_back(bank, body, head)
    rest, normals, uv, bones, weights, triangles, materials, in_head, box, bald = (
        [] for _ in range(10)
    )
    covers = [g.shell for g, _ in parts if g.kind == "cover" and g.shell is not None]
    start = 0
    for number, (garment, kept) in enumerate(parts):
        points = garment.place(body, body_normals)
        if garment.kind == "hair" and garment.fit is not None:
            points = _vary_hair(points, body, rng)
            kept = _uncovered(garment.triangles, points, body - bank.rig.template, covers)
        if strands is not None and _stylable(garment) and not covers:
            points = restyle(points, body[CHIN], body[SELLION] + SKULL, strands)
        local = garment.triangles if kept is None else kept
        rest.append(points)
        shared = garment.fit is None and garment.thickness is None
        normals.append(
            body_normals[garment.corners]
            if shared and garment.kind == "body"
            else vertex_normals(points, local)
        )
        uv.append(garment.uv)
        bones.append(garment.bones)
        weights.append(garment.weights)
        triangles.append(local + start)
        materials.append(np.full(len(local), number, np.uint8))
        inside = _head_vertices(garment, points, chin, back, head)
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
        occlusion(all_rest, all_normals, all_triangles, body[SELLION]),
        np.asarray(bank.joints[index], np.float32),
        body[SELLION],
        np.concatenate(box),
        np.concatenate(bald),
        np.array([skin if g.kind == "body" else g.texture for g in garments]),
        np.array([g.flags for g in garments]),
        np.array([g.gloss for g in garments], np.float32),
        tuple(g.kind for g in garments),
        tuple(g.name for g in garments),
        skin_name,
        float(bank.traits[index][1]),
    )


def _stylable(garment: Garment) -> bool:
    return garment.kind == "hair" and (garment.shell is None or garment.shell.list_name != "beard")


def _skull_back(bank: BodyBank, body: Array, head: int) -> float:
    weight = (bank.rig.weights * (bank.rig.bones == head)).sum(1)
    skull = (weight > 0.9) & (body[:, 2] > body[SELLION, 2])
    skull[13380:] = False  # helper surfaces
    return float(body[skull, 1].max())


def _head_vertices(
    garment: Garment, points: Array, chin: float, back: float, head: int
) -> Integers:
    above = points[:, 2] >= chin
    if garment.kind in ("body", "cover", "hat"):
        weight = (garment.weights * (garment.bones == head)).sum(1)
        return above & (weight > 0.5)
    if garment.kind in ("hair", "brow", "eye", "glasses"):
        return above & (points[:, 1] < back + BEHIND)
    return np.zeros(len(points), bool)


def _vary_hair(points: Array, body: Array, rng: np.random.Generator) -> Array:
    """Mirror half of the hair and change its volume a little, about the middle of the skull."""
    centre = body[SELLION] + SKULL
    scale = rng.uniform([0.99, 0.99, 0.98], [1.06, 1.08, 1.08])
    if rng.random() < 0.5:
        scale[0] = -scale[0]
    out = (points - centre) * scale + centre
    low = np.clip((body[CHIN, 2] - out[:, 2]) / 0.1, 0, 1)
    out[:, 2] -= low * (body[CHIN, 2] - out[:, 2]) * rng.uniform(-0.4, 0.25)
    return out.astype(np.float32)


def _uncovered(triangles: Integers, points: Array, moved: Array, covers: list[Shell]) -> Integers:
    """Hair triangles not under a hat; `moved` (V, 3): the body against the template."""
    template = points - moved[SELLION]
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
    seen = total.copy()
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
        seen += facing * visible_in(screen, depth, np.float32(0.012))
    return np.where(near, np.clip(0.15 + 0.95 * seen / total, 0.2, 1), 1).astype(np.float32)
