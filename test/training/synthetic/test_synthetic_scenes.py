# SPDX-License-Identifier: Apache-2.0
import argparse
import json

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from training.synthetic import render
from training.synthetic.people.posing import NECK, random_pose
from training.synthetic.scene import sampling
from training.synthetic.scene.camera import random_camera


@pytest.fixture
def heads(toy_world, canvas, monkeypatch):
    """Labels of a dozen scenes, each with the projected mesh that it was made from."""
    kept = []
    original = sampling.head_label

    def label(picture, canvas, camera, drawn):
        out = original(picture, canvas, camera, drawn)
        if out is not None:
            kept.append((out, camera, drawn.person, drawn.screen))
        return out

    monkeypatch.setattr(sampling, "head_label", label)
    for index in range(12):
        sampling.render_scene(toy_world, canvas, index)
    assert len(kept) > 15
    return kept


def test_labels_agree_with_a_perspective_n_point_solution(heads):
    """Independent of the generator's own matrices: pose from 2D-3D correspondences alone."""
    for label, camera, person, screen in heads:
        points = person.rest[person.bald_points] - person.sellion
        ours = np.stack([points[:, 0], -points[:, 2], points[:, 1]], 1)  # left, down, back
        matrix = np.array(
            [[camera.focal, 0, camera.width / 2], [0, camera.focal, camera.height / 2], [0, 0, 1]]
        )
        image = screen[person.bald_points, :2].astype(np.float64)
        _, vector, position = cv2.solvePnP(
            ours.astype(np.float64), image, matrix, None, flags=cv2.SOLVEPNP_SQPNP
        )
        rotation = cv2.Rodrigues(vector)[0]
        cosine = (np.trace(rotation.T @ np.array(label["rotation"])) - 1) / 2
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 0.2
        np.testing.assert_allclose(position.ravel(), label["position"], atol=2e-3)


def test_labels_are_consistent(heads):
    for label, _, person, screen in heads:
        if label["angles"] is not None:
            again = rotation_from_angles(*label["angles"])
            np.testing.assert_allclose(again, label["rotation"], atol=1e-4)
        x0, y0, x1, y1 = label["box"]
        assert 0 <= x0 < x1 <= 96 and 0 <= y0 < y1 <= 72
        assert 0 <= label["visible"] <= 1
        full = np.array(label["full_box"])
        np.testing.assert_allclose(full[:2], screen[person.box_points, :2].min(0), atol=0.01)
    assert max(label["visible"] for label, *_ in heads) > 0.9


def test_a_scene_depends_on_its_seed_and_number_alone(toy_world, canvas):
    first, label = sampling.render_scene(toy_world, canvas, 4)
    sampling.render_scene(toy_world, canvas, 5)
    again, same = sampling.render_scene(toy_world, canvas, 4)
    other, _ = sampling.render_scene(toy_world, canvas, 6)
    np.testing.assert_array_equal(first, again)
    assert label == same
    assert (first != other).any()


def test_head_sizes_are_log_uniform_and_heads_spread():
    rng = np.random.default_rng(0)
    places = []
    for _ in range(400):
        camera = random_camera(320, 240, rng)
        places += sampling.random_places(camera, 3, rng)
    sizes = np.log([place.size for place in places])
    low, high = np.log(sampling.SMALLEST), np.log(200)
    assert low <= sizes.min() and sizes.max() <= high
    median = np.median((sizes - low) / (high - low))
    assert 0.42 < median < 0.62
    assert len(places) > 1000
    assert np.std([place.u for place in places]) > 70


def test_poses_keep_heads_within_reach(rig, toy_person):
    rng = np.random.default_rng(3)
    for _ in range(50):
        pose = random_pose(rig, toy_person.joints, 30.0, False, rng)
        assert np.abs(pose @ pose.transpose(0, 2, 1) - np.eye(3)).max() < 1e-5
        turn = np.linalg.multi_dot([pose[rig.labels.index(name)] for name in NECK])
        assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) < 90


def test_finished_shards_are_not_rendered_again(tmp_path, toy_world, canvas, monkeypatch):
    monkeypatch.setattr(render, "SHARD", 2)
    monkeypatch.setattr(render, "make_world", lambda args: (toy_world, canvas))
    monkeypatch.setattr(render, "load_bank", lambda *args: None)
    command = [str(tmp_path), "--scenes", "3", "--seed", "1", "--split", "test", "--workers", "1"]
    render.main(command)
    lines = [x for p in sorted(tmp_path.glob("labels*.jsonl")) for x in p.read_text().splitlines()]
    assert [json.loads(line)["scene"] for line in lines] == [0, 1, 2]
    for line in lines:
        assert cv2.imread(str(tmp_path / json.loads(line)["image"])).shape == (72, 96, 3)
    (tmp_path / "labels_00001.jsonl").unlink()
    done = []
    monkeypatch.setattr(render, "_render_shard", lambda task: done.append(task) or 1)
    render.main(command)
    assert done == [(tmp_path, 2, 3)]


def test_sizes_are_read_from_the_command_line():
    command = ["out", "--scenes", "1", "--seed", "2", "--split", "train", "--size", "64x48"]
    args = render.parse(command)
    assert isinstance(args, argparse.Namespace) and args.size == (64, 48)
