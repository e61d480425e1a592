# SPDX-License-Identifier: Apache-2.0
"""Keypoints stay on what they mark, whatever is done to the picture."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, LINES, MIRRORED, SEEN
from training.data.augment import Augmentation, mirrored, render_view
from training.data.collage import Collage, make_collage, subjects
from training.data.keypoints import mirrored as mirrored_points
from training.data.keypoints import warped
from training.data.labels import read_labels, sample_record
from training.data.sample import Head, Sample

WIDTH, HEIGHT = 320, 240
MARKS = {"left wrist": (255, 0, 0), "right wrist": (0, 255, 0), "left ankle": (0, 0, 255)}
PLACES = {"left wrist": (120, 90), "right wrist": (210, 100), "left ankle": (150, 160)}
LEFT = [KEYPOINTS.index(name) for name in KEYPOINTS if name.startswith("left")]


def body(**places):
    points = np.zeros((17, 3))
    for name, place in places.items():
        points[KEYPOINTS.index(name)] = *place, SEEN
    return points


@pytest.fixture
def scene(tmp_path):
    """A head in the middle, and dots of three colours on three keypoints."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for name, place in PLACES.items():
        cv2.circle(image, place, 9, MARKS[name][::-1], -1)
    cv2.imwrite(str(tmp_path / "scene.png"), image)
    head = Head(np.array([130.0, 90, 190, 150]), np.eye(3), keypoints=body(**PLACES))
    return Sample(tmp_path / "scene.png", WIDTH, HEIGHT, 300.0, [head])


def check_marks(view, points, swapped=False):
    """How many of the points lie on their dot; none may lie elsewhere."""
    found = 0
    for name, colour in MARKS.items():
        number = KEYPOINTS.index(name)
        x, y, seen = points[MIRRORED[number] if swapped else number]
        if seen != ABSENT:
            np.testing.assert_allclose(view[int(y), int(x)], colour, atol=40)
            found += 1
    assert (points[:, 2] != ABSENT).sum() == found
    return found


def test_sides_are_the_names_sides():
    assert len(KEYPOINTS) == len(set(KEYPOINTS)) == 17
    assert KEYPOINTS[MIRRORED[KEYPOINTS.index("left knee")]] == "right knee"
    assert MIRRORED[0] == 0 and (MIRRORED[MIRRORED] == np.arange(17)).all()
    assert {tuple(sorted(MIRRORED[list(pair)])) for pair in LINES} == {
        tuple(sorted(pair)) for pair in LINES
    }


def test_points_stay_on_what_they_mark(scene):
    image, total = scene.load(), 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        options = Augmentation(colour=False, mirror=False)
        view, (head,) = render_view(scene, image, (224, 224), rng, options)
        total += check_marks(view, head.keypoints)
        view, (head,) = mirrored(view, [head])
        check_marks(view, head.keypoints, swapped=True)
    assert total > 75
    view, (head,) = render_view(scene, image, (120, 320))
    assert check_marks(view, head.keypoints) == 3


def test_a_collage_keeps_the_points_of_its_cells(scene):
    options, total = Collage(cells=(0, 1, 0, 0), enlarge=1.0), 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        view, heads = make_collage(subjects([scene], options), (448, 448), rng, options)
        total += sum(check_marks(view, head.keypoints) for head in heads)
    assert total > 30


def test_points_outside_are_absent(scene):
    """The camera turns away so far that one side leaves the picture."""
    shift = np.array([[1.0, 0, -130], [0, 1, 0], [0, 0, 1]])
    points = warped(scene.heads[0].keypoints, shift, WIDTH, HEIGHT)
    assert points[KEYPOINTS.index("left wrist")].tolist() == [0, 0, ABSENT]
    assert points[KEYPOINTS.index("right wrist")].tolist() == [80, 100, SEEN]
    behind = np.diag([1.0, 1.0, -1.0])
    assert (warped(scene.heads[0].keypoints, behind, WIDTH, HEIGHT) == 0).all()


bodies = arrays(float, (17, 3), elements=st.floats(1, 200)).map(
    lambda a: np.where(a[:, 2:] > 80, np.column_stack([a[:, :2], 1 + (a[:, 2] > 150)]), 0.0)
)


@given(bodies, st.integers(201, 4000))
def test_a_mirror_image_of_a_mirror_image_is_the_picture(points, width):
    once = mirrored_points(points, width)
    np.testing.assert_allclose(mirrored_points(once, width), points, atol=1e-9)
    assert once[LEFT, 2].sum() == points[MIRRORED[LEFT], 2].sum()


@given(bodies)
def test_a_warp_and_back_gives_the_points_that_stayed(points):
    forth = np.array([[0.9, 0.2, 3], [-0.2, 1.1, 5], [0.0005, 0.0002, 1]])
    there = warped(points, forth, 260, 260)
    back = warped(there, np.linalg.inv(forth), 1000, 1000)
    stayed = there[:, 2] != ABSENT
    np.testing.assert_allclose(back[stayed], points[stayed], atol=1e-6)
    assert (there[~stayed] == 0).all()


def test_labels_are_written_and_read_back(scene, tmp_path):
    points = np.random.default_rng(0).uniform(0, 200, (17, 3)).round(2)
    points[:, 2] = np.arange(17) % 3
    scene.heads[0].keypoints = points
    scene.heads.append(Head(np.array([0.0, 0, 9, 9]), None))
    record = sample_record(scene, tmp_path)
    (tmp_path / "labels.jsonl").write_text(json.dumps(record) + "\n")
    (back,) = read_labels(tmp_path)
    np.testing.assert_array_equal(back.heads[0].keypoints, points)
    assert back.heads[1].keypoints is None
    record["heads"][0]["keypoints"].pop()
    (tmp_path / "labels.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match=r"labels.jsonl, line 1: .*17 times x, y, visibility"):
        read_labels(tmp_path)
