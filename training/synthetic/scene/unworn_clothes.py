# SPDX-License-Identifier: Apache-2.0
"""What people wear, without the people: hats on their own, clothes as on a dummy without a head.

Models that had only ever seen coats and helmets together with a head took them for one.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .. import Array
from ..drawing.compose import Mesh
from ..drawing.raster import skin
from ..people.dressing import person_colours
from ..people.person import HEADWEAR, Person
from ..people.posing import forward_kinematics, random_pose
from .camera import Camera
from .world import World

CLOTHES = ("clothes",)
FILLED = "hood"  # from behind it looks the same with a head in it
HEAD_SIZE = 0.2  # metres, against which sizes in pixels are drawn
SIZES = (12.0, 120.0)  # pixels of HEAD_SIZE in a picture 320 pixels wide


def unworn_clothes(
    world: World, camera: Camera, mean: float, rng: np.random.Generator
) -> list[Mesh]:
    """Some hats and clothes in view, `mean` of them on average."""
    found = []
    for _ in range(rng.poisson(mean)):
        person = world.person(int(rng.integers(world.identities)))
        pose = random_pose(world.rig, person.joints, float(rng.uniform(-180, 180)), False, rng)
        bones = forward_kinematics(world.rig.parents, person.joints, pose)
        maps, _ = person_colours(person, world.texture_means, rng)
        found.append(_unworn(person, bones, maps, camera, rng))
    return [mesh for mesh in found if mesh is not None]


def _unworn(
    person: Person,
    bones: tuple[Array, Array],
    maps: Array,
    camera: Camera,
    rng: np.random.Generator,
) -> Mesh | None:
    """A person's hat, turned any way, or else their clothes, posed by `bones` = (linear, shift) and
    somewhere in view; None where neither is worn. `maps` are the colours of all materials.
    """
    kept = _triangles(person, HEADWEAR)
    if kept.any() and rng.random() < 0.7:
        turn = Rotation.random(random_state=rng).as_matrix().astype(np.float32)
        points, normals = person.rest @ turn.T, person.normals @ turn.T
    else:
        kept = _triangles(person, CLOTHES)
        points, normals = np.empty_like(person.rest), np.empty_like(person.rest)
        skin(person.rest, person.normals, person.bones, person.weights, *bones, points, normals)
    if not kept.any():
        return None
    triangles = person.triangles[kept]
    shown = points[np.unique(triangles)]
    top = shown[shown[:, 2] > shown[:, 2].max() - HEAD_SIZE].mean(0)
    size = np.exp(rng.uniform(*np.log(SIZES))) * camera.width / 320
    ray = camera.ray(rng.uniform(0, camera.width), camera.height * rng.beta(1.8, 1.6))
    middle = camera.position + ray * (camera.focal * HEAD_SIZE / size)
    return Mesh(
        (points + (middle - top)).astype(np.float32),
        normals.astype(np.float32),
        person.uv,
        triangles,
        person.materials[kept],
        np.zeros(len(triangles), np.uint8),
        person.occlusion,
        person.textures,
        person.flags,
        person.gloss,
        maps,
        middle,
        0.0,
    )


def _triangles(person: Person, kinds: tuple[str, ...]) -> Array:
    """Mask (T,) of the triangles of things of some kinds."""
    chosen = np.isin(person.kinds, kinds) & ~np.isin(person.names, FILLED)
    return np.asarray(chosen[person.materials])
