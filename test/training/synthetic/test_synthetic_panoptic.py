# SPDX-License-Identifier: Apache-2.0
"""Scenes in CMU Panoptic's role: what no other set shows, and what the others never show."""

from dataclasses import replace

import numpy as np
import pytest

from training.synthetic.clothes.glasses import STYLES
from training.synthetic.clothes.shells import SHELLS
from training.synthetic.scene import backgrounds, capture_dome, sampling
from training.synthetic.scene.camera import raised_camera, random_camera
from training.synthetic.scene.lights import procedural_panorama
from training.synthetic.splits import SPLITS, number_of, usable

NAMES = sorted({shell.name for shell in SHELLS} | set(STYLES))


def test_no_other_split_shows_what_one_holds():
    for split in SPLITS:
        shown = {NAMES[i] for i in usable(NAMES, split)}
        others = [s.held for name, s in SPLITS.items() if name != split]
        assert shown and not shown & frozenset().union(*others) - SPLITS[split].held


def test_held_garments_exist():
    made_here = SPLITS["panoptic"].held - SPLITS["test"].held
    assert made_here <= set(NAMES)


def test_learnt_sets_share_neither_hair_nor_photographs():
    crops = [shell.name for shell in SHELLS if shell.list_name == "crop"]
    weak, task = ({crops[i] for i in usable(crops, split)} for split in ("train", "task"))
    assert weak and task and not weak & task
    assert not set(SPLITS["train"].photos) & set(SPLITS["task"].photos)


def test_what_is_held_is_shown_alone_where_there_is_any():
    kinds = ["buzz", "crop", "flattop", "undercut", "shaved"]
    assert [kinds[i] for i in usable(kinds, "panoptic")] == ["flattop", "undercut"]
    assert [kinds[i] for i in usable(kinds, "test")] == ["shaved"]
    assert [kinds[i] for i in usable(kinds, "train")] == ["buzz", "crop"]
    assert [kinds[i] for i in usable(["buzz"], "panoptic")] == ["buzz"]


def test_numbers_keep_older_sets_as_they_were():
    """Seeds once held whether the split was the test split."""
    for split, flag in (("train", False), ("test", True)):
        old, new = (np.random.default_rng([3, part, 73, 9]) for part in (flag, number_of(split)))
        assert old.random() == new.random()
    assert len({number_of(split) for split in SPLITS}) == len(SPLITS)
    assert all(sum(s.head_odds) == pytest.approx(1) for s in SPLITS.values())


def pitches(make, count=300):
    rng = np.random.default_rng(0)
    cameras = [make(320, 240, rng) for _ in range(count)]
    return [np.degrees(np.arcsin(c.rotation[2, 2])) for c in cameras], cameras  # > 0: looks up


def test_cameras_look_down_from_ceilings_and_see_wider():
    ours, cameras = pitches(capture_dome.dome_camera)
    others, usual = pitches(random_camera)
    assert np.mean(np.array(ours) < -36) > 0.1 and min(others) > -36
    widest = [2 * np.degrees(np.arctan(160 / c.focal)) for c in cameras]
    assert np.mean(np.array(widest) > 86) > 0.1
    assert max(2 * np.degrees(np.arctan(160 / c.focal)) for c in usual) < 86
    assert all(c.position[2] > 0.3 for c in cameras)


def test_raised_cameras_look_down_on_people():
    down, cameras = pitches(raised_camera)
    assert max(down) < -11 and np.mean(np.array(down) < -36) > 0.4
    assert all(1.8 <= c.position[2] <= 4.2 for c in cameras)


@pytest.mark.parametrize("split", ["train", "task", "test", "panoptic"])
def test_half_of_the_scenes_to_learn_from_are_seen_from_above(
    toy_world, canvas, monkeypatch, split
):
    raised = []
    monkeypatch.setattr(
        sampling, "raised_camera", lambda *given: raised.append(1) or raised_camera(*given)
    )
    for index in range(20):
        sampling.render_scene(replace(toy_world, split=split), canvas, index)
    assert 4 < len(raised) < 16 if SPLITS[split].drawn else not raised


def test_backgrounds_are_pictures_of_light():
    rng = np.random.default_rng(1)
    room = rng.random((6, 8, 8, 3)).astype(np.float32)
    for _ in range(12):
        camera = capture_dome.dome_camera(48, 36, rng)
        image = capture_dome.dome_background(camera, room, rng)
        assert image.shape == (36, 48, 3) and image.dtype == np.float32
        assert np.isfinite(image).all() and image.min() >= 0 and image.std() > 0.01


def test_leaves_are_busy_pictures_of_light():
    for seed in range(8):
        image = backgrounds.leaves(64, 48, np.random.default_rng(seed))
        assert image.shape == (48, 64, 3) and image.dtype == np.float32
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.2 * image.mean()
        np.testing.assert_array_equal(
            image, backgrounds.leaves(64, 48, np.random.default_rng(seed))
        )


@pytest.mark.parametrize(("split", "grow"), [("train", True), ("task", True), ("test", False)])
def test_leaves_grow_where_heads_are_learnt_alone(toy_world, monkeypatch, split, grow):
    grown, leaves = [], backgrounds.leaves
    monkeypatch.setattr(backgrounds, "leaves", lambda *given: grown.append(1) or leaves(*given))
    world, rng = replace(toy_world, split=split), np.random.default_rng(4)
    camera, panorama = random_camera(48, 36, rng), procedural_panorama(rng)
    for _ in range(100):
        sampling.random_background(world, camera, panorama, 0.0, rng)
    assert bool(grown) == grow and len(grown) < 30


def test_hexagons_tile_the_plane():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-9, 9, (2, 4000))
    centre, edge = capture_dome._hexagons(x, y)
    assert 0 <= edge.min() < 0.01 and 0.45 < edge.max() <= 0.5
    middle, inner = capture_dome._hexagons(*centre.T)
    np.testing.assert_allclose(middle, centre, atol=1e-9)
    np.testing.assert_allclose(inner, 0.5, atol=1e-9)


def test_lamps_shine_from_above():
    light = capture_dome.lamps(np.random.default_rng(3)).small
    assert light[:32].mean() > 1.5 * light[32:].mean()


def test_a_panoptic_scene_is_labelled_like_others(toy_world, canvas):
    world = replace(toy_world, split="panoptic")
    _, label = sampling.render_scene(world, canvas, 2)
    _, other = sampling.render_scene(toy_world, canvas, 2)
    assert label != other and label["width"] == other["width"]
    found = sum(len(sampling.render_scene(world, canvas, i)[1]["heads"]) for i in range(6))
    assert found > 10
