# SPDX-License-Identifier: Apache-2.0
"""Colours tell people apart; they neither see shapes nor need all of a person."""

import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.people.tracking import Observation, Tracker
from hpe_vlm_ros.people.tracking.colours import blended, colours_of, difference

SKIN, RED, BLUE = (200, 150, 120), (180, 20, 20), (20, 20, 180)
SIDE = 40


def scene(*people):
    """People as a head of skin above clothes: (x of the middle, colour of the clothes)."""
    rgb = np.full((240, 320, 3), 90, np.uint8)
    for x, clothes in people:
        left = max(0, x - SIDE // 2)
        rgb[60 : 60 + SIDE, left : x + SIDE // 2] = SKIN
        rgb[60 + SIDE : 60 + 3 * SIDE, max(0, x - SIDE) : x + SIDE] = clothes
    return rgb


def box(x):
    return (x - SIDE / 2, 60.0, x + SIDE / 2, 60.0 + SIDE)


def seen(rgb, x, score=0.9):
    return Observation(box(x), rotation_from_angles(0, 0, 0), score, None, colours_of(rgb, box(x)))


def test_the_same_person_elsewhere_and_another_one():
    rgb = scene((80, RED), (240, BLUE))
    left, right = colours_of(rgb, box(80)), colours_of(rgb, box(240))
    moved = colours_of(scene((120, RED)), box(120))
    assert left.sum(1) == pytest.approx([1, 1])
    assert difference(left, moved) == pytest.approx(0, abs=1e-6)
    assert difference(left, right) == pytest.approx(0.65, abs=0.01)  # the heads are alike


def test_what_is_not_in_the_image_says_nothing():
    rgb = scene((80, RED))
    outside = colours_of(rgb, (-90.0, 10.0, -50.0, 50.0))
    assert not outside.any() and difference(outside, outside) is None
    below = colours_of(rgb[:102], box(80))  # the clothes are beyond the border
    assert below[0].any() and not below[1].any()
    assert difference(below, colours_of(rgb, box(80))) == pytest.approx(0.65 * 0.2, abs=0.01)
    assert difference(None, outside) is None
    np.testing.assert_array_equal(blended(below, colours_of(rgb, box(80)), 0.5)[1].sum(), 1.0)


def test_people_who_turn_round_behind_each_other_keep_their_ids_by_colour():
    """They meet, one box stands for both, and each goes back where it came from."""
    tracker, stamp = Tracker(), 0
    for k in range(15):
        gap = max(0, abs(7 - k) - 1) * 24
        left, right = 160 - gap // 2 - 12, 160 + gap // 2 + 12
        rgb = scene((left, RED), (right, BLUE))
        stamp += 10**8
        places = [left, right] if gap > 40 else [left]
        found = [seen(rgb, x) for x in places]
        heads = tracker.update(stamp, found)
        if k == 4:
            before = [h.id for h in heads]
    after = [h.id for h in heads]
    assert all(before) and len(before) == 2
    assert after == before
