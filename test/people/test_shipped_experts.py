# SPDX-License-Identifier: Apache-2.0
"""The experts that come with the package, on motions that nobody can mistake."""

import numpy as np
import pytest
from moving import MOTIONS, nod, played, stamps

from hpe_vlm_ros.people.gestures.asking import judge_in
from hpe_vlm_ros.people.gestures.reader import GestureReader
from hpe_vlm_ros.vlm.model_folder import default_folder

JUDGE = judge_in(default_folder())


@pytest.mark.parametrize(("rate", "jitter"), [(10, 0), (60, 0), (30, 0.1), (10, 0.25), (6.5, 0)])
@pytest.mark.parametrize("name", MOTIONS)
def test_cameras_of_all_rates_tell_the_same(name, rate, jitter):
    events = played(GestureReader(JUDGE), MOTIONS[name], stamps(rate, jitter=jitter))
    assert JUDGE.name.startswith("signals-")
    assert [(g.name, g.ended) for g in events] == [(name, False), (name, True)]


def test_a_still_head_a_slow_turn_and_a_moved_photograph_do_nothing():
    rng = np.random.default_rng(1)
    still = played(GestureReader(JUDGE), lambda _: tuple(rng.normal(0, 1.5, 3)), stamps(10))
    slow = played(GestureReader(JUDGE), lambda time: (6 * time, 0, 0), stamps(10))
    assert still == slow == []


def test_a_slow_camera_says_nothing():
    assert played(GestureReader(JUDGE), nod, stamps(5)) == []
