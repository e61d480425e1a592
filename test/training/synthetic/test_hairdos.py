# SPDX-License-Identifier: Apache-2.0
"""Hair and hats of random shapes: each split its own, always the same, never inside the skull."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.synthetic.clothes.hairdos import DRAWN, drawn_shells, restyle
from training.synthetic.clothes.shells import shell_thickness
from training.synthetic.clothes.wardrobe import Garment, Wardrobe
from training.synthetic.drawing.textures import TextureStore
from training.synthetic.splits import SPLITS

CENTRE = np.array([0.0, -0.06, 0.76])
CHIN = np.array([0.0, -0.15, 0.616])


def test_only_the_sets_for_training_have_shapes_of_their_own():
    assert {split for split in SPLITS if drawn_shells(split)} == {"train", "task"}
    train, task = drawn_shells("train"), drawn_shells("task")
    assert train == drawn_shells("train")
    assert len(train) == len(task) == sum(DRAWN.values())
    assert not {s.line for s in train if s.region == "scalp"} & {s.line for s in task}


@pytest.mark.parametrize("split", ["train", "task"])
def test_every_shape_covers_the_crown_and_leaves_the_face_free(split):
    crown, nose = np.array([[0.0, -0.03, 0.87]]), np.array([[0.0, -0.15, 0.70]])
    for shell in drawn_shells(split):
        assert 0.002 <= shell_thickness(shell, crown)[0] <= shell.thickness <= 0.035
        assert shell_thickness(shell, nose)[0] == 0


def test_a_split_chooses_among_its_own_and_everybodys():
    def garment(name, shell=None):
        empty = np.zeros((0, 3))
        return Garment(name, "hair", empty, empty, empty, empty, empty, 0, 0, 0.0, shell=shell)

    wardrobe = Wardrobe(TextureStore(), garment("body"), garment("eyes"))
    wardrobe.garments["crop"] = [garment("crop"), garment("mop")]  # mop: held by test
    shells = drawn_shells("train")
    wardrobe.drawn["train"] = [garment("drawn", shell) for shell in shells]
    chosen = [g.name for g in wardrobe.choices("crop", "train")]
    assert chosen == ["crop"] + ["drawn"] * DRAWN["crop"]
    assert [g.name for g in wardrobe.choices("crop", "test")] == ["mop"]
    covers = wardrobe.choices("cover", "train")
    assert len(covers) == DRAWN["cover"] + DRAWN["hood"]


@given(st.integers(0, 10**6))
def test_hair_never_sinks_into_the_skull(seed):
    rng = np.random.default_rng(seed)
    around = rng.normal(size=(200, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    hair = CENTRE + 0.1 * around
    hair = hair[hair[:, 2] > CHIN[2] + 0.05]
    moved = restyle(hair.astype(np.float32), CHIN, CENTRE, rng)
    grown = np.linalg.norm(moved - CENTRE, axis=1) - 0.1
    assert grown.min() > -0.00201 and grown.max() < 0.15
    assert grown.std() < 0.02  # waves, not spikes


def test_heads_differ_in_length_and_volume():
    lock = np.array([[0.0, 0.06, 0.85], [0.05, 0.06, 0.30]], np.float32)
    moved = np.array([restyle(lock, CHIN, CENTRE, np.random.default_rng(s)) for s in range(50)])
    assert np.ptp(moved[:, 0, 2]) > 0.01  # metres
    assert moved[:, 1, 2].min() < 0.28 and moved[:, 1, 2].max() > 0.42
