# SPDX-License-Identifier: Apache-2.0
"""Sampling of whole scenes: who stands where and turned how, under which light, before what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hpe_vlm_ros.geometry import rotation_from_vector

from .. import Array, Integers
from ..drawing.compose import Canvas, Mesh
from ..people.colours import cloth_map, tinted
from ..people.dressing import person_colours
from ..people.person import HEADWEAR, Person
from ..people.posing import forward_kinematics, random_pose, steep_head_turn, turn_head
from ..splits import SPLITS
from . import backgrounds, clutter
from .camera import Camera, develop, raised_camera, random_camera
from .capture_dome import dome_background, dome_camera, lamps
from .figures import HEAD_MIDDLE, Drawn, Figure, draw_person, head_label
from .lights import Light, Panorama, exposed, exposure, light_of, procedural_panorama
from .unworn_clothes import unworn_clothes
from .world import ROOMS, Surroundings, World

HEAD_SIZE = 0.205  # metres: about sqrt(width * height) of an adult's head box
SMALLEST = 12.0  # pixels of sqrt(w h) in a picture 320 pixels wide
CLUTTER_OWNER = 100  # and up, by twos; each mesh needs owners of its own


@dataclass(frozen=True)
class Place:
    """Wanted place of a head: image position, size in pixels, and its depth in metres."""

    u: float
    v: float
    size: float
    depth: float


def render_scene(world: World, canvas: Canvas, index: int) -> tuple[Integers, dict[str, Any]]:
    """Picture (H, W, 3) uint8 RGB and label of scene `index`; depends on seeds alone."""
    split, dome = SPLITS[world.split], world.split == "panoptic"
    rng = np.random.default_rng([world.seed, split.number, 73, index])
    camera = (dome_camera if dome else random_camera)(canvas.width, canvas.height, rng)
    aside = np.random.default_rng([world.seed, split.number, 77, index])  # else `rng` changes
    if aside.random() < split.raised:
        camera = raised_camera(canvas.width, canvas.height, aside)
    panorama, turn = lamps(rng) if dome else random_panorama(world, rng), rng.random()
    background, floor = random_background(world, camera, panorama, turn, rng)
    light, gain = exposed(light_of(panorama.small, turn), rng)
    canvas.clear()
    odds = split.head_odds
    places = random_places(camera, int(rng.choice(len(odds), p=odds)), rng, split.largest)
    drawn = []
    own = np.random.default_rng([world.seed, split.number, 75, index])
    strewn = objects(world, camera, 1.1 if places else 3.0, rng)
    things = strewn + unworn_clothes(world, camera, split.unworn, own)
    for number, mesh in enumerate(things):
        canvas.add(mesh, CLUTTER_OWNER + 2 * number, camera, light)
    for number, place in enumerate(sorted(places, key=lambda p: p.depth)):
        owner = 1 + 2 * number
        drawn.append(_add_person(world, canvas, camera, light, place, floor, owner, rng, aside))
    picture = develop(canvas.over(background * exposure(background, gain, rng)), rng)
    heads = [h for h in (head_label(picture, canvas, camera, d) for d in drawn) if h is not None]
    label = {
        "width": canvas.width,
        "height": canvas.height,
        "focal": round(camera.focal, 3),
        "seed": world.seed,
        "scene": index,
        "heads": heads,
    }
    return picture, label


def random_places(
    camera: Camera, count: int, rng: np.random.Generator, largest: float = 200.0
) -> list[Place]:
    """Heads of log-uniform size anywhere in the picture, mostly not right over each other.

    Those for which no free place is found are left out.
    """
    unit = camera.width / 320
    sizes = np.exp(rng.uniform(np.log(SMALLEST), np.log(largest), count)) * unit
    places: list[Place] = []
    for size in sorted(sizes, reverse=True):
        near = camera.width * 0.5 if size > 60 * unit else camera.width * 0.5 + size * 0.1
        for attempt in range(24):
            u = camera.width / 2 + rng.uniform(-1, 1) * near
            v = camera.height * rng.beta(1.6, 2.4)
            v = max(v, -0.1 * size) if rng.random() < 0.15 else max(v, 0.5 * size - 2)
            place = Place(u, v, size, camera.focal * HEAD_SIZE / size)
            if not any(_collide(place, other, attempt) for other in places):
                places.append(place)
                break
    return places


def _collide(place: Place, other: Place, attempt: int) -> bool:
    """Whether a smaller (farther) head is hidden by a nearer one or by the body below it."""
    across = abs(place.u - other.u) / other.size
    below = (place.v - other.v) / other.size
    if across < 0.5 and abs(below) < 0.5:
        return True
    return attempt < 20 and below > -0.6 and across < (0.8 if below < 0.6 else 1.15)


def random_panorama(world: Surroundings, rng: np.random.Generator) -> Panorama:
    """A photographed one in 85 of 100 scenes, if there are any; else a painted one of sky, ground
    and lamps."""
    if world.panoramas and rng.random() < 0.85:
        return world.panoramas[rng.integers(len(world.panoramas))]
    return procedural_panorama(rng)


def random_background(
    world: Surroundings, camera: Camera, panorama: Panorama, turn: float, rng: np.random.Generator
) -> tuple[Array, bool]:
    """Linear picture (H, W, 3) and whether it has a floor at z = 0."""
    if world.split == "panoptic":
        return dome_background(camera, world.room(int(rng.integers(ROOMS))), rng), False
    kind = rng.random()
    if kind < 0.4 and panorama.name != "procedural":
        return backgrounds.panorama_view(panorama.image, camera, turn), False
    if kind < 0.75:
        return random_room(world, camera, rng), True
    if kind < 0.87 and world.photos:
        photo = world.photos[rng.integers(len(world.photos))]
        return backgrounds.photo_view(photo, camera.width, camera.height, rng), False
    busy = SPLITS[world.split].drawn and kind > 0.94
    paint = backgrounds.leaves if busy else backgrounds.pattern
    return paint(camera.width, camera.height, rng), False


def random_room(world: Surroundings, camera: Camera, rng: np.random.Generator) -> Array:
    """Linear picture (H, W, 3) of a room with its floor at z = 0."""
    size = np.array([rng.uniform(3, 12), rng.uniform(3.5, 14), rng.uniform(2.3, 4)])
    behind = rng.uniform(0.3, 1.5)
    origin = np.array([-size[0] * rng.uniform(0.25, 0.75), -behind, 0.0])
    size[2] = max(size[2], camera.position[2] + 0.2)
    glow = rng.uniform(0.6, 1.1, (6, 1)) * rng.uniform(0.8, 1.1, 3)
    walls = world.room(int(rng.integers(ROOMS)))
    return backgrounds.room_view(walls, camera, size, origin, glow)


def objects(
    world: Surroundings, camera: Camera, average: float, rng: np.random.Generator
) -> list[Mesh]:
    """Decoys and occluders, `average` of them a picture."""
    out = []
    for _ in range(rng.poisson(average)):
        decoy = rng.random() < 0.5
        points, normals, uv, triangles = clutter.random_object(rng, decoy)
        extent = float(np.ptp(points, axis=0).max())
        size = np.exp(rng.uniform(np.log(12), np.log(110))) * camera.width / 320
        depth = max(camera.focal * extent / size, 0.25)
        u, v = rng.uniform(0, camera.width), camera.height * rng.beta(2.2, 1.3)
        centre = camera.position + camera.ray(u, v) * depth
        texture = world.cloth_textures[rng.integers(len(world.cloth_textures))]
        mean = world.texture_means[texture]
        skin_like = np.array([0.45, 0.27, 0.18]) * rng.uniform(0.3, 1.2)
        colour = tinted(skin_like, mean) if rng.random() < 0.3 else cloth_map(mean, rng)
        count = len(triangles)
        out.append(
            Mesh(
                points + centre.astype(np.float32),
                normals,
                uv,
                triangles,
                np.zeros(count, np.uint8),
                np.zeros(count, np.uint8),
                np.full(len(points), 0.9, np.float32),
                np.array([texture]),
                np.array([0]),
                np.array([rng.uniform(0, 0.4)], np.float32),
                colour[None].astype(np.float32),
                centre,
                0.0,
            )
        )
    return out


def _add_person(
    world: World,
    canvas: Canvas,
    camera: Camera,
    light: Light,
    place: Place,
    floor: bool,
    owner: int,
    rng: np.random.Generator,
    aside: np.random.Generator,
) -> Drawn:
    """Pose, place and draw a person."""
    person = world.person(int(rng.integers(world.identities)))
    seated = rng.random() < 0.2
    pose = random_pose(world.rig, person.joints, float(rng.uniform(-180, 180)), seated, rng)
    _hold_head(world, person, pose, aside)
    linear, shift = forward_kinematics(world.rig.parents, person.joints, pose)
    head = world.rig.labels.index("head")
    here = linear[head] @ (person.sellion + HEAD_MIDDLE) + shift[head]
    target = camera.position + camera.ray(place.u, place.v) * place.depth
    if floor or rng.random() < 0.3:
        target = _standing(camera, place, here, person, target, rng)
    maps, tone = person_colours(person, world.texture_means, rng)
    shift = shift + (target - here).astype(np.float32)
    shadow = 0.45 if place.size > 26 * camera.width / 320 else 0.0
    figure = Figure(person, linear, shift, maps, tone, target, shadow)
    return draw_person(canvas, camera, light, world.rig, figure, owner)


def _hold_head(world: World, person: Person, pose: Array, rng: np.random.Generator) -> None:
    """Change a random pose to the steep heads and turned backs that a split shows more of."""
    split = SPLITS[world.split]
    if rng.random() < split.steep:
        turn_head(world.rig, pose, steep_head_turn(rng))
    worn = zip(person.kinds, person.names, strict=True)
    hidden = any(kind in HEADWEAR or name.startswith("long") for kind, name in worn)
    if hidden and rng.random() < split.away:
        pose[0] = rotation_from_vector(np.radians([0.0, 0.0, 180 + rng.normal(0, 45)]))


def _standing(
    camera: Camera,
    place: Place,
    here: Array,
    person: Person,
    free: Array,
    rng: np.random.Generator,
) -> Array:
    """Keep the column and depth but put the feet on the floor, when the head stays in view."""
    lowest = float(person.rest[:, 2].min())
    ray = camera.ray(place.u, place.v)
    target = np.array([free[0], free[1], float(here[2]) - lowest + rng.normal(0, 0.02)])
    target[:2] = camera.position[:2] + ray[:2] * place.depth
    _, v, depth = camera.pixel(target)
    if depth > 0.2 and 0.0 < v < 0.9 * camera.height:
        return target
    return free
