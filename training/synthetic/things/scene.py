# SPDX-License-Identifier: Apache-2.0
"""A thing before the camera: drawn, and where its named points are in the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ...data.labels import rounded, thing_record
from ...data.sample import Thing
from .. import Array, Integers, labels
from ..drawing.compose import Canvas, Mesh
from ..drawing.raster import vertex_normals
from ..scene.camera import Camera, develop, random_camera, tilted
from ..scene.lights import exposed, exposure, light_of
from ..scene.sampling import CLUTTER_OWNER, objects, random_background, random_panorama
from ..scene.world import Surroundings
from ..splits import number_of
from .materials import paint
from .shape import Assembly, Category

RADIUS = 0.35  # metres; every thing is drawn as large, since light and shadows fit people's heads
DEEP = 0.08  # a point that lies deeper below what is drawn (shares of RADIUS x 2) is covered
STREWN = 0.7  # objects that lie about or in front, a picture, in the mean
SIZES = (0.5, 1.15)  # of a thing's sphere against the picture's shorter side


def render_thing(
    world: Surroundings,
    textures: dict[str, list[int]],
    canvas: Canvas,
    category: Category,
    index: int,
) -> tuple[Integers, dict[str, Any]]:
    """Picture (H, W, 3) uint8 RGB and label of thing `index` of a category.

    Depends on seed, split, the category's name and `index` alone. The label is a line of a label
    file (`training.data.labels`) with one thing.
    """
    seed = [world.seed, number_of(world.split), 79, index, *category.name.encode()]
    rng = np.random.default_rng(seed)
    assembly = category.build(rng)
    camera, rotation, middle = _view(category, canvas, rng)
    mesh, scale, shift = _placed(assembly, rotation, middle, world, textures, rng)
    panorama, turn = random_panorama(world, rng), rng.random()
    background, _ = random_background(world, camera, panorama, turn, rng)
    light, gain = exposed(light_of(panorama.small, turn), rng)
    canvas.clear()
    for number, other in enumerate(objects(world, camera, STREWN, rng)):
        canvas.add(other, CLUTTER_OWNER + 2 * number, camera, light)
    screen = canvas.add(mesh, 1, camera, light)
    box = labels.box_of(screen, np.arange(len(screen)))
    assert box is not None  # the camera looks at it
    names = tuple(category.points)
    places = np.array([assembly.points[n] for n in names]) @ rotation.T * scale + shift
    picture = develop(canvas.over(background * exposure(background, gain, rng)), rng)
    clipped = labels.clip_box(box, canvas.width, canvas.height)
    assert clipped is not None
    deep = np.full(len(places), DEEP * 2 * RADIUS)
    found = labels.point_labels(places, deep, camera, canvas)
    thing = Thing(category.name, clipped, names, found, tuple(category.points.values()))
    return picture, {
        "width": canvas.width,
        "height": canvas.height,
        "focal": round(camera.focal, 3),
        "seed": world.seed,
        "scene": index,
        "heads": [],
        "all_heads": False,
        "things": [thing_record(thing)],
        "expressions": [{"sentences": [f"the {category.name}"], "box": rounded(thing.box, 3)}],
    }


def _view(
    category: Category, canvas: Canvas, rng: np.random.Generator
) -> tuple[Camera, Array, Array]:
    """A camera, how the thing is turned before it (3, 3), and where its middle is (3,)."""
    usual = random_camera(canvas.width, canvas.height, rng)
    roll = rng.uniform(-category.roll, category.roll)
    rotation = tilted(rng.uniform(*category.tilt), roll)
    camera = Camera(canvas.width, canvas.height, usual.focal, rotation, usual.position)
    size = rng.uniform(*SIZES) * min(canvas.width, canvas.height)
    u = canvas.width * rng.uniform(0.4, 0.6)
    v = canvas.height * rng.uniform(0.4, 0.6)
    middle = camera.position + camera.ray(u, v) * (camera.focal * 2 * RADIUS / size)
    turn = rng.uniform(-category.turn, category.turn)
    return camera, Rotation.from_euler("z", turn, degrees=True).as_matrix(), middle


def _placed(
    assembly: Assembly,
    rotation: Array,
    middle: Array,
    world: Surroundings,
    textures: dict[str, list[int]],
    rng: np.random.Generator,
) -> tuple[Mesh, float, Array]:
    """The mesh in the world, and the scale and shift that bring the turned thing there."""
    points, uv, triangles, materials, names = assembly.mesh()
    points = points @ rotation.T
    low, high = points.min(0), points.max(0)
    scale = 2 * RADIUS / float(np.linalg.norm(high - low))
    shift = middle - (low + high) / 2 * scale
    placed = (points * scale + shift).astype(np.float32)
    chosen, maps, gloss = paint(names, textures, world.texture_means, rng)
    count = len(triangles)
    mesh = Mesh(
        placed,
        vertex_normals(placed, triangles),
        uv * np.float32(rng.uniform(0.4, 2)),
        triangles,
        materials,
        np.zeros(count, np.uint8),
        np.full(len(placed), 0.92, np.float32),
        chosen,
        np.zeros(len(names), np.int64),
        gloss,
        maps,
        middle,
        1.1 * RADIUS,
    )
    return mesh, scale, shift
