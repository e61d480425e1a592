# SPDX-License-Identifier: Apache-2.0
"""Scores on photographs: sides, matching, and the labels that are shipped."""

import json

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.perceiver import HeadEstimate
from training.evaluation import photos


class Scripted:
    """A perceiver that gives the same heads for every picture."""

    input_size = 100

    def __init__(self, *heads):
        self.heads = heads

    def __call__(self, image):
        return list(self.heads)


def head(box, yaw):
    return HeadEstimate(box, yaw, 0.0, 0.0, rotation_from_angles(yaw, 0, 0), 1.0)


@pytest.mark.parametrize(
    ("yaw", "side"),
    [(0, "front"), (40, "front"), (50, "left"), (90, "left"), (-50, "right"), (-130, "right"),
     (140, "back"), (-140, "back"), (180, "back")],
)  # fmt: skip
def test_side_is_the_nearest_quarter_turn(yaw, side):
    assert photos.side_of(rotation_from_angles(yaw, 20, -10)) == side


def test_heads_are_matched_and_counted(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((100, 200, 3), np.uint8))
    labels = [
        {"box": [0, 0, 50, 50], "facing": "left"},
        {"box": [100, 0, 150, 50], "facing": "back"},
        {"box": [150, 60, 160, 70], "facing": None},
    ]
    rows = [{"image": "a.png", "width": 200, "height": 100, "heads": labels}]
    found = Scripted(head((100, 5, 150, 50), 10), head((2, 0, 50, 50), 80))
    ((compared, picture, _),) = photos.compare(rows, tmp_path, found)
    assert picture.shape == (100, 200, 3)
    assert [c.answer is not None for c in compared] == [True, True, False]
    assert compared[0].size == pytest.approx(50 * 100 / np.sqrt(200 * 100))
    score = photos.by_hand(compared)
    assert score["all"] == {"heads": 3, "recall": 2 / 3, "sided": 2, "side right": 0.5}
    assert score["left"]["side right"] == 1 and score["back"]["side right"] == 0
    assert score["under 32 px"]["heads"] == 1


def test_faces_are_compared_with_the_weak_pose():
    pose = rotation_from_angles(0, 0, 0)
    face = {"face": [0, 0, 60, 60], "score": 0.9, "rotation": pose.tolist()}
    far = [
        photos.Compared(face, 40, head((0, 0, 9, 9), 10)),
        photos.Compared(face, 40, None),
        photos.Compared(face | {"rotation": None}, 40, head((0, 0, 9, 9), 99)),
        photos.Compared(face | {"face": [0, 0, 30, 30]}, 40, None),
        photos.Compared(face | {"score": 0.5}, 40, None),
    ]
    score = photos.by_face(far)
    assert (score["faces"], score["whenet_poses"]) == (3, 1)
    assert score["face_recall"] == pytest.approx(2 / 3)
    assert score["whenet_geodesic_median"] == pytest.approx(10, abs=1e-4)


def test_a_missing_photograph_is_named(tmp_path):
    rows = [{"image": "gone.jpg", "width": 1, "height": 1, "heads": []}]
    with pytest.raises(FileNotFoundError, match="gone.jpg"):
        list(photos.compare(rows, tmp_path, Scripted()))


def test_shipped_labels_are_whole():
    rows = [json.loads(line) for line in photos.LABELS.read_text().splitlines()]
    heads = [(row, label) for row in rows for label in row["heads"]]
    assert sum(label["facing"] is not None for _, label in heads) >= 100
    assert {label["facing"] for _, label in heads} == {*photos.SIDES, None}
    for row, label in heads:
        x0, y0, x1, y1 = label["box"]
        assert 0 <= x0 < x1 <= row["width"] and 0 <= y0 < y1 <= row["height"]
