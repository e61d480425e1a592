# SPDX-License-Identifier: Apache-2.0
"""Scores on photographs: what is found, right, a false positive; and the shipped labels."""

import hashlib
import json

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera
from training.evaluation import photo_measures as measures
from training.evaluation import photos
from training.labelling.proposals import SECTORS

SIZE = (200, 320)  # height, width: at an input of 320 a pixel is 1.26 of the model's
INPUT = 320


def answer(box, yaw, pitch=0.0, roll=0.0, score=0.9):
    """A head seen turned so, relative to the ray it is seen along."""
    rotation = rotation_to_ray(usual_camera(SIZE), box) @ rotation_from_angles(yaw, pitch, roll)
    return HeadEstimate(box, yaw, pitch, roll, rotation, score)


def label(*heads, whole=True, ignore=()):
    return {"width": SIZE[1], "height": SIZE[0], "whole": whole, "heads": list(heads),
            "ignore": [list(box) for box in ignore]}  # fmt: skip


def head(box, facing=None, angles=None, spread=(2.0, 2.0, 2.0)):
    made = {"box": list(box), "facing": facing, "source": "face" if angles else "eye"}
    return made | ({"angles": list(angles), "spread": list(spread)} if angles else {})


LARGE, SMALL, TINY = (10, 10, 60, 70), (100, 20, 118, 38), (200, 20, 208, 28)
BACK, EMPTY = (250, 100, 310, 170), (120, 120, 160, 170)


def test_heads_are_counted_by_size_and_side():
    truth = label(head(LARGE, "L"), head(SMALL, "F"), head(TINY, "F"), head(BACK, "BR"))
    found = [answer(LARGE, 60), answer(TINY, 0), answer(EMPTY, 0)]
    numbers = measures.summary([measures.compare(truth, found, INPUT)])
    assert numbers["heads"] == 3  # the tiny one is neither hit nor miss, nor a false positive
    assert numbers["recall"] == 0.5 and numbers["recall_small"] == 0.0
    assert numbers["precision"] == 0.5 and numbers["backs_found"] == 0.0
    assert numbers["sides_right"] == 1.0
    rows = measures.by_facing([measures.compare(truth, found, INPUT)])
    assert rows["L"]["heads"] == rows["BR"]["heads"] == 1 and rows["F"]["heads"] == 0


@pytest.mark.parametrize(("yaw", "right"), [(90, True), (24, True), (20, False), (-90, False)])
def test_a_side_is_right_up_to_the_neighbouring_sector(yaw, right):
    photo = measures.compare(label(head(LARGE, "L")), [answer(LARGE, yaw)], INPUT)
    assert measures.side_is_right(photo.heads[0]) is right


def test_ignored_regions_and_photographs_labelled_in_part_blame_nobody():
    inside = answer((121, 121, 159, 169), 0)
    assert measures.compare(label(ignore=[(110, 110, 200, 190)]), [inside], INPUT).false == []
    part = measures.compare(label(head(LARGE, "F"), whole=False), [inside], INPUT)
    assert part.false == [] and part.hits == [] and len(part.heads) == 1


def test_pictures_without_people_are_counted_apart():
    empty = measures.compare(label(), [answer(EMPTY, 0), answer(BACK, 0)], INPUT)
    peopled = measures.compare(label(head(LARGE, "F")), [answer(LARGE, 0)], INPUT)
    numbers = measures.summary([empty, measures.compare(label(), [], INPUT), peopled])
    assert numbers["false_per_empty"] == 1.0 and numbers["empty_pictures"] == 2
    assert numbers["precision"] == 1.0


def test_faces_are_compared_with_confident_teachers_along_their_ray():
    sure = head(LARGE, "FL", angles=(40.0, -5.0, 3.0))
    unsure = head(BACK, "F", angles=(0.0, 0.0, 0.0), spread=(20.0, 1.0, 1.0))
    overruled = head(EMPTY, "L", angles=(40.0, 0.0, 0.0))  # the eye says another sector
    found = [answer(LARGE, 46, -2, 3), answer(BACK, 30), answer(EMPTY, 90)]
    photo = measures.compare(label(sure, unsure, overruled), found, INPUT)
    numbers = measures.summary([photo])
    assert numbers["teacher_mae"] == pytest.approx((6 + 3 + 0) / 3, abs=1e-6)
    assert numbers["teacher_mae_side"] == pytest.approx(3.0, abs=1e-6)
    assert [h.teacher is not None for h in photo.heads] == [True, False, False]
    (row,) = measures.by_range([photo])["yaw"]
    assert (row["from"], row["to"], row["signed"]) == (30, 60, pytest.approx(6.0))


def test_slopes_tell_how_much_answers_shrink():
    truths = [(-40.0, 0.0, -20.0), (0.0, 10.0, 0.0), (30.0, -10.0, 20.0)]
    made = []
    for yaw, pitch, roll in truths:
        facing = "FR" if yaw < -22.5 else "FL" if yaw > 22.5 else "F"
        truth = label(head(LARGE, facing, angles=(yaw, pitch, roll)))
        said = answer(LARGE, yaw, pitch * 0.5, roll * 0.7 + 2)
        made.append(measures.compare(truth, [said], INPUT))
    slope = measures.slopes(made)
    assert slope["yaw"] == pytest.approx(1.0) and slope["pitch"] == pytest.approx(0.5)
    assert slope["roll"] == pytest.approx(0.7)


def test_the_curve_falls_in_recall_with_the_score():
    photo = measures.compare(
        label(head(LARGE, "F")), [answer(LARGE, 0, score=0.6), answer(EMPTY, 0, score=0.4)], INPUT
    )
    rows = measures.curve([photo], (0.3, 0.5, 0.7))
    assert [row["recall"] for row in rows] == [1.0, 1.0, 0.0]
    assert [row["precision"] for row in rows][:2] == [0.5, 1.0]


def test_photographs_are_those_that_were_labelled(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 20, 3), np.uint8))
    digest = hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert photos.read_photo(tmp_path, {"image": "a.png", "sha256": digest}).shape == (10, 20, 3)
    with pytest.raises(ValueError, match="not the picture that was labelled"):
        photos.read_photo(tmp_path, {"image": "a.png", "sha256": "0" * 64})
    with pytest.raises(FileNotFoundError, match="gone.jpg"):
        photos.read_photo(tmp_path, {"image": "gone.jpg"})


def test_the_shipped_labels_are_enough_and_whole():
    rows = [json.loads(line) for line in photos.LABELS.read_text().splitlines()]
    heads = [(row, made) for row in rows for made in row["heads"]]
    facing = [made["facing"] for _, made in heads]
    assert len(heads) >= 600 and set(facing) <= {*SECTORS, None}
    assert sum(f in ("L", "R") for f in facing) >= 150
    assert sum(f in measures.BACKS for f in facing) >= 100
    assert sum(row["whole"] and not row["heads"] for row in rows) >= 400
    assert len({row["sha256"] for row in rows}) == len(rows)
    for row, made in heads:
        x0, y0, x1, y1 = made["box"]
        assert 0 <= x0 < x1 <= row["width"] and 0 <= y0 < y1 <= row["height"]
