# SPDX-License-Identifier: Apache-2.0
"""PCK by hand, and OKS with what rests on it against pycocotools: its numbers, written down here,
and itself where it is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.evaluation.keypoints import SIGMAS, Bodies, average_precision, pck, similarity

# What pycocotools 2.0.11 says of `pictures(seed)`
NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR")
GOLDEN = {
    0: (0.182160861, 0.331302384, 0.160955976, 0.316265912, 0.171716220, 0.473684211),
    1: (0.210243037, 0.330878111, 0.198883329, 0.359409477, 0.096710671, 0.352000000),
    2: (0.177253868, 0.361044319, 0.086751532, 0.423974540, 0.109768977, 0.441176471),
}


def pictures(seed, count=12):
    """People of all sizes, partly without labelled points; answers that are near, far, missing, and
    about nobody."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        people = int(rng.integers(0, 5))
        sides = np.exp(rng.uniform(np.log(15), np.log(300), people))
        true = rng.uniform(0, 1, (people, 17, 3)) * [1, 1, 0]
        true[..., :2] = true[..., :2] * sides[:, None, None] + rng.uniform(0, 300, (people, 1, 2))
        true[..., 2] = rng.integers(0, 3, (people, 17)) * (rng.random((people, 1)) < 0.85)
        far = np.exp(rng.normal(-3.2, 1.0, (people, 1, 1))) * sides[:, None, None]
        found = true[..., :2] + rng.normal(0, 1, (people, 17, 2)) * far
        found = found[rng.random(people) < 0.9]
        nobody = rng.uniform(0, 400, (int(rng.integers(0, 3)), 17, 2))
        found = np.concatenate([found, nobody]).round(2)
        scores = rng.random(len(found)).round(1)  # some alike
        out.append(Bodies(true.round(2), (0.5 * sides**2).round(2), found, scores))
    return out


def coco(pictures):
    """The same in the words of COCO's files: truth, and results."""
    people, results = [], []
    for image, one in enumerate(pictures, start=1):
        for points, area in zip(one.true, one.areas, strict=True):
            there = points[points[:, 2] > 0, :2]
            box = [0.0, 0.0, 1.0, 1.0]
            if len(there):
                box = [*there.min(0).tolist(), *np.ptp(there, axis=0).tolist()]
            people.append(
                {"id": len(people) + 1, "image_id": image, "category_id": 1, "iscrowd": 0}
                | {"keypoints": points.ravel().tolist(), "num_keypoints": len(there)}
                | {"area": float(area), "bbox": box}
            )
        for points, score in zip(one.found, one.scores, strict=True):
            numbers = np.column_stack([points, np.full(17, 2)]).ravel().tolist()
            answer = {"image_id": image, "category_id": 1, "keypoints": numbers}
            results.append(answer | {"score": float(score)})
    images = [{"id": n} for n in range(1, len(pictures) + 1)]
    truth = {"info": {}, "images": images, "categories": [{"id": 1, "name": "person"}]}
    return truth | {"annotations": people}, results


def pycocotools_says(pictures):
    coco_api = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    truth, results = coco(pictures)
    api = coco_api.COCO()
    api.dataset = truth
    api.createIndex()
    judged = COCOeval(api, api.loadRes(results), "keypoints")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    return dict(zip(NAMES, judged.stats, strict=False))


@pytest.mark.parametrize("seed", GOLDEN)
def test_precision_is_what_pycocotools_wrote_down(seed):
    said = dict(zip(NAMES, GOLDEN[seed], strict=True))
    assert average_precision(pictures(seed)) == pytest.approx(said, abs=1e-8)


def test_precision_is_what_pycocotools_says():
    for seed in range(20, 40):
        some = pictures(seed)
        assert average_precision(some) == pytest.approx(pycocotools_says(some), abs=1e-9)


def test_similarity_by_hand():
    """A wrist off by one sigma of 2 * 0.062 of the root of the area, and a nose that is right."""
    true = np.zeros((1, 17, 3))
    true[0, [0, 9]] = [[10, 20, 2], [50, 60, 1]]
    found = true[..., :2].copy()
    found[0, 9, 0] += 2 * 0.062 * math.sqrt(400)
    assert similarity(true, np.array([400.0]), found)[0, 0] == pytest.approx(
        (1 + math.exp(-0.5)) / 2
    )
    assert len(SIGMAS) == 17


def test_pck_is_a_mean_over_bodies_of_shares_of_their_points():
    true = np.zeros((3, 17, 3))
    true[0, :4] = [[0, 0, 2], [10, 0, 2], [20, 0, 1], [30, 0, 2]]
    true[1, 0] = [5, 5, 2]  # the third body has no labelled point and counts nowhere
    found = true[..., :2].copy()
    found[0, 1, 1], found[0, 2] = 10.1, np.nan
    boxes = np.array([[0.0, 0, 50, 100], [0, 0, 10, 10], [0, 0, 1, 1]])
    assert pck(true, boxes, found, 0.1) == pytest.approx((2 / 4 + 1) / 2)
    assert pck(true, boxes, found, 0.2) == pytest.approx((3 / 4 + 1) / 2)
    assert math.isnan(pck(true[2:], boxes[2:], found[2:], 0.2))


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5))
def test_measures_do_not_depend_on_the_unit_of_length(seed, factor):
    (one,) = pictures(seed, 1)
    alike = similarity(one.true, one.areas, one.found)
    scaled = similarity(one.true * [factor, factor, 1], one.areas * factor**2, one.found * factor)
    np.testing.assert_allclose(scaled, alike, atol=1e-9)
    assert ((alike >= 0) & (alike <= 1)).all()


def test_nothing_to_find_is_no_score():
    empty = Bodies(np.zeros((0, 17, 3)), np.zeros(0), np.zeros((1, 17, 2)), np.ones(1))
    assert all(math.isnan(value) for value in average_precision([empty]).values())
