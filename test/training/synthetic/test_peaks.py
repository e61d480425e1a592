# SPDX-License-Identifier: Apache-2.0
"""Peaks stand off the forehead, tied hair off the back; only learnt people wear them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.synthetic.clothes.peaks import SELLION, peaks, ties
from training.synthetic.clothes.shells import SHELLS
from training.synthetic.clothes.wardrobe import Garment, Wardrobe
from training.synthetic.people.dressing import peaked, tied

EMPTY = np.zeros((0, 3))
PART = Garment("skin", "body", EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, 0, 0, 0.0)
SHELL = {shell.name: shell for shell in SHELLS}
CAP, HOOD, BEARD = (
    replace(PART, name=n, kind=SHELL[n].kind, shell=SHELL[n]) for n in ("cap", "hood", "beard")
)
HAIR = replace(PART, name="long01", kind="hair")
PEAK, TIE = replace(PART, name="cap", kind="cover"), replace(PART, name="knot", kind="hair")
CROP = replace(PART, name="crop", kind="hair", shell=SHELL["crop"])


@pytest.mark.parametrize("name", sorted(peaks()))
def test_a_peak_begins_at_the_forehead_and_leaves_the_eyes_free(name):
    points, uv, triangles = peaks()[name]
    places = points + SELLION
    assert places[:, 2].min() > 0.745 and places[:, 2].max() < 0.81
    middle = places[np.abs(places[:, 0]) < 1e-6]
    assert middle[:, 1].max() == pytest.approx(-0.158, abs=0.01)
    assert 0.04 < np.ptp(middle[:, 1]) < 0.08
    np.testing.assert_allclose(places[:, 0].min(), -places[:, 0].max(), atol=1e-6)
    assert len(uv) == len(points) > triangles.max()


@pytest.mark.parametrize("name", sorted(ties()))
def test_tied_hair_touches_the_head_and_stands_off_it(name):
    points, uv, triangles = ties()[name]
    away = (points + SELLION - [0, -0.055, 0.76]) / [0.08, 0.105, 0.1]  # the skull, about
    distance = np.linalg.norm(away, axis=1)
    assert distance.min() < 1.0 and distance.max() > 1.15
    assert (points + SELLION)[:, 1].mean() > -0.05  # none in the face
    assert len(uv) == len(points) > triangles.max()


def wardrobe():
    out = Wardrobe(None, PART, PART)
    out.garments |= {"peak": [PEAK], "tie": [TIE], "crop": [CROP]}
    return out


def drawn(change, worn):
    return [change(worn, np.random.default_rng(seed)) for seed in range(300)]


def test_caps_have_peaks_half_of_the_time_but_hoods_none():
    def change(worn, rng):
        return peaked(worn, wardrobe(), "train", rng)

    capped = [PEAK in worn for worn in drawn(change, [HAIR, CAP])]
    assert 0.4 < np.mean(capped) < 0.6
    assert all(worn == [HOOD] for worn in drawn(change, [HOOD]))


@pytest.mark.parametrize(("female", "least", "most"), [(True, 0.18, 0.33), (False, 0.01, 0.1)])
def test_tied_hair_takes_the_place_of_loose_hair_and_leaves_beards(female, least, most):
    def change(worn, rng):
        return tied(worn, wardrobe(), "train", female, rng)

    outfits = drawn(change, [HAIR, BEARD])
    assert all(worn in ([HAIR, BEARD], [BEARD, CROP, TIE]) for worn in outfits)
    assert least < np.mean([TIE in worn for worn in outfits]) < most
    assert all(worn == [BEARD] for worn in drawn(change, [BEARD]))
