# SPDX-License-Identifier: Apache-2.0
"""Weak labels of photographs: faces to heads, agreement, clips, and stopping at any moment."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import geodesic_degrees
from training.data.labels import read_labels
from training.labelling.agreement import Filters, agreed_poses, label_photo
from training.labelling.faces import FIVE_POINTS, Face, FaceFinder
from training.labelling.photo_folder import NUMBERED_FRAMES, clip_of, find_photos, is_held_out
from training.labelling.weak_labels import label_folder

SETTINGS = {"made": "by a test"}


def face_of(matrix, scale=8.0, middle=(160.0, 120.0), score=0.95):
    """What a far-away camera sees of a face: box about the landmarks, as YuNet draws it."""
    points = FIVE_POINTS @ np.diag([1.0, -1.0, -1.0]) @ matrix.T * scale
    landmarks = points[:, :2] + middle
    low, high = landmarks.min(0) - 3 * scale, landmarks.max(0) + 3 * scale
    return Face(np.concatenate([low, high]), landmarks, score)


class Finder:
    def __init__(self, *faces):
        self.faces = list(faces)

    def __call__(self, image):
        return self.faces


class Always:
    """A labeller that answers the same about everything; `mirrored` about mirror images."""

    def __init__(self, matrix, mirrored=None):
        flip = np.diag([-1.0, 1.0, 1.0])
        self.answers = [matrix, flip @ matrix @ flip if mirrored is None else mirrored]
        self.asked = []

    def rotations(self, image, boxes):
        self.asked.append(list(boxes))
        return np.stack([self.answers[(len(self.asked) - 1) % 2]] * len(boxes))


def image(width=320, height=240):
    return np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize("yaw", [-50, 0, 50])
def test_the_head_lies_behind_the_nose(yaw, head_matrix):
    """Yaw > 0: the nose is on the image's left, most of the head to the right of the face."""
    face = face_of(head_matrix(yaw, 0, 0))
    box, middle = face.head_box(), (face.box[0] + face.box[2]) / 2
    right, left = box[2] - middle, middle - box[0]
    assert np.sign(round(right - left, 6)) == np.sign(yaw)
    assert box[1] < face.box[1] and box[3] - box[1] > face.height


def test_head_boxes_are_mirror_images(head_matrix):
    face = face_of(head_matrix(40, 10, -12))
    swapped = face.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (320, 0)
    x0, y0, x1, y1 = face.box
    mirrored = Face(np.array([320 - x1, y0, 320 - x0, y1]), swapped, 0.9).head_box()
    a0, b0, a1, b1 = face.head_box()
    np.testing.assert_allclose(mirrored, [320 - a1, b0, 320 - a0, b1])


@given(
    st.floats(-60, 60), st.floats(-30, 30), st.floats(-30, 30),
    st.floats(-0.4, 0.4), st.floats(-0.3, 0.3), st.floats(1.0, 8.0),
)  # fmt: skip
def test_pose_by_landmarks(yaw, pitch, roll, x, y, distance):
    """Anywhere in the picture, near or far; the box is that of a face of 14 cm."""
    matrix = Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True).as_matrix()
    place = np.array([x, y, 1.0]) * distance
    points = 0.01 * FIVE_POINTS @ np.diag([1.0, -1.0, -1.0]) @ matrix.T + place
    landmarks = points[:, :2] / points[:, 2:] * 320 + (160, 120)
    half = 0.07 / distance * 320
    box = np.concatenate([landmarks.mean(0) - half, landmarks.mean(0) + half])
    face = Face(box, landmarks, 1.0)
    assert geodesic_degrees(face.rotation(320, 240), matrix) < 8


def test_answers_are_averaged_and_their_spread_is_told(head_matrix):
    plain, other = head_matrix(20, 0, 0), head_matrix(32, 0, 0)
    (one,) = agreed_poses(image(), [np.array([10.0, 10, 50, 60])], {"a": Always(plain)})
    np.testing.assert_allclose(one[0], plain, atol=1e-12)
    assert one[1] == pytest.approx(0, abs=1e-5)
    both = {"a": Always(plain), "b": Always(other)}
    (two,) = agreed_poses(image(), [np.array([10.0, 10, 50, 60])], both)
    np.testing.assert_allclose(two[0], head_matrix(26, 0, 0), atol=1e-6)
    assert two[1] == pytest.approx(6, abs=1e-4)
    np.testing.assert_array_equal(both["a"].asked[1], [[270, 10, 310, 60]])  # in the mirror
    assert agreed_poses(image(), [], both) == []


def test_poses_are_kept_where_all_agree(head_matrix):
    true = head_matrix(30, 5, 0)
    finder, filters = Finder(face_of(true)), Filters()
    (head,), (label,) = label_photo(image(), finder, {"a": Always(true)}, filters)
    np.testing.assert_allclose(head.rotation, true, atol=1e-6)
    assert label["angles"] == pytest.approx([30, 5, 0], abs=1e-2) and label["score"] == 0.95
    doubted = [
        Always(true, mirrored=np.eye(3)),  # its own mirror image contradicts it
        Always(head_matrix(-30, 5, 0)),  # the landmarks do
        Always(head_matrix(30, 5, 180)),  # no valid triple
    ]
    for labeller in doubted:
        (head,), (label,) = label_photo(image(), finder, {"a": labeller}, filters)
        assert head.rotation is None and label["angles"] is None
    small = Finder(face_of(true, scale=1.5))
    (head,), _ = label_photo(image(), small, {"a": Always(true)}, Filters(min_face=8))
    assert head.rotation is None


def test_faces_that_do_not_count(head_matrix):
    true = head_matrix(0, 0, 0)
    finder = Finder(
        face_of(true, score=0.6), face_of(true, middle=(5.0, 120.0)), face_of(true, scale=0.5)
    )
    assert label_photo(image(), finder, {"a": Always(true)}, Filters()) == ([], [])
    edge = Finder(face_of(true, middle=(50.0, 120.0)))
    (head,), _ = label_photo(image(), edge, {"a": Always(true)}, Filters())
    assert head.box[0] == 0 and 0.6 <= head.visible < 1


@pytest.fixture
def photos(tmp_path, picture):
    """Twelve photographs in a collection, a clip of six frames, a file that is no picture."""
    for number in range(12):
        picture(tmp_path / "photos" / "people" / f"portrait_{number:03d}.jpg", 320, 240)
    for number in range(6):
        picture(tmp_path / "photos" / "clips" / f"walk_{number:04d}.png", 32, 24)
    (tmp_path / "photos" / "people" / "broken.jpg").write_text("no picture")
    return tmp_path / "photos"


class OnlyLarge(Finder):
    def __call__(self, image):
        return self.faces if image.shape[1] == 320 else []


def run(photos, output, head_matrix, finder=None, settings=SETTINGS, **options):
    true = head_matrix(30, 5, 0)
    finder = finder or OnlyLarge(face_of(true))
    return label_folder(photos, output, finder, {"a": Always(true)}, settings, **options)


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_labels_of_a_folder_are_scenes(photos, tmp_path, head_matrix):
    counts = run(photos, tmp_path / "weak", head_matrix)
    assert counts["train: photos"] + counts["held_out: photos"] == 12
    assert counts["left out, unreadable"] == 1 and counts["left out, no face"] == 6
    samples = read_labels(tmp_path / "weak" / "train")
    assert len(samples) == counts["train: photos"] == counts["train: heads with a pose"]
    assert all(s.focal is None and not s.all_heads and s.load().shape[1] == 320 for s in samples)
    np.testing.assert_allclose(samples[0].heads[0].rotation, head_matrix(30, 5, 0), atol=1e-5)
    kept_apart = {r["photo"] for r in lines(tmp_path / "weak" / "held_out" / "labels.jsonl")}
    trained_on = {r["photo"] for r in lines(tmp_path / "weak" / "train" / "labels.jsonl")}
    assert kept_apart and not kept_apart & trained_on
    assert {r["why"] for r in lines(tmp_path / "weak" / "left_out.jsonl")} == {
        "no face",
        "unreadable",
    }


class Stopped(Exception):
    pass


class StopsAfter(OnlyLarge):
    def __init__(self, count, *faces):
        super().__init__(*faces)
        self.left = count

    def __call__(self, image):
        self.left -= 1
        if self.left < 0:
            raise Stopped
        return super().__call__(image)


@pytest.mark.parametrize("stop", [0, 3, 11])
def test_a_stopped_run_goes_on_with_the_same_result(photos, tmp_path, head_matrix, stop):
    run(photos, tmp_path / "whole", head_matrix)
    finder = StopsAfter(stop, face_of(head_matrix(30, 5, 0)))
    with pytest.raises(Stopped):
        run(photos, tmp_path / "weak", head_matrix, finder)
    with (tmp_path / "weak" / "left_out.jsonl").open("a") as file:
        file.write('{"photo": "people/portr')  # killed while it wrote
    counts = run(photos, tmp_path / "weak", head_matrix)
    assert counts["done before"] in (stop, stop + 1)  # the broken one asks nobody
    for name in ("train/labels.jsonl", "held_out/labels.jsonl", "left_out.jsonl"):
        assert (tmp_path / "weak" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_other_settings_are_not_mixed_in(photos, tmp_path, head_matrix):
    run(photos, tmp_path / "weak", head_matrix)
    with pytest.raises(ValueError, match="begun with other settings"):
        run(photos, tmp_path / "weak", head_matrix, settings={"made": "otherwise"})


def test_frames_of_a_clip_stay_together():
    frames = [Path(f"videos/walk_{number:04d}.jpg") for number in range(9)]
    assert {clip_of(frame) for frame in frames} == {"videos/walk"}
    portraits = [Path(f"faces/portrait_{number:03d}.jpg") for number in range(9)]
    assert len({clip_of(portrait) for portrait in portraits}) == 9
    assert clip_of(portraits[0], ["faces/", *NUMBERED_FRAMES]) == "faces/"


def test_one_clip_in_five_is_held_out_for_good():
    names = [f"photo {number}" for number in range(5000)]
    held = Counter(is_held_out(name) for name in names)
    assert held[True] == pytest.approx(1000, abs=100)
    assert [n for n in range(30) if is_held_out(f"photo {n}")] == [6, 7, 8, 17, 24, 27]
    assert [is_held_out(n) for n in names] != [is_held_out(n, seed=1) for n in names]


def test_bad_paths_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no pictures"):
        find_photos(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        FaceFinder(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match=r"text\.onnx"):
        FaceFinder(tmp_path / "text.onnx")
