# SPDX-License-Identifier: Apache-2.0
"""Hair and headwear drawn at random, so that a split shows more shapes of heads than were modelled.

A handful of hair meshes and caps is learnt by heart. `drawn_shells` mixes the outlines of the
modelled ones into new caps of hair, hats and hoods; `restyle` gives every wearer's hair a volume,
length and waves of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import Array
from ..splits import HELD, SPLITS, number_of
from .shells import SHELLS, Shell

DRAWN = {"crop": 14, "cover": 8, "hood": 4}  # new shapes of each kind, a split
SMOOTH = {"mane": 3, "crop": 4, "helmet": 5, "hood": 5}  # and of sleek ones
PLACES = np.array([-0.16, -0.125, -0.1, -0.075, -0.05, -0.03, 0.0, 0.1])  # along y, front to back


def drawn_shells(split: str) -> list[Shell]:
    """The shapes that only `split` shows; always the same ones, none for splits without any."""
    if not SPLITS[split].drawn:
        return []
    rng = np.random.default_rng([73, number_of(split)])
    crops = [_cap("crop", "hair", rng) for _ in range(DRAWN["crop"])]
    covers = [_cap("cover", "cover", rng) for _ in range(DRAWN["cover"])]
    return crops + covers + [_hood(rng) for _ in range(DRAWN["hood"])]


def smooth_shells(split: str) -> list[Shell]:
    """Sleek long hair, helmets and headscarves of the splits that have drawn shapes.

    From behind such heads are an even blob with a highlight, which was taken for none.
    """
    if not SPLITS[split].drawn:
        return []
    rng = np.random.default_rng([79, number_of(split)])
    sleek = [_mane(rng) for _ in range(SMOOTH["mane"])]
    sleek += [replace(_cap("crop", "hair", rng), smooth=True) for _ in range(SMOOTH["crop"])]
    return (
        sleek
        + [_helmet(rng) for _ in range(SMOOTH["helmet"])]
        + [replace(_hood(rng), smooth=True) for _ in range(SMOOTH["hood"])]
    )


def _mane(rng: np.random.Generator) -> Shell:
    low = float(rng.uniform(0.555, 0.64))  # lower, it would lie on the shoulders like a collar
    return Shell(
        "longdrawn",  # long: worn under hats too
        "hair",
        "hair",
        float(rng.uniform(0.012, 0.035)),
        ((-1.0, low), (1.0, low)),
        fade=float(rng.uniform(0.03, 0.09)),
        region="mane",
        gloss=float(rng.uniform(0.1, 0.5)),
        smooth=True,
    )


def _helmet(rng: np.random.Generator) -> Shell:
    return replace(
        _cap("cover", "cover", rng),
        name="helmet",
        thickness=float(rng.uniform(0.018, 0.045)),
        fade=float(rng.uniform(0.003, 0.03)),
        gloss=float(rng.uniform(0.1, 0.9)),
        smooth=True,
    )


def _cap(list_name: str, kind: str, rng: np.random.Generator) -> Shell:
    """A cap whose edge lies between the edges of those modelled for everybody."""
    known = [
        np.interp(PLACES, *np.transpose(s.line))
        for s in SHELLS
        if s.list_name == list_name and s.region == "scalp" and s.name not in HELD
    ]
    edge = rng.dirichlet(np.ones(len(known))) @ np.array(known)
    edge += rng.uniform(-0.012, 0.02) + rng.normal(0, 0.004, len(PLACES))
    thickness = np.exp(rng.uniform(np.log(0.002), np.log(0.032)))
    return Shell(
        "drawn",
        kind,
        list_name,
        float(thickness if kind == "hair" else max(thickness, 0.004)),
        tuple(zip(PLACES.tolist(), edge.tolist(), strict=True)),
        fade=float(rng.uniform(0.005, 0.06)),
        gloss=float(rng.uniform(0.0, 0.4)),
    )


def _hood(rng: np.random.Generator) -> Shell:
    low = float(rng.uniform(0.44, 0.58))
    return Shell(
        "hood",
        "cover",
        "cover",
        float(rng.uniform(0.004, 0.035)),
        ((-1.0, low), (1.0, low)),
        fade=float(rng.uniform(0.02, 0.08)),
        region="hood",
    )


def restyle(points: Array, chin: Array, centre: Array, rng: np.random.Generator) -> Array:
    """Hair (N, 3), metres, with another volume, length and waves about the skull's `centre`.

    chin (3,): hair below it is made longer or shorter; nothing moves towards the skull by more
    than 2 mm, so that no skin shows through.
    """
    outward = points - centre
    outward = outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    swell = rng.gamma(1.5, 0.006) + _waves(points, rng) * rng.uniform(0, 0.012)
    out = points + outward * np.maximum(swell, -0.002)[:, None]
    below = np.maximum(chin[2] - out[:, 2], 0)
    out[:, 2] -= below * rng.uniform(-0.7, 0.3)
    out[:, :2] += (below[:, None] / 0.2).clip(max=1) * rng.normal(0, 0.015, 2)
    return out.astype(np.float32)


def _waves(points: Array, rng: np.random.Generator) -> Array:
    """Smooth random values (N,), about one in size, with periods of 4 to 15 cm."""
    directions = rng.normal(size=(6, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    periods = rng.uniform(0.04, 0.15, 6)
    phases = points @ (directions * (2 * np.pi / periods)[:, None]).T + rng.uniform(0, 6.3, 6)
    return np.sin(phases).mean(1) * np.sqrt(6 / 3)
