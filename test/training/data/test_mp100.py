# SPDX-License-Identifier: Apache-2.0
"""MP-100's files: what is read, what is left out, and what is amiss in them."""

import json

import numpy as np
import pytest

from training.data.labels import read_labels, sample_record
from training.data.readers.mp100 import read_mp100

NAMES = ["beak", "left_wing", "tail"]


def annotation(number, image, keypoints, box=(10, 5, 40, 30), category=7):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "keypoints": keypoints,
    }


GOOD = [12, 8, 2, 30, 20, 1, 0, 0, 0]


@pytest.fixture
def folder(tmp_path, picture):
    picture(tmp_path / "bird_body" / "a.jpg", 80, 60)
    return tmp_path


def write(folder, *annotations, names=NAMES):
    images = [
        {"id": n, "file_name": f"bird_body/{name}.jpg", "width": 80, "height": 60}
        for n, name in ((1, "a"), (2, "missing"))
    ]
    categories = [{"id": 7, "name": "bird_body", "supercategory": "animal", "keypoints": names}]
    content = {"images": images, "annotations": list(annotations), "categories": categories}
    file = folder / "mp100_split1_val.json"
    file.write_text(json.dumps(content))
    return file


def test_an_object_becomes_a_thing(folder, report):
    (sample,) = read_mp100(write(folder, annotation(1, 1, GOOD)), folder, report=report)
    (thing,) = sample.things
    assert thing.category == "bird body" and thing.names == tuple(NAMES)
    assert thing.descriptions == ("", "", "") and list(thing.box) == [10, 5, 50, 35]
    assert thing.points.tolist() == [[12, 8, 2], [30, 20, 1], [0, 0, 0]]
    assert not sample.all_heads and sample.load().shape == (60, 80, 3)
    assert report.kept["things"] == 1


def test_texts_give_names_and_descriptions(folder):
    texts = folder / "texts.json"
    told = {"beak": "the front end", "left wing": "at the left", "tail": "the rear end"}
    texts.write_text(json.dumps({"bird_body": told}))
    (sample,) = read_mp100(write(folder, annotation(1, 1, GOOD)), folder, texts)
    assert dict(zip(sample.things[0].names, sample.things[0].descriptions, strict=True)) == told
    texts.write_text(json.dumps({"bird_body": {"beak": "the front end"}}))
    with pytest.raises(ValueError, match=r"texts\.json: bird_body has 1 points, .* it has 3"):
        read_mp100(write(folder, annotation(1, 1, GOOD)), folder, texts)


def test_what_cannot_be_used_is_counted(folder, report):
    entries = (
        annotation(1, 2, GOOD),
        annotation(2, 1, [0] * 9),
        annotation(3, 1, GOOD, box=(90, 5, 40, 30)),
        annotation(4, 1, [99, 8, 2, *GOOD[3:]]),
    )
    (sample,) = read_mp100(write(folder, *entries), folder, report=report)
    assert sample.things[0].points[0].tolist() == [0, 0, 0]
    assert report.left_out == {
        "picture missing": 1,
        "object without a marked point": 1,
        "object outside the picture": 1,
    }


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (annotation(17, 1, GOOD[:6]), "annotation 17: 6 numbers for the 3 points of bird_body"),
        (annotation(18, 9, GOOD), "annotation 18: what it names is not in the file"),
        (annotation(19, 1, GOOD, category=8), "annotation 19: what it names"),
        (annotation(20, 1, "abc"), "annotation 20: could not convert"),
        ("text", "annotation text"),
    ],
)
def test_faults_name_file_and_entry(folder, entry, reason):
    with pytest.raises(ValueError, match=r"mp100_split1_val\.json, ") as fault:
        read_mp100(write(folder, entry), folder)
    assert reason in str(fault.value)


def test_another_file_is_refused(folder):
    file = folder / "other.json"
    file.write_text("[1]")
    with pytest.raises(ValueError, match=r"other\.json: not a file of MP-100"):
        read_mp100(file, folder)


def test_labels_give_things_back(folder):
    (sample,) = read_mp100(write(folder, annotation(1, 1, GOOD)), folder)
    line = json.dumps(sample_record(sample, folder))
    (folder / "labels.jsonl").write_text(line + "\n")
    (again,) = read_labels(folder)
    assert again.things[0].names == sample.things[0].names
    assert np.array_equal(again.things[0].points, sample.things[0].points)
    broken = json.loads(line)
    broken["things"][0]["points"].pop()
    (folder / "labels.jsonl").write_text(json.dumps(broken) + "\n")
    with pytest.raises(ValueError, match=r"labels\.jsonl, line 1: .* 3 names, .* 2 points"):
        read_labels(folder)
