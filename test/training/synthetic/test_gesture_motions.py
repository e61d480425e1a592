# SPDX-License-Identifier: Apache-2.0
"""Motions of heads, and windows of poses made of them."""

from itertools import islice

import numpy as np
import pytest

from training.synthetic.gestures import (
    AXES,
    FAST_TURN,
    NOD,
    NONE,
    SHAKE,
    TURN,
    Gesture,
    Script,
    random_gesture,
    random_script,
)
from training.synthetic.pose_windows import windows

STILL = np.zeros((3, 1, 3))


def times(seconds=8.0, rate=50.0):
    return np.arange(0, seconds, 1 / rate)


def test_a_nod_swings_about_one_axis_and_comes_back():
    script = Script((Gesture(NOD, 2.0, 4.0, -10.0, cycles=3.0),), STILL)
    angles = script.angles(times())
    pitch = angles[:, 1]
    assert pitch[times() < 2].max() == pytest.approx(0)
    assert np.abs(pitch[times() > 4.1]).max() == pytest.approx(0, abs=1e-9)
    assert -10 <= pitch.min() < -6 and 6 < pitch.max() <= 10
    assert pitch[(times() > 2) & (times() < 2.3)].min() < -4  # the first movement is down
    crossings = np.diff(np.sign(pitch[(times() > 2.05) & (times() < 3.95)])) != 0
    assert 4 <= crossings.sum() <= 6
    assert np.abs(angles[:, [0, 2]]).max() < 2


def test_a_turn_goes_and_may_come_back():
    gesture = Gesture(TURN, 1.0, 1.5, 40.0, hold=2.0)
    angle = gesture.angle(times())
    assert angle[times() < 1].max() == 0
    assert angle[(times() > 1.6) & (times() < 3.4)].min() == pytest.approx(40.0)
    assert angle[times() > 4.1].max() == pytest.approx(0.0)
    assert gesture.spans() == [(1.0, 1.5), (3.5, 4.0)]
    labels = Script((gesture,), STILL).labels(np.array([0.5, 1.2, 2.5, 3.7, 5.0]))
    assert labels.tolist() == [NONE, TURN, NONE, TURN, NONE]


def test_random_gestures_are_what_their_names_say():
    rng = np.random.default_rng(0)
    for kind in AXES:
        for _ in range(200):
            one = random_gesture(rng, kind, 3.0)
            span = one.end - one.start
            assert span > 0 and one.start == 3.0
            if kind in (NOD, SHAKE):
                assert 0.9 <= one.cycles / span <= 3.7
                assert 2.4 <= abs(one.amplitude) <= 22.0
            if kind == TURN:
                assert abs(one.amplitude) / span >= FAST_TURN - 1e-6


def test_scripts_depend_on_their_seed_alone():
    one, other, third = (random_script(np.random.default_rng(s), 8.0) for s in (4, 4, 5))
    assert np.array_equal(one.angles(times()), other.angles(times()))
    assert not np.array_equal(one.angles(times()), third.angles(times()))
    assert not random_script(np.random.default_rng(4), 8.0, busy=0.0).gestures


def test_windows_hold_every_kind_and_stay_within_bounds():
    errors = [np.random.default_rng(1).normal(0, 1, (60, 5)) * [3, 2, 2, 0.01, 0.01]]
    drawn = list(islice(windows(np.random.default_rng(3), errors), 400))
    labels = np.stack([window.labels for window in drawn])
    values = np.stack([window.values for window in drawn])
    assert labels.shape == (400, 20) and values.shape == (400, 20, 5)
    assert np.isfinite(values).all()
    assert np.allclose(values.mean(1), 0, atol=1e-9)
    counts = np.bincount(labels[:, -1], minlength=6)
    assert counts.min() > 8 and 0.2 < counts[NONE] / len(drawn) < 0.7


def test_heads_that_shake_move():
    drawn = islice(windows(np.random.default_rng(8)), 300)
    yaw = [np.abs(w.values[:, 0]).max() for w in drawn if w.labels[-1] == SHAKE]
    assert len(yaw) > 20 and np.median(yaw) > 4.0
