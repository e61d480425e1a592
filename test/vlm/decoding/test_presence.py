# SPDX-License-Identifier: Apache-2.0
"""Scores that hear the tower's read-out, and the read-out in both runtimes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.vlm.decoding.presence import ScoreWeights, features, presence_in

MAP = np.full((4, 4), -5.0, np.float32)
MAP[1, 2] = 3.0  # rows, columns: the quarter 500..750 across, 250..500 down


def test_the_surest_patch_in_the_middle_counts():
    assert presence_in((500, 250, 749, 499), MAP) == 3.0
    assert presence_in((0, 0, 249, 249), MAP) == -5.0
    assert presence_in((250, 0, 999, 999), MAP) == 3.0
    assert presence_in((620, 370, 621, 371), MAP) == 3.0  # smaller than a patch


coordinate = st.integers(0, 999)


@given(st.tuples(coordinate, coordinate, coordinate, coordinate), st.floats(0, 1))
def test_any_box_has_a_finite_score(box, text):
    (score,) = ScoreWeights(1.0, 0.5, 0.1, -0.2, -0.3, 0.4).scores([text], [box], MAP)
    assert 0 <= score <= 1


def test_a_score_is_a_logistic_regression():
    box = (500, 250, 749, 499)
    weights = ScoreWeights(text=0.5, presence=0.25, log_area=0.1, offset=-1.0)
    (score,) = weights.scores([0.8], [box], MAP)
    area = (249 / 1000) ** 2
    expected = 0.5 * math.log(0.8 / 0.2) + 0.25 * 3.0 + 0.1 * math.log(area) - 1.0
    assert score == pytest.approx(1 / (1 + math.exp(-expected)))
    assert features([0.8], [box], MAP).shape == (1, 6)
    assert weights.scores([], [], MAP) == []


def test_what_config_says_is_read_or_refused():
    assert ScoreWeights.read(None) is None
    assert ScoreWeights.read({"text": 2, "offset": -1.5}) == ScoreWeights(text=2, offset=-1.5)
    for wrong in ({"tekst": 1}, {"text": "1"}, {"text": float("nan")}, {"presence": True}):
        with pytest.raises(ValueError, match="score_weights"):
            ScoreWeights.read(wrong)
