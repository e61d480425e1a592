# SPDX-License-Identifier: Apache-2.0
"""Scores of tracking by hand, and videos read back."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.scores import Identities
from benchmarks.tracking.__main__ import keep_answers, read_answers
from benchmarks.tracking.score import Score, TrueHead
from benchmarks.tracking.videos import read_videos
from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.people.tracking import Settings

LEFT, RIGHT, FAR = (10, 10, 50, 50), (200, 10, 240, 50), (100, 150, 130, 180)
CAMERA, SHAPE = CameraIntrinsics(300, 300, 160, 120), HeadShape(0.25, (0.0, 0.0, -0.09))


def test_a_change_of_ids_halves_the_score_and_counts_as_two_switches():
    scores = Identities()
    for k in range(10):
        names = ("h1", "h2") if k < 5 else ("h2", "h1")
        scores.frame([("a", LEFT), ("b", RIGHT)], [(names[0], LEFT), (names[1], RIGHT)])
    assert scores.switches == 2
    assert scores.idf1() == pytest.approx(0.5)  # one id fits 5 of 10 frames, for both


def test_misses_and_inventions_by_hand():
    scores = Identities()
    for k in range(10):
        said = [("h1", LEFT)] if k < 8 else [("h2", FAR)]
        scores.frame([("a", LEFT)], said)
    assert scores.idf1() == pytest.approx(2 * 8 / (10 + 10))
    assert scores.switches == 0


def test_heads_that_need_not_be_found_count_neither_way():
    with_it, without = Identities(), Identities()
    for _ in range(4):
        with_it.frame([("a", LEFT)], [("h1", LEFT), ("h2", FAR)], [FAR])
        without.frame([("a", LEFT)], [("h1", LEFT), ("h2", FAR)])
    assert with_it.idf1() == 1.0
    assert without.idf1() == pytest.approx(2 * 4 / 12)


def test_people_of_two_videos_are_different_people():
    scores = Identities()
    for video, name in (("0", "h1"), ("1", "h2")):
        scores.begin(video)
        scores.frame([("p0", LEFT)], [(name, LEFT)])
    assert scores.switches == 0 and scores.idf1() == 1.0


def estimate(box, yaw):
    return HeadEstimate(box, yaw, 0.0, 0.0, rotation_from_angles(yaw, 0, 0), 0.9)


def test_the_filters_delay_is_told_from_its_error():
    """A head that turns steadily, answered exactly: what the filter is behind is all delay."""
    score, people, speed, rate = Score(CAMERA, SHAPE), People(), 60.0, 10.0
    people.tracker.settings = Settings(rotation_noise=30.0)
    score.seconds = 4.0
    errors = []
    for k in range(40):
        yaw = -120 + speed * k / rate
        turning = np.array([0.0, np.radians(speed), 0.0])
        true = TrueHead(
            "a", LEFT, rotation_from_angles(yaw, 0, 0), np.array([-0.4, -0.3, 1.0]), 1.0, turning
        )
        found = [estimate(LEFT, yaw)]
        tracked = people.see(int((1 + k / rate) * 1e9), found, View((320, 240), CAMERA, SHAPE))
        score.frame([true], found, tracked)
        errors.append((yaw - tracked[0].yaw) / speed if tracked[0].head.id else None)
    mean = np.mean([e for e in errors if e is not None])
    found = score.summary()
    assert mean > 0.02, "the filter is not behind at all"
    assert found["filter_lag_ms"] == pytest.approx(1000 * mean, rel=0.02)
    assert found["raw_deg"] == 0.0 and found["found"] == 1.0 and found["id_switches"] == 0


def test_heads_of_whom_the_node_may_say_either_can_be_left_out():
    """One who looks, one just past the limit with a better score, one far off."""
    score = Score()
    score.seconds = 1.0
    score.lists = {
        "score": [0.6, 0.9, 0.1],
        "looking": [True, False, False],
        "unclear": [False, True, False],
    }
    found = score.summary()
    assert found["auc"] == 0.5 and found["auc_clear"] == 1.0


def test_videos_and_answers_come_back(tmp_path):
    (tmp_path / "images").mkdir()
    lines = []
    for k in range(3):
        name = f"images/0_{k:03d}.jpg"
        cv2.imwrite(str(tmp_path / name), np.zeros((240, 320, 3), np.uint8))
        heads = [
            {
                "person": person,
                "box": box,
                "rotation": rotation_from_angles(10 * k, 0, 0).tolist(),
                "visible": visible,
                "position": [0.0, 0.0, 1.0],
            }
            for person, box, visible in (
                ("p0", LEFT, 1.0),
                ("p1", RIGHT, 0.1),
                ("p2", (0, 0, 9, 9), 1),
            )
        ]
        record = {"image": name, "width": 320, "height": 240, "focal": 300.0, "time": k / 5}
        lines.append(json.dumps({**record, "heads": heads}))
    (tmp_path / "labels_0.jsonl").write_text("\n".join(lines))
    (video,) = read_videos(tmp_path, 0.1)
    assert video.people == 3 and video.size == (320, 240) and video.seconds == pytest.approx(0.4)
    assert video.frames[0].load().shape == (240, 320, 3)
    assert [head.counts for head in video.frames[1].heads] == [True, False, False]
    np.testing.assert_allclose(video.frames[1].heads[0].turning, [0, np.radians(50), 0], atol=1e-9)
    assert np.isnan(video.frames[0].heads[0].turning).all()

    keep_answers(tmp_path / "answers", {"0": [[estimate((1.0, 2.0, 3.0, 4.0), 20.0)], []]})
    first, second = read_answers(tmp_path / "answers")["0"]
    assert first[0].box == (1.0, 2.0, 3.0, 4.0) and second == []
    np.testing.assert_array_equal(first[0].rotation, rotation_from_angles(20, 0, 0))


def test_a_folder_without_videos_says_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="training.synthetic.walks"):
        read_videos(tmp_path, 0.1)
