# SPDX-License-Identifier: Apache-2.0
"""Poses for boxes: kept where regressors agree, resumable, and never mixed with others."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest
import torch

from hpe_vlm_ros.geometry import geodesic_degrees, rotation_from_angles
from training.data.labels import read_labels, sample_record
from training.data.sample import Head, Sample
from training.labelling import pseudo_labels
from training.labelling.networks.sixdrepnet import SixDRepNet, load_sixdrepnet
from training.labelling.pseudo_labels import label_folder, with_poses

SEEN = rotation_from_angles(150, 10, -5)
BOX = np.array([30.0, 20, 70, 60])


class Says:
    """A regressor that answers the same about every picture and the mirrored about mirror images;
    `off` degrees of yaw beside the truth."""

    def __init__(self, off=0.0):
        self.off = off

    def rotations(self, image, boxes):
        yaw = 150 + self.off
        turn = (yaw, 10, -5) if image[0, 0, 0] == 0 else (-yaw, 10, 5)
        return np.stack([rotation_from_angles(*turn)] * len(boxes))


def picture():
    """Black on the left, white on the right: its mirror image can be told."""
    image = np.zeros((80, 160, 3), np.uint8)
    image[:, 80:] = 255
    return image


def sample(path, *heads):
    return Sample(path, 160, 80, None, list(heads))


@pytest.fixture
def boxes(tmp_path):
    """A folder of two labelled pictures without poses."""
    folder = tmp_path / "boxes"
    folder.mkdir()
    with (folder / "labels.jsonl").open("w") as out:
        for name in ("a.png", "b.png"):
            cv2.imwrite(str(folder / name), picture())
            head = Head(BOX, None, visible=0.75)
            out.write(json.dumps(sample_record(sample(folder / name, head), folder)) + "\n")
    return folder


def test_regressors_that_agree_give_the_pose(tmp_path):
    counts = Counter()
    given = sample(tmp_path, Head(BOX, None, 0.5))
    posed = with_poses(given, picture(), {"a": Says(-4), "b": Says(4)}, 10, 24, counts)
    assert geodesic_degrees(posed.heads[0].rotation, SEEN) < 0.1
    assert posed.heads[0].visible == 0.5 and counts == {pseudo_labels.POSED: 1}
    assert given.heads[0].rotation is None


def test_regressors_that_disagree_leave_a_box(tmp_path):
    counts = Counter()
    labellers = {"a": Says(-30), "b": Says(30)}
    posed = with_poses(sample(tmp_path, Head(BOX, None)), picture(), labellers, 10, 24, counts)
    assert posed.heads[0].rotation is None and counts == {pseudo_labels.APART: 1}


def test_known_poses_and_small_heads_stay_as_they_are(tmp_path):
    known, small = Head(BOX, np.eye(3)), Head(np.array([0.0, 0, 20, 20]), None)
    counts = Counter()
    posed = with_poses(sample(tmp_path, known, small), picture(), {"a": Says()}, 10, 24, counts)
    assert posed.heads[0].rotation is known.rotation and posed.heads[1].rotation is None
    assert counts == {pseudo_labels.KNOWN: 1, pseudo_labels.SMALL: 1}


def test_a_killed_run_goes_on(boxes, tmp_path):
    out, whole = tmp_path / "weak", tmp_path / "whole"
    label_folder(boxes, whole, {"a": Says()}, 10, 24)
    label_folder(boxes, out, {"a": Says()}, 10, 24)
    file = out / "labels.jsonl"
    expected = file.read_text()
    file.write_text(expected[: len(expected) // 2 + 30])  # killed in the second line
    counts = label_folder(boxes, out, {"a": Says()}, 10, 24)
    assert counts["pictures done before"] == 1 and counts["pictures labelled"] == 1
    assert file.read_text() == expected == (whole / "labels.jsonl").read_text()
    read = read_labels(out)
    assert [geodesic_degrees(s.heads[0].rotation, SEEN) < 0.1 for s in read] == [True, True]
    assert read[0].image_path.samefile(boxes / "a.png") and read[0].heads[0].visible == 0.75


def test_a_picture_that_cannot_be_read_is_counted(boxes, tmp_path):
    (boxes / "a.png").write_bytes(b"no picture")
    counts = label_folder(boxes, tmp_path / "weak", {"a": Says()}, 10, 24)
    assert counts["pictures that cannot be read"] == 1 and counts["pictures labelled"] == 1


def test_the_command_says_what_is_wrong(boxes, tmp_path):
    with pytest.raises(SystemExit, match="--whenet, --sixdrepnet"):
        pseudo_labels.main(boxes, tmp_path / "weak")
    with pytest.raises(SystemExit, match="lies in"):
        pseudo_labels.main(boxes, boxes / "weak")
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="checkpoint.pt is no checkpoint"):
        load_sixdrepnet(tmp_path / "checkpoint.pt")


def test_our_6drepnet_labels_from_its_checkpoint(boxes, tmp_path):
    torch.manual_seed(0)
    checkpoint, model = tmp_path / "checkpoint.pt", SixDRepNet(pretrained=False)
    torch.save({"model": model.state_dict()}, checkpoint)
    loaded = load_sixdrepnet(checkpoint)
    image = picture()
    expected = model.rotations(image, [BOX])
    assert loaded.rotations(image, [BOX]) == pytest.approx(expected)
    assert loaded.rotations(image, []).shape == (0, 3, 3)
    pseudo_labels.main(boxes, tmp_path / "weak", sixdrepnet=checkpoint, agree=180)
    assert len(read_labels(tmp_path / "weak")) == 2
    with pytest.raises(SystemExit, match="other settings"):
        pseudo_labels.main(boxes, tmp_path / "weak", sixdrepnet=checkpoint, agree=10)
