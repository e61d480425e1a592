# SPDX-License-Identifier: Apache-2.0
"""Sets to test on are committed: what is added for sets to learn from must not move them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.synthetic.clothes.hairdos import smooth_shells
from training.synthetic.clothes.wardrobe import Garment, Wardrobe
from training.synthetic.people import dressing
from training.synthetic.scene import sampling
from training.synthetic.splits import SPLITS

# Mean grey value of scenes 0 to 3 of the toy world, and of each head x0, y0, x1, y1 (pixels) and
# yaw, pitch, roll (degrees, where there are such). Written down before avatars and smooth hair were
# added.
KEPT = {
    "test": [
        (
            169.0,
            [
                [8.72, 18.61, 48.13, 61.17, -71.519, -45.55, 61.04],
                [10.07, 11.23, 22.61, 22.93, 72.775, 59.366, 51.1],
            ],
        ),
        (
            121.79,
            [
                [51.6, 9.72, 72.71, 39.16, 3.12, 1.642, 15.903],
                [91.43, 47.62, 96.59, 53.23, -30.561, -17.444, 9.134],
            ],
        ),
        (106.12, [[-2.01, 6.47, 1.99, 11.26, -71.672, -23.835, 16.932]]),
        (
            155.48,
            [
                [51.6, -4.98, 121.0, 64.9, 124.545, 6.936, -0.721],
                [-15.57, 5.44, 30.15, 44.1, 48.332, 34.618, 28.447],
                [43.96, 40.7, 68.64, 73.44, -124.664, 17.851, -13.599],
                [41.17, 23.23, 47.06, 29.82, 107.815, 8.591, 22.546],
            ],
        ),
    ],
    "panoptic": [
        (
            219.15,
            [
                [64.38, 5.71, 130.67, 63.72, -16.358, -75.161, 22.019],
                [-24.87, -6.21, 28.73, 45.38, 73.791, -47.726, -15.221],
                [32.36, 18.36, 47.16, 39.58, -16.233, -26.419, -4.65],
                [36.99, -0.2, 48.3, 14.92, 144.179, -2.258, 30.66],
                [76.06, -3.18, 87.25, 9.23],
                [76.97, 36.86, 82.37, 41.6, 111.272, 40.362, 71.234],
                [37.59, 48.39, 42.94, 53.32, 119.74, -69.021, -19.596],
            ],
        ),
        (
            170.87,
            [
                [10.96, 37.79, 44.41, 69.56, -122.46, -3.485, -31.112],
                [50.39, 57.24, 56.62, 62.81, -117.257, 3.891, -54.705],
                [30.42, 53.43, 35.36, 60.87, 3.658, -56.608, 13.395],
                [16.54, 8.51, 32.05, 25.89, -174.359, -78.597, 6.38],
                [38.16, 18.83, 48.82, 34.09, -173.685, -31.698, -11.879],
                [87.44, 13.22, 99.85, 22.92, 132.178, -26.179, 24.754],
                [25.95, 0.38, 31.35, 6.78, 133.686, -18.901, 38.931],
                [83.35, 17.55, 87.31, 22.02, 20.045, -76.724, -5.509],
            ],
        ),
        (
            139.33,
            [
                [63.53, 12.58, 92.09, 40.96, -74.89, -12.15, -12.94],
                [57.43, 32.64, 72.7, 48.47, 107.151, 0.717, 11.499],
                [33.48, 46.91, 44.8, 60.42, 118.842, -3.002, -1.983],
                [6.85, 39.88, 11.53, 45.21, 128.956, 10.25, 32.054],
                [56.43, 19.07, 60.35, 23.4, -123.955, 75.234, -77.006],
                [37.74, 1.22, 41.31, 5.47, 141.275, 27.2, 45.481],
            ],
        ),
        (
            138.71,
            [
                [51.26, -0.3, 104.18, 58.79, 139.77, -0.341, 21.408],
                [-2.16, -3.73, 48.08, 48.94, -135.232, -48.64, 18.12],
            ],
        ),
    ],
}


@pytest.mark.parametrize("split", ["test", "panoptic"])
def test_scenes_to_test_on_stay_as_they_were(toy_world, canvas, split):
    world = replace(toy_world, split=split)
    for index, (grey, heads) in enumerate(KEPT[split]):
        picture, label = sampling.render_scene(world, canvas, index)
        assert picture.mean() == pytest.approx(grey, abs=0.3)
        found = [h["full_box"] + (h["angles"] or []) for h in label["heads"]]
        for ours, theirs in zip(found, heads, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=0.05)


@pytest.mark.parametrize("split", ["test", "panoptic"])
def test_only_learnt_people_are_dressed_otherwise(split):
    assert smooth_shells(split) == [] and not SPLITS[split].drawn
    kept = SPLITS[split]
    assert (kept.covered, kept.steep, kept.away, kept.raised, kept.unworn) == (0.15, 0, 0, 0, 0)


def outfits(split):
    """What 400 people of a split wear, of one helmet and one head of hair."""
    empty = np.zeros((0, 3))
    part = Garment("skin", "body", empty, empty, empty, empty, empty, 0, 0, 0.0)
    wardrobe = Wardrobe(None, part, part)
    for kind in ("cover", "hair", "crop"):
        wardrobe.garments[kind] = [replace(part, name=kind, kind=kind)]
    rng = np.random.default_rng(3)
    return [[g.kind for g in dressing._outfit(wardrobe, split, True, 0.7, rng)] for _ in range(400)]


def test_heads_to_learn_are_covered_twice_as_often():
    shares = {split: np.mean(["cover" in worn for worn in outfits(split)]) for split in SPLITS}
    assert 0.1 < shares["test"] < 0.2 and 0.1 < shares["panoptic"] < 0.2
    assert 0.24 < shares["train"] < 0.36 and 0.24 < shares["task"] < 0.36


def angles(world, canvas, count=40):
    heads = [h for i in range(count) for h in sampling.render_scene(world, canvas, i)[1]["heads"]]
    return np.array([h["angles"] for h in heads if h["angles"]])


def test_learnt_heads_bend_as_far_as_necks_do(toy_world, canvas, monkeypatch):
    monkeypatch.setitem(SPLITS, "train", replace(SPLITS["train"], raised=0.0, steep=1.0))
    steep = angles(replace(toy_world, split="train"), canvas)
    monkeypatch.setitem(SPLITS, "train", replace(SPLITS["train"], steep=0.0))
    usual = angles(replace(toy_world, split="train"), canvas)
    for axis in (1, 2):
        assert steep[:, axis].std() > 1.25 * usual[:, axis].std()


def test_people_in_headwear_turn_their_backs(toy_world, toy_person, canvas, monkeypatch):
    monkeypatch.setitem(SPLITS, "train", replace(SPLITS["train"], raised=0.0, away=1.0))
    capped = replace(toy_person, kinds=("cover", "clothes"), names=("cap", "jacket"))
    backs = {}
    for name, person in (("bare", toy_person), ("capped", capped)):
        world = replace(toy_world, split="train", person=lambda i, person=person: person)
        backs[name] = np.mean(np.abs(angles(world, canvas)[:, 0]) > 90)
    assert backs["bare"] < 0.65 and backs["capped"] > 0.8
