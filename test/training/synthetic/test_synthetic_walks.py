# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

from training.synthetic import walks
from training.synthetic.people.posing import NECK
from training.synthetic.people.walkers import REACH, Walker, walking_pose

RATE = 10.0


@pytest.fixture
def stage(toy_world, canvas):
    return lambda: walks.Stage(toy_world, canvas, 1)  # three people


def test_videos_depend_on_their_number_alone_and_know_who_is_who(stage):
    first = list(stage().frames(6, RATE))
    again = list(stage().frames(6, RATE))
    for (picture, label), (same, equal) in zip(first, again, strict=True):
        np.testing.assert_array_equal(picture, same)
        assert label == equal
    seen = [{head["person"]: head for head in label["heads"]} for _, label in first]
    assert {"p0", "p2"} <= set().union(*seen) <= {"p0", "p1", "p2"}
    assert [label["time"] for _, label in first] == pytest.approx([k / RATE for k in range(6)])
    for before, after in zip(seen, seen[1:], strict=False):
        for person in before.keys() & after.keys():
            moved = np.subtract(after[person]["position"], before[person]["position"])
            assert np.linalg.norm(moved) < 2.0 / RATE
            turn = np.array(after[person]["rotation"]) @ np.array(before[person]["rotation"]).T
            assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) < 300 / RATE


def test_people_keep_their_distance_and_heads_stay_on_their_necks(rig, toy_person):
    rng = np.random.default_rng(0)
    walkers = [Walker(rng, 0.5) for _ in range(3)]
    places, looks = [], []
    for step in range(1200):
        for walker in walkers:
            walker.step(step / 40, 1 / 40, walkers)
        apart = [
            float(np.linalg.norm(a.place - b.place))
            for i, a in enumerate(walkers)
            for b in walkers[:i]
        ]
        places.append(min(apart))
        for walker in walkers:
            off = (walker.yaw - walker.body + 180) % 360 - 180
            assert abs(off) <= REACH + 1e-6
            to_camera = np.degrees(np.arctan2(-walker.place[0], walker.place[1]))
            looks.append(abs((walker.yaw - to_camera + 180) % 360 - 180) < 15)
    assert np.quantile(places, 0.05) > 0.3, "people walk through each other"
    assert 0.1 < np.mean(looks) < 0.7, "nobody looks at the camera, or all do"
    pose = walking_pose(rig, toy_person.joints, walkers[0])
    np.testing.assert_allclose(
        pose @ pose.transpose(0, 2, 1), np.tile(np.eye(3), (len(pose), 1, 1)), atol=1e-5
    )
    turn = np.linalg.multi_dot([pose[rig.labels.index(name)] for name in NECK])
    assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) < 90


def test_videos_are_written_once(tmp_path, toy_world, canvas, monkeypatch):
    monkeypatch.setattr(walks.render, "make_world", lambda args: (toy_world, canvas))
    command = [str(tmp_path), "--walks", "2", "--frames", "3", "--seed", "1", "--split", "test"]
    walks.main(command)
    for walk in range(2):
        lines = (tmp_path / f"labels_{walk}.jsonl").read_text().splitlines()
        assert len(lines) == 3
        for line in lines:
            assert cv2.imread(str(tmp_path / json.loads(line)["image"])).shape == (72, 96, 3)
    monkeypatch.setattr(walks, "write", lambda *args: pytest.fail("it was there already"))
    walks.main(command)
