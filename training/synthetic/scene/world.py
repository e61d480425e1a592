# SPDX-License-Identifier: Apache-2.0
"""What every scene of a run draws from: people, rooms, panoramas, photographs, textures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import Array, Integers
from ..people.bodies import Rig
from ..people.person import Person
from .lights import Panorama

ROOMS = 48


@dataclass(frozen=True)
class Surroundings:
    """What is around people and things: `room(i)` gives the walls of room i of ROOMS."""

    room: Callable[[int], Array]
    panoramas: list[Panorama]
    photos: list[Integers]
    cloth_textures: list[int]
    texture_means: list[Array]
    split: str
    seed: int


@dataclass(frozen=True)
class World(Surroundings):
    """What every scene of a run draws from; `person(i)` dresses identity i of `identities`."""

    rig: Rig
    person: Callable[[int], Person]
    identities: int
