# SPDX-License-Identifier: Apache-2.0
"""Self-training on photographs: sure heads are added, doubt is said, faces keep their labels."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, Heads
from training.data.labels import read_labels, sample_record
from training.data.sample import Head, Sample
from training.labelling import self_training
from training.labelling.self_training import LIMITS, completed, label_folder

POSE = rotation_from_angles(150, 10, -5)
LEFT, RIGHT = (10.0, 20.0, 40.0, 60.0), (100.0, 30.0, 130.0, 70.0)


def estimate(box, score, spread=5.0):
    covariance = np.radians(spread) ** 2 * np.eye(3)
    return HeadEstimate(box, 150.0, 10.0, -5.0, POSE, score, covariance)


def sees(*heads, left_out=0):
    """A model that finds the same heads in every picture."""
    return lambda image: Heads(heads, left_out)


def complete(finder, *known):
    sample = Sample("photo.png", 160, 80, None, list(known), all_heads=False)
    return completed(sample, np.zeros((80, 160, 3), np.uint8), finder, LIMITS, Counter())


def test_sure_heads_are_added_and_the_picture_claims_to_know_all():
    whole = complete(sees(estimate(LEFT, 0.9), estimate(RIGHT, 0.7)))
    assert whole.all_heads
    assert [tuple(h.box) for h in whole.heads] == [LEFT, RIGHT]
    assert np.allclose(whole.heads[0].rotation, POSE)


def test_a_box_in_doubt_is_not_added_and_leaves_the_picture_in_doubt():
    whole = complete(sees(estimate(LEFT, 0.45)))
    assert whole.heads == [] and not whole.all_heads


def test_a_box_that_hardly_is_one_counts_as_none():
    whole = complete(sees(estimate(LEFT, 0.2)))
    assert whole.heads == [] and whole.all_heads


def test_more_heads_than_are_told_leave_the_picture_in_doubt():
    assert not complete(sees(estimate(LEFT, 0.9), left_out=3)).all_heads


def test_a_pose_in_doubt_leaves_a_box():
    (head,) = complete(sees(estimate(LEFT, 0.9, spread=40.0))).heads
    assert head.rotation is None


def test_a_labelled_face_keeps_its_box_and_pose():
    face = Head(np.array([12.0, 22, 42, 62]), rotation_from_angles(0, 0, 0))
    first, second = complete(sees(estimate(LEFT, 0.4), estimate(RIGHT, 0.9)), face).heads
    assert first is face and tuple(second.box) == RIGHT


@pytest.fixture
def weak(tmp_path):
    """Photographs with labels as `weak_labels` writes them: a face, none, and one held out."""
    photos, folder = tmp_path / "photos", tmp_path / "weak"
    photos.mkdir()
    (folder / "train").mkdir(parents=True)
    for name in ("face.png", "none.png", "held.png"):
        cv2.imwrite(str(photos / name), np.zeros((80, 160, 3), np.uint8))
    face = Sample(photos / "face.png", 160, 80, None, [Head(np.array(LEFT), None)], [], False)
    record = json.dumps(sample_record(face, folder / "train"))
    (folder / "train" / "labels.jsonl").write_text(record + "\n")
    with (folder / "left_out.jsonl").open("w") as out:
        for name, part in (("none.png", "train"), ("held.png", "held_out")):
            out.write(json.dumps({"photo": name, "part": part, "why": "no face"}) + "\n")
    return photos, folder


def test_a_folder_is_labelled_once_and_what_is_held_out_never(weak, tmp_path):
    output = tmp_path / "closer"
    counts = label_folder(*weak, output, sees(estimate(RIGHT, 0.9)))
    assert counts["heads added"] == 2
    samples = {s.image_path.name: s for s in read_labels(output)}
    assert {name: len(s.heads) for name, s in samples.items()} == {"face.png": 2, "none.png": 1}
    again = label_folder(*weak, output, sees())
    assert again == {"photographs done before": 2}


def test_other_settings_are_refused(weak, tmp_path, monkeypatch):
    class Model:
        model_id = "model-1234"

        def __call__(self, image):
            return Heads()

    monkeypatch.setattr(self_training.HeadPerceiver, "load", lambda *_, **__: Model())
    self_training.main(*weak, tmp_path / "closer")
    with pytest.raises(SystemExit, match="other settings; use another folder"):
        self_training.main(*weak, tmp_path / "closer", tiles=3)


def test_a_photograph_that_is_gone_is_named(weak, tmp_path):
    (weak[0] / "none.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        label_folder(*weak, tmp_path / "closer", sees())


def test_a_photograph_that_is_damaged_is_counted(weak, tmp_path):
    whole = (weak[0] / "face.png").read_bytes()
    (weak[0] / "face.png").write_bytes(whole[:-30])
    (weak[0] / "none.png").write_text("<html></html>")
    counts = label_folder(*weak, tmp_path / "closer", sees())
    assert counts == {"photographs that cannot be read": 2}
