# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from training.synthetic.scene import sampling
from training.synthetic.scene.camera import random_camera
from training.synthetic.scene.unworn_clothes import unworn_clothes
from training.synthetic.splits import SPLITS


@pytest.fixture
def camera():
    return random_camera(96, 72, np.random.default_rng(1))


def things(world, person, camera):
    """The materials of two dozen things that a person leaves."""
    world = replace(world, person=lambda index: person)
    found = unworn_clothes(world, camera, 24.0, np.random.default_rng(2))
    assert len(found) > 10
    for mesh in found:
        assert not mesh.of_head.any()
        assert len(mesh.triangles) == len(mesh.materials) == len(mesh.of_head)
        _, _, depth = camera.pixel(mesh.centre)
        assert depth > 0
    return [set(mesh.materials.tolist()) for mesh in found]


def test_clothes_are_shown_without_the_body(toy_world, toy_person, camera):
    assert all(kept == {1} for kept in things(toy_world, toy_person, camera))


def test_a_hat_is_shown_more_often_than_clothes_but_never_a_hood(toy_world, toy_person, camera):
    capped = replace(toy_person, kinds=("cover", "clothes"), names=("cap", "jacket"))
    left = things(toy_world, capped, camera)
    assert left.count({0}) > left.count({1}) > 0
    hooded = replace(capped, names=("hood", "jacket"))
    assert all(kept == {1} for kept in things(toy_world, hooded, camera))


def test_nothing_is_shown_of_somebody_who_wears_nothing(toy_world, toy_person, camera):
    world = replace(toy_world, person=lambda index: replace(toy_person, kinds=("body", "eye")))
    assert unworn_clothes(world, camera, 9.0, np.random.default_rng(2)) == []


def test_scenes_have_the_same_heads_with_and_without(toy_world, canvas, monkeypatch):
    picture, label = sampling.render_scene(toy_world, canvas, 3)
    monkeypatch.setitem(SPLITS, "test", replace(SPLITS["test"], unworn=6.0))
    other, same = sampling.render_scene(toy_world, canvas, 3)
    assert (picture != other).any()
    assert [h["box"] for h in label["heads"]] == [h["box"] for h in same["heads"]]
    assert [h["rotation"] for h in label["heads"]] == [h["rotation"] for h in same["heads"]]
    covered = [
        b["visible"] <= a["visible"] for a, b in zip(label["heads"], same["heads"], strict=True)
    ]
    assert covered and all(covered)
