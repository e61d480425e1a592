# SPDX-License-Identifier: Apache-2.0
"""Collages: labels agree with what a camera would see, and everything depends on the seed alone."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import geodesic_degrees
from training.data.collage import Collage, decoys_of, make_collage, subjects
from training.data.sample import Appearance, Head, Sample


@pytest.fixture
def scene(tmp_path):
    """A grey picture whose only head is a white disc in the middle."""
    image = np.full((240, 320, 3), 90, np.uint8)
    cv2.circle(image, (160, 120), 30, (255, 255, 255), -1)
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), image)
    rotation = Rotation.from_euler("xyz", [10, 40, -5], degrees=True).as_matrix()
    return Sample(path, 320, 240, 277.0, [Head(np.array([130.0, 90, 190, 150]), rotation)])


def one_cell(**changes):
    still = {"roll": 0.0, "turned": 0.0, "squeeze": (1.0, 1.0)}
    settings = {"cells": (1, 0, 0, 0), "share": 1.0} | still | changes
    return Collage(**settings)


@pytest.mark.parametrize("cells", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1)])
def test_boxes_sit_on_the_heads(scene, cells):
    options = Collage(cells=cells)
    rng = np.random.default_rng(3)
    for _ in range(5):
        view, heads = make_collage(subjects([scene], options), (224, 224), rng, options)
        side = 1 + cells.index(1)
        assert view.shape == (224, 224, 3) and len(heads) == side * side
        for head in heads:
            x0, y0, x1, y1 = head.box
            assert 0 <= x0 < x1 <= 224 and 0 <= y0 < y1 <= 224
            if head.visible > 0.99:
                middle = view[int((y0 + y1) / 2), int((x0 + x1) / 2)]
                assert (middle == 255).all()


def test_a_head_keeps_its_rotation_relative_to_the_ray(scene):
    """The subject was seen on the optical axis; in a collage its label must be what a camera with
    the nominal field of view would read at the new place, found here through scipy."""
    options = one_cell()
    _, (head,) = make_collage(
        subjects([scene], options), (224, 224), np.random.default_rng(0), options
    )
    focal = 112 / np.tan(np.radians(30))
    place = [(head.box[0] + head.box[2]) / 2 - 112, (head.box[1] + head.box[3]) / 2 - 112, focal]
    ray = np.array(place) / np.linalg.norm(place)
    axis = np.cross([0, 0, 1], ray)
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.arccos(ray[2])).as_matrix()
    assert geodesic_degrees(turn @ scene.heads[0].rotation, head.rotation) < 0.01


def test_roll_turns_the_label_with_the_picture(scene):
    options = one_cell(roll=30.0)
    angles = set()
    for seed in range(4):
        _, (head,) = make_collage(
            subjects([scene], options), (224, 224), np.random.default_rng(seed), options
        )
        angles.add(round(float(geodesic_degrees(head.rotation, scene.heads[0].rotation)), 3))
    assert len(angles) == 4 and max(angles) > 5


def test_nobody_in_a_collage_is_described(scene):
    """Of their bodies only a part is in the cell, and others of the scene are not there."""
    scene.heads[0].appearance = Appearance(np.array([100.0, 80, 220, 240]), "red", frozenset())
    _, (head,) = make_collage(
        subjects([scene], one_cell()), (224, 224), np.random.default_rng(0), one_cell()
    )
    assert head.appearance is None


def test_small_and_hidden_heads_start_no_cell(scene):
    scene.heads.append(Head(np.array([0.0, 0, 10, 10]), np.eye(3)))
    scene.heads.append(Head(np.array([0.0, 0, 60, 60]), np.eye(3), visible=0.1))
    assert subjects([scene], Collage()) == [(scene, 0)]


def test_same_seed_same_collage(scene):
    options = Collage()
    pool = subjects([scene], options)
    first, second = (make_collage(pool, (96, 96), np.random.default_rng(9), options) for _ in "ab")
    assert (first[0] == second[0]).all()
    assert all((a.box == b.box).all() for a, b in zip(first[1], second[1], strict=True))


def test_a_share_of_the_cells_shows_what_is_no_head(scene):
    scene.decoys = [np.array([10.0, 20, 60, 70]), np.array([0.0, 0, 5, 5])]
    options = Collage(cells=(0, 0, 0, 1), decoys=0.5)
    pool, decoys = subjects([scene], options), decoys_of([scene], options)
    assert len(decoys) == 1  # the other is too small
    rng = np.random.default_rng(0)
    counts = [len([h for h in make_collage(pool, (224, 224), rng, options, decoys)[1]
                   if h.visible > 0.5]) for _ in range(20)]  # fmt: skip
    assert 0.35 < np.mean(counts) / 16 < 0.65
    scene.all_heads = False
    assert decoys_of([scene], options) == []


def test_some_cells_are_turned_far_and_their_labels_with_them(scene):
    options = one_cell(turned=40.0, turned_share=1.0)
    rolls = []
    for seed in range(30):
        _, (head,) = make_collage(
            subjects([scene], options), (224, 224), np.random.default_rng(seed), options
        )
        rolls.append(float(geodesic_degrees(head.rotation, scene.heads[0].rotation)))
    assert max(rolls) > 30
