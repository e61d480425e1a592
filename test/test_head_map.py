# SPDX-License-Identifier: Apache-2.0
"""What patches tell of heads: from a model's numbers to boxes in the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.head_map import HeadMap
from hpe_vlm_ros.refinement import LIKELY, Proposal, with_likely

SIZE = (240, 320)  # height, width


def map_of(*heads: tuple[float, float, float, float], sure: float = 3.0) -> HeadMap:
    """Of 20 x 20 patches: those whose middles lie in the middle of a box are sure of it."""
    values = np.zeros((20, 20, 5), np.float32)
    values[..., 0] = -8.0
    for x0, y0, x1, y1 in heads:
        for row in range(20):
            for column in range(20):
                x, y = (column + 0.5) * SIZE[1] / 20, (row + 0.5) * SIZE[0] / 20
                if abs(x - (x0 + x1) / 2) <= 8 and abs(y - (y0 + y1) / 2) <= 6:
                    edges = (x - x0) / 16, (y - y0) / 12, (x1 - x) / 16, (y1 - y) / 12
                    values[row, column] = sure, *edges
    return HeadMap.of(values.reshape(400, 5))


def test_old_models_tell_no_boxes():
    """Their exports give one number a patch."""
    for shape in ((9,), (9, 1)):
        old = HeadMap.of(np.arange(9, dtype=np.float32).reshape(shape))
        assert (old.logits == np.arange(9).reshape(3, 3)).all() and old.edges is None
        with pytest.raises(ValueError, match="no boxes"):
            old.boxes(SIZE)


@given(st.floats(10, 250), st.floats(10, 180), st.floats(17, 60), st.floats(13, 50))
def test_a_patch_tells_the_box_that_it_was_taught(x, y, width, height):
    box = (x, y, x + width, y + height)
    told = map_of(box)
    sure = told.probabilities > 0.5
    assert sure.any()
    np.testing.assert_allclose(told.boxes(SIZE)[sure], [box] * sure.sum(), atol=1e-3)


def test_boxes_are_cut_at_the_border():
    boxes = map_of((-20.0, -10.0, 20.0, 30.0), (300.0, 200.0, 400.0, 290.0)).boxes(SIZE)
    assert boxes.min() >= 0 and (boxes <= [320, 240, 320, 240]).all()


def test_heads_side_by_side_are_each_looked_at():
    """Their patches touch, so that a map without boxes has one peak for both."""
    heads = [(100.0, 100.0, 116.0, 118.0), (118.0, 100.0, 134.0, 118.0)]
    both = map_of(*heads)
    found = with_likely([], both, SIZE)
    np.testing.assert_allclose(sorted(one.box for one in found), heads, atol=1e-3)
    assert all(one.score == pytest.approx(1 / (1 + np.exp(-3.0))) for one in found)
    assert len(with_likely([], HeadMap(both.logits), SIZE)) < 4


def test_what_is_named_is_not_looked_at_twice():
    head, other = (100.0, 60.0, 160.0, 140.0), (200.0, 60.0, 260.0, 140.0)
    named = [Proposal(head, 0.1)]
    found = with_likely(named, map_of(head, other), SIZE)
    assert found[0] == named[0] and len(found) == 2
    assert with_likely(named, map_of(head), SIZE) == named == with_likely(named, None, SIZE)


def test_what_is_unlikely_is_left_alone():
    logit = np.log(LIKELY / (1 - LIKELY))
    head = (100.0, 60.0, 160.0, 140.0)
    assert with_likely([], map_of(head, sure=logit - 0.01), SIZE) == []
    assert len(with_likely([], map_of(head, sure=logit + 0.01), SIZE)) == 1


@given(st.integers(0, 2**32 - 1))
def test_any_numbers_give_boxes_within_the_picture(seed):
    values = np.random.default_rng(seed).normal(0, 30, (400, 5))
    for one in with_likely([], HeadMap.of(values), SIZE):
        x0, y0, x1, y1 = one.box
        assert 0 <= x0 < x1 <= 320 and 0 <= y0 < y1 <= 240 and LIKELY <= one.score <= 1
