# SPDX-License-Identifier: Apache-2.0
"""Dressed identities: one resting mesh with skinning, materials, occlusion and head landmarks."""

from __future__ import annotations

import numpy as np

from .. import Array, Integers
from ..clothes.wardrobe import Garment, Wardrobe
from ..drawing.raster import vertex_normals
from ..splits import SPLITS, number_of
from .bodies import BodyBank
from .colours import cloth_map, hair_colour, scaled, skin_map, tinted
from .person import Body, Person, join

CHIN, SELLION = 747, 132  # base mesh vertices: front of the chin, deepest point of the nose bridge
FACE = [297, 12118, 5519]  # tip of the nose, middle of the left and of the right ear
TIED, PEAKED = 0.25, 0.5  # shares of women's hair and of hats, where shapes are drawn


def dress(bank: BodyBank, wardrobe: Wardrobe, split: str, seed: int, index: int) -> Person:
    """Identity `index`: its body from the bank, and clothes, hair and skin from its own seed."""
    rng = np.random.default_rng([seed, number_of(split), 72, index])
    body = np.asarray(bank.rest[index], np.float32)
    gender, age, _ = bank.traits[index]
    skins = wardrobe.skin_choices(split)
    texture, skin_name = skins[_skin_choice([s[1] for s in skins], bank.traits[index], rng)]
    worn = _outfit(wardrobe, split, gender > 0.5, age, rng)
    if SPLITS[split].drawn:
        extra = np.random.default_rng([seed, number_of(split), 81, index])
        worn = peaked(tied(worn, wardrobe, split, gender > 0.5, extra), wardrobe, split, extra)
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
    return join(_undressed(bank, index, body, normals), parts, texture, skin_name, rng, strands)


def _undressed(bank: BodyBank, index: int, points: Array, normals: Array) -> Body:
    head = bank.rig.labels.index("head")
    weight = (bank.rig.weights * (bank.rig.bones == head)).sum(1)
    skull = (weight > 0.9) & (points[:, 2] > points[SELLION, 2])
    skull[13380:] = False  # helper surfaces
    moved = points[SELLION] - bank.rig.template[SELLION]
    return Body(
        points,
        normals,
        bank.joints[index],
        head,
        points[CHIN],
        points[SELLION],
        float(points[skull, 1].max()),
        lambda garment: garment - moved,
        float(bank.traits[index][1]),
        points[FACE],
    )


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
    cover = one("cover") if rng.random() < SPLITS[split].covered else []
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


def tied(
    worn: list[Garment],
    wardrobe: Wardrobe,
    split: str,
    female: bool,
    rng: np.random.Generator,
) -> list[Garment]:
    """What somebody wears, with their hair in a bun or a tail in place of a mesh, by chance."""
    ties, crops = wardrobe.choices("tie", split), wardrobe.choices("crop", split)
    loose = [g for g in worn if g.kind == "hair" and not (g.shell and g.shell.list_name == "beard")]
    if not loose or not ties or not crops or rng.random() >= (TIED if female else TIED / 5):
        return worn
    own = [crops[rng.integers(len(crops))], ties[rng.integers(len(ties))]]
    return [g for g in worn if not any(g is other for other in loose)] + own


def peaked(
    worn: list[Garment], wardrobe: Wardrobe, split: str, rng: np.random.Generator
) -> list[Garment]:
    """What somebody wears, with a peak at the hat, by chance."""
    peaks = wardrobe.choices("peak", split)
    capped = any(g.kind == "cover" and g.shell and g.shell.region == "scalp" for g in worn)
    if not peaks or not capped or rng.random() >= PEAKED:
        return worn
    return [*worn, peaks[rng.integers(len(peaks))]]


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
