# SPDX-License-Identifier: Apache-2.0
"""Scores of keypoints, with models that are right, off by a known distance, or know nothing."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, MIRRORED, Skeleton
from training.data.sample import Appearance, Head, Sample
from training.evaluation import senses
from training.evaluation.point_measures import groups_of, mean_places, scores

SIDE = 100.0  # pixels, of every body


def person(left: float, rng: np.random.Generator, side: float = SIDE) -> Head:
    body = np.array([left, 20.0, left + side / 2, 20 + side])
    points = np.column_stack([rng.uniform(*body[[0, 2]], 17), rng.uniform(*body[[1, 3]], 17)])
    visibility = np.full((17, 1), 2.0)
    visibility[3] = ABSENT
    points[3] = 0
    looks = Appearance(body, None, frozenset(), 5000.0)
    return Head(body.copy(), None, appearance=looks, keypoints=np.hstack([points, visibility]))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Two pictures with two people each, one of them too small to be asked about."""
    rng = np.random.default_rng(4)
    path = tmp_path_factory.mktemp("people") / "black.png"
    cv2.imwrite(str(path), np.zeros((200, 300, 3), np.uint8))
    heads = [person(left, rng) for left in (10, 80, 150)] + [person(200, rng, SIDE / 2)]
    heads.append(Head(np.array([0.0, 0, 9, 9]), None))  # nobody marked its keypoints
    return [Sample(path, 300, 200, None, part) for part in (heads[:2], heads[2:])]


class Knowing:
    """A perceiver that says the truth of the people in `samples`, changed by `change`."""

    def __init__(self, samples, change=lambda points: points, learnt=True):
        self._bodies = {
            tuple(head.appearance.body): head.keypoints
            for sample in samples
            for head in sample.heads
            if head.appearance is not None
        }
        self._change, self._learnt = change, learnt

    def has_learnt(self, task):
        return self._learnt

    def keypoints(self, image, boxes):
        assert image.shape == (200, 300, 3)
        return [self._skeleton(box) for box in boxes]

    def _skeleton(self, box):
        true = self._bodies[box]
        visibility = true[:, 2].astype(int)
        points = np.where(visibility[:, None] == ABSENT, np.nan, self._change(true[:, :2]))
        return Skeleton(box, KEYPOINTS, points, visibility, np.ones(17), np.zeros((17, 2, 2)))


def test_the_truth_and_what_is_off_by_a_known_distance(samples, capsys):
    assert senses.points(Knowing(samples), samples, 9) == {"pck01": 1.0, "oks_ap": 1.0}
    table = capsys.readouterr().out
    assert "keypoints of 3 bodies of 96 pixels and more" in table and "mean place" in table
    near = Knowing(samples, lambda points: points + (0.09 * SIDE, 0))
    far = Knowing(samples, lambda points: points + (0, 0.11 * SIDE))
    assert senses.points(near, samples, 9)["pck01"] == 1.0
    assert senses.points(far, samples, 9)["pck01"] == 0.0
    assert senses.points(near, samples, 9)["oks_ap"] < 1.0
    capsys.readouterr()
    senses.points(near, samples, 1)
    assert "keypoints of 2 bodies" in capsys.readouterr().out, "a picture's people stay together"


def test_left_and_right_that_are_swapped_are_counted(samples):
    groups = groups_of(samples, 9)
    for order, share in ((np.arange(17), 0.0), (MIRRORED, 1.0)):
        said = [
            SimpleNamespace(points=g.true[:, order, :2], scores=np.ones(len(g.true)))
            for g in groups
        ]
        assert scores(groups, said)["swapped"] == share


def test_the_mean_place_is_that_of_all_others(samples):
    groups = groups_of(samples, 9)
    true, boxes = (
        np.concatenate([g.true for g in groups]),
        np.concatenate([g.boxes for g in groups]),
    )
    said = np.concatenate([found.points for found in mean_places(groups)])
    corner, sides = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    shares = (true[:, 0, :2] - corner) / sides
    np.testing.assert_allclose(said[0, 0], shares[1:].mean(0) * sides[0] + corner[0])
    assert np.isnan(said[:, 3]).all()


def test_senses_say_why_there_are_no_numbers(samples, capsys):
    assert senses.points(Knowing(samples, learnt=False), samples, 9) == {}
    assert senses.points(Knowing(samples), [Sample(None, 9, 9, None)], 9) == {}
    assert capsys.readouterr().out.splitlines() == [
        "keypoints: not learnt",
        "keypoints: no labels of them, see --people",
    ]
