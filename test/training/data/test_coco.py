# SPDX-License-Identifier: Apache-2.0
"""COCO's keypoint files, read and written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS
from training.data.labels import read_labels
from training.data.readers.coco import NAMES, coco_file, read_coco

NOSE, WRIST = KEYPOINTS.index("nose"), KEYPOINTS.index("right wrist")


def numbers(**marked):
    points = np.zeros((17, 3))
    for name, point in marked.items():
        points[KEYPOINTS.index(name.replace("_", " "))] = point
    return points.ravel().tolist()


def person(number, image, keypoints, **more):
    box = {"bbox": [10, 5, 30, 50], "area": 700.5, "iscrowd": 0, "category_id": 1}
    return {"id": number, "image_id": image, "keypoints": keypoints} | box | more


PEOPLE = [
    person(1, 7, numbers(nose=[20, 10, 2], right_wrist=[15, 30, 1])),
    person(2, 7, numbers(nose=[25, 12, 2], right_wrist=[85, 30, 2]), bbox=[60, -4, 40, 30]),
    person(3, 7, numbers(nose=[1, 1, 2]), iscrowd=1),
    person(4, 8, numbers()),
    person(5, 9, numbers(nose=[1, 1, 2])),
]


def write(folder, people=PEOPLE, names=NAMES):
    images = [(7, "a.jpg", 60), (8, "b.jpg", 60), (9, "gone.jpg", 60), (10, "a.jpg", 60)]
    content = {
        "images": [{"id": i, "file_name": n, "width": 80, "height": h} for i, n, h in images],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    (folder / "own.json").write_text(json.dumps(content))
    return folder / "own.json", folder / "images"


@pytest.fixture
def folder(tmp_path, picture):
    for name in "ab":
        picture(tmp_path / "images" / f"{name}.jpg", 80, 60)
    return tmp_path


def test_marked_people_are_read(folder, report):
    (sample,) = read_coco(*write(folder), report=report)
    first, second = sample.heads
    assert not sample.all_heads and (sample.width, sample.height) == (80, 60)
    assert first.keypoints[NOSE].tolist() == [20, 10, 2]
    assert first.keypoints[WRIST].tolist() == [15, 30, 1]
    assert (first.keypoints[:, 2] != ABSENT).sum() == 2
    assert first.appearance.body.tolist() == [10, 5, 40, 55] and first.appearance.area == 700.5
    assert second.appearance.body.tolist() == [60, 0, 80, 26]
    assert second.keypoints[WRIST].tolist() == [0, 0, ABSENT]  # outside the picture
    assert first.visible == 0 and first.rotation is None  # nothing is taught about the head
    assert report.left_out == {
        "crowd": 1,
        "person without a marked point": 1,
        "picture without a marked person": 1,
        "picture missing": 1,
    }


@pytest.mark.parametrize(
    ("keypoints", "match"),
    [
        (numbers()[:-3], r"own\.json, annotation 6: 48 numbers in keypoints; 51 are expected"),
        ([*numbers()[:-1], 3], r"own\.json, annotation 6: .*visibility 0, 1 or 2"),
        (["x"] * 51, r"own\.json, annotation 6: keypoints must be numbers"),
    ],
)
def test_points_that_will_not_do_name_file_and_entry(folder, keypoints, match):
    with pytest.raises(ValueError, match=match):
        read_coco(*write(folder, [*PEOPLE, person(6, 8, keypoints)]))


def test_files_of_another_kind_are_named(folder):
    with pytest.raises(ValueError, match=r"own\.json: category person has the keypoints a, b"):
        read_coco(*write(folder, names=["a", "b"]))
    file, images = write(folder)
    for content in ("[]", '{"images": []}', '{"annotations": [{"image_id": 1}], "images": []}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"own\.json: not a COCO keypoint file"):
            read_coco(file, images)


def test_what_is_written_is_read_again(folder, tmp_path):
    samples = read_coco(*write(folder))
    (folder / "again.json").write_text(json.dumps(coco_file(samples, folder)))
    (sample,) = read_coco(folder / "again.json", folder)
    for old, new in zip(samples[0].heads, sample.heads, strict=True):
        np.testing.assert_array_equal(old.keypoints, new.keypoints)
        np.testing.assert_array_equal(old.appearance.body, new.appearance.body)
    written = coco_file(samples, folder)["annotations"]
    assert [one["area"] for one in written] == [700.5, 700.5]
    assert [one["num_keypoints"] for one in written] == [2, 1]


def test_labels_keep_all_that_was_read(folder):
    from training.data.__main__ import main

    file, images = write(folder)
    out = folder / "out" / "labels.jsonl"
    main(["coco", str(file), str(images), "--output", str(out), "--coco", str(folder / "c.json")])
    (sample,) = read_labels(folder / "out")
    assert sample.heads[0].appearance.area == 700.5 and sample.heads[0].visible == 0
    assert sample.heads[0].keypoints[WRIST].tolist() == [15, 30, 1]
    assert len(json.loads((folder / "c.json").read_text())["annotations"]) == 2
