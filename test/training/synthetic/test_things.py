# SPDX-License-Identifier: Apache-2.0
"""Things with named points: their catalogue, their geometry, and where points are in pictures."""

import itertools
import re

import numpy as np
import pytest

from training.data.labels import read_labels
from training.synthetic.drawing.compose import Canvas
from training.synthetic.drawing.textures import TextureStore
from training.synthetic.labels import point_labels
from training.synthetic.scene.camera import Camera, tilted
from training.synthetic.scene.world import ROOMS, Surroundings
from training.synthetic.things import render, scene
from training.synthetic.things.catalogue import CATEGORIES, FOLDS, split
from training.synthetic.things.materials import add_textures
from training.synthetic.things.shape import Assembly, Category, descriptions, towards


@pytest.fixture(scope="module")
def around():
    store = TextureStore()
    textures = add_textures(store, np.random.default_rng(0))
    rooms = np.random.default_rng(0).random((ROOMS, 6, 8, 8, 3)).astype(np.float32)
    world = Surroundings(rooms.__getitem__, [], [], textures["plain"], store.means, "test", 5)
    return world, textures, Canvas(80, 80, 2, *store.arrays())


def test_every_category_has_points_of_its_own_words():
    assert len(CATEGORIES) == 30
    for category in CATEGORIES.values():
        assert 6 <= len(category.points) <= 20
        for name, text in category.points.items():
            assert name != text and len(text.split()) >= 4, (category.name, name)
            assert re.fullmatch(r"[a-z ,'-]+", text), text
        assert len(set(category.points.values())) == len(category.points), category.name


@pytest.mark.parametrize("name", CATEGORIES)
def test_points_lie_on_things_of_any_proportions(name):
    category = CATEGORIES[name]
    for seed in range(4):
        assembly = category.build(np.random.default_rng(seed))
        assert assembly.points.keys() == category.points.keys()
        points, uv, triangles, materials, names = assembly.mesh()
        assert len(points) == len(uv) and triangles.max() < len(points)
        assert len(materials) == len(triangles) and materials.max() < len(names)
        size = np.linalg.norm(np.ptp(points, axis=0))
        places = np.array(list(assembly.points.values()))
        inside = (places >= points.min(0) - 0.02 * size) & (places <= points.max(0) + 0.02 * size)
        assert inside.all(), [
            n for n, ok in zip(assembly.points, inside.all(1), strict=True) if not ok
        ]
        apart = np.linalg.norm(places[:, None] - places, axis=-1) + np.eye(len(places))
        assert apart.min() > 0.005 * size


def test_own_left_is_not_the_right():
    """Of whatever has a left and a right the pairs lie on either side."""
    for category in CATEGORIES.values():
        assembly = category.build(np.random.default_rng(1))
        sides = {
            np.sign(assembly.points[name][0] - assembly.points[other][0])
            for name in category.points
            if "left" in name
            if (other := name.replace("left", "right")) in category.points
        }
        assert len(sides) <= 1, category.name


def test_splits_part_the_categories():
    tested = []
    for fold in range(1, FOLDS + 1):
        parts = split(fold)
        assert [len(parts[part]) for part in ("train", "val", "test")] == [21, 3, 6]
        assert sorted(itertools.chain(*parts.values())) == sorted(CATEGORIES)
        tested += parts["test"]
    assert sorted(tested) == sorted(CATEGORIES)
    with pytest.raises(ValueError, match="1 to 5"):
        split(6)


def test_a_line_tells_of_both_sides_and_ends():
    assert descriptions("{end} {side} foot: below the {side} side of the {end}", "top: above") == {
        "front left foot": "below the left side of the front",
        "rear left foot": "below the left side of the rear",
        "front right foot": "below the right side of the front",
        "rear right foot": "below the right side of the rear",
        "top": "above",
    }


@pytest.mark.parametrize("end", [(0, 0, 1), (0, 0, -2), (1, 2, 3), (0, 1, 0), (0, -1, 0.1)])
def test_rods_point_where_they_shall(end):
    turn = towards((0, 0, 0), end)
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)
    assert turn[:, 2] == pytest.approx(np.array(end) / np.linalg.norm(end))


def test_a_box_and_a_slab_have_the_same_corners():
    one, two = Assembly(), Assembly()
    one.box("wood", (1, 2, 3), (2, 4, 6))
    two.slab("wood", 1, [(0, 0), (2, 0), (2, 6), (0, 6)], 0, 4)
    corners = [{tuple(p) for p in shape.mesh()[0].round(3).tolist()} for shape in (one, two)]
    assert corners[0] == corners[1] and len(corners[0]) == 8


def wall(rng):
    """A plate with a point before it, one behind it and one beside."""
    thing = Assembly()
    thing.box("one", (0, 0, 0), (1.0, 0.02, 1.0))
    thing.mark("before", 0.2, -0.01, 0.3)
    thing.mark("behind", 0.2, 0.4, 0.3)
    thing.mark("beside", 0.5, 0.0, -0.5)
    return thing


def test_points_are_where_a_pinhole_camera_sees_them(around):
    """By the pinhole's formula; a point behind the plate is covered by it."""
    points = {"before": "", "behind": "", "beside": ""}
    category = Category("wall", wall, points, turn=0, roll=0, tilt=(0, 0))
    _, label = scene.render_thing(*around, category, 0)
    found = label["things"][0]
    (x, y, v), (bx, by, bv), (ex, ey, ev) = found["points"]
    assert (v, bv, ev) == (2, 1, 2)
    corner = np.array([ex, ey])
    side = 2 * scene.RADIUS / np.linalg.norm([1.0, 0.02, 1.0])  # metres of a unit of the plate
    depth = label["focal"] * side * 0.8 / (corner[1] - y)  # from 0.8 units of height
    assert corner[0] - x == pytest.approx(label["focal"] * 0.3 * side / depth, rel=0.05)
    assert found["box"][2] == pytest.approx(ex, abs=1.5)
    assert found["box"][3] == pytest.approx(ey, abs=1.5)


def test_points_outside_are_nought():
    camera = Camera(80, 80, 80.0, tilted(0, 0), np.zeros(3))
    canvas = Canvas(80, 80, 1, *TextureStore().arrays())
    places = np.array([[0, 1, 0], [5, 1, 0], [0, -1, 0.0]])
    found = point_labels(places, np.zeros(3), camera, canvas)
    assert found.tolist() == [[40, 40, 2], [0, 0, 0], [0, 0, 0]]


def test_a_picture_depends_on_its_seed_alone(around):
    category = CATEGORIES["stool"]
    one, first = scene.render_thing(*around, category, 3)
    scene.render_thing(*around, CATEGORIES["mug"], 0)
    two, second = scene.render_thing(*around, category, 3)
    other, third = scene.render_thing(*around, category, 4)
    assert (one == two).all() and first == second
    assert (one != other).any() and first["things"] != third["things"]


def test_a_set_is_written_and_read_back(tmp_path, capsys):
    arguments = [str(tmp_path), "--each", "1", "--seed", "3", "--split", "test", "--workers", "1"]
    arguments += ["--size", "64x48", "--categories", "robot arm", "table"]
    render.main(arguments)
    arm, table = read_labels(tmp_path)
    assert arm.things[0].category == "robot arm" and not arm.all_heads and arm.heads == []
    assert dict(zip(table.things[0].names, table.things[0].descriptions, strict=True)) == (
        CATEGORIES["table"].points
    )
    assert table.things[0].points.shape == (8, 3) and table.load().shape == (48, 64, 3)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.jpg")}
    render.main(arguments)
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.jpg")}
