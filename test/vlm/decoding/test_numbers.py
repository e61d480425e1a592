# SPDX-License-Identifier: Apache-2.0
"""What the probabilities of a number say: means and spreads on the circle and on the line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import circmean, circstd, norm

from hpe_vlm_ros.vlm.decoding.numbers import (
    ROUNDING,
    UNIFORM,
    by_digits,
    circular_deviation,
    circular_mean,
    near_mean,
)


def bump(middle: float, width: float) -> np.ndarray:
    turn = (np.arange(360) - middle + 180) % 360 - 180
    return norm.pdf(turn, scale=width)


@given(st.floats(0, 360, exclude_max=True), st.floats(1, 30))
def test_a_gaussian_gives_its_own_mean_and_deviation(middle: float, width: float) -> None:
    weights = bump(middle, width)
    assert abs((circular_mean(weights) - middle + 180) % 360 - 180) < 0.01
    assert circular_deviation(weights) == pytest.approx(np.hypot(width, ROUNDING), rel=0.01)


def test_moments_agree_with_scipy_on_samples() -> None:
    rng = np.random.default_rng(1)
    weights = rng.random(360) * bump(350, 40)
    drawn = np.radians(rng.choice(360, 400_000, p=weights / weights.sum()))
    assert circular_mean(weights) == pytest.approx(np.degrees(circmean(drawn)), abs=0.5)
    assert circular_deviation(weights) == pytest.approx(np.degrees(circstd(drawn)), rel=0.01)


def test_the_mean_crosses_zero_and_falls_between_numbers() -> None:
    weights = np.zeros(360)
    weights[359], weights[0] = 1, 3
    assert circular_mean(weights) == pytest.approx(359.75, abs=1e-3)
    weights = np.zeros(360)
    weights[350], weights[20] = 1, 1
    assert circular_mean(weights) == pytest.approx(5.0)
    assert circular_deviation(weights) == pytest.approx(15, rel=0.02)


def test_extremes_stay_finite() -> None:
    certain = np.zeros(360)
    certain[7] = 0.3
    assert circular_mean(certain) == pytest.approx(7) and circular_deviation(certain) == ROUNDING
    assert circular_deviation(np.ones(360)) == UNIFORM
    opposite = np.zeros(360)
    opposite[[10, 190]] = 1
    assert circular_mean(opposite) == 10  # no direction: one of the two, never between


def test_one_peak_of_several() -> None:
    line = np.zeros(900)
    line[100], line[104], line[500] = 3, 1, 2.9
    assert near_mean(line, 100) == pytest.approx(101)
    assert near_mean(np.ones(5), 0) == pytest.approx(2)


def test_greedy_digits_are_not_always_the_likeliest_number() -> None:
    weights = np.zeros(360)
    weights[17], weights[200:300] = 0.3, 0.007
    weights[234] += 0.01
    assert weights.argmax() == 17 and by_digits(weights) == 234
    assert [by_digits(np.eye(360)[n]) for n in (0, 99, 305, 359)] == [0, 99, 305, 359]
