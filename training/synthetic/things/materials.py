# SPDX-License-Identifier: Apache-2.0
"""What things are made of: colours and textures of their named materials."""

from __future__ import annotations

import numpy as np

from .. import Array
from ..drawing.patterns import cloth_texture, plain_texture, wall_texture
from ..drawing.textures import TextureStore
from ..people.colours import cloth_map, hair_colour, tinted

# Linear colours and how far each may be off (standard deviation of the logarithm). A material with
# none of these names may have any colour and texture.
COLOURS = {
    "wood": ((0.28, 0.15, 0.07), 0.5),
    "metal": ((0.4, 0.4, 0.42), 0.4),
    "dark": ((0.02, 0.02, 0.022), 0.4),
    "white": ((0.7, 0.69, 0.66), 0.12),
    "red": ((0.5, 0.02, 0.02), 0.2),
    "window": ((0.06, 0.09, 0.12), 0.5),
    "screen": ((0.08, 0.2, 0.45), 0.9),
    "lens": ((0.25, 0.3, 0.35), 0.7),
    "leaf": ((0.06, 0.2, 0.03), 0.35),
    "earth": ((0.06, 0.035, 0.02), 0.3),
    "beak": ((0.55, 0.25, 0.04), 0.3),
}
SKIN = ((0.5, 0.29, 0.2), 0.6)
SHINY = {"metal": (0.4, 0.9), "window": (0.4, 0.9), "screen": (0.2, 0.6)}


def add_textures(store: TextureStore, rng: np.random.Generator) -> dict[str, list[int]]:
    """Textures by kind: plain, wall (wood, tiles, bricks) and cloth."""
    makers = {"plain": plain_texture, "wall": wall_texture, "cloth": cloth_texture}
    return {kind: [store.add(make(rng, 128)) for _ in range(8)] for kind, make in makers.items()}


def paint(
    names: tuple[str, ...],
    textures: dict[str, list[int]],
    means: list[Array],
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """For materials of these names: textures (M,), colour maps (M, 3, 4) and gloss (M,)."""
    skin = _varied(SKIN, rng)
    own = {"skin": skin, "lips": skin * (0.9, 0.5, 0.5), "hair": hair_colour(rng.random(), rng)}
    own["fur"] = hair_colour(rng.random(), rng) * rng.uniform(1, 2)
    chosen, maps, gloss = [], [], []
    for name in names:
        free = name not in own and name not in COLOURS
        kinds = ("plain", "plain", "wall", "cloth") if free else ("plain",)
        among = textures[kinds[rng.integers(len(kinds))]]
        texture = among[rng.integers(len(among))]
        mean = means[texture]
        colour = own[name] if name in own else None if free else _varied(COLOURS[name], rng)
        maps.append(cloth_map(mean, rng) if colour is None else tinted(colour, mean))
        chosen.append(texture)
        gloss.append(rng.uniform(*SHINY.get(name, (0, 0.4))))
    return np.array(chosen), np.array(maps, np.float32), np.array(gloss, np.float32)


def _varied(colour: tuple[tuple[float, ...], float], rng: np.random.Generator) -> Array:
    mean, spread = colour
    varied = np.array(mean) * np.exp(rng.normal(0, spread) + rng.normal(0, spread / 4, 3))
    return np.asarray(np.clip(varied, 0.005, 0.85))
