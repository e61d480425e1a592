# SPDX-License-Identifier: Apache-2.0
"""What the stamps of a camera's images say about those that never came."""

from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.nodes.arrivals import Arrivals, share_lost
from hpe_vlm_ros.nodes.health import judge
from hpe_vlm_ros.nodes.statistics import Statistics

PERIOD = 33_333_333  # nanoseconds


class Ticking:
    now = 0.0

    def __call__(self):
        return self.now


def stamps(kept, jitter, seed, period=PERIOD):
    """Of those images of ten seconds at 30 Hz that are kept."""
    noise = np.random.default_rng(seed).normal(0, jitter * period, len(kept))
    return [int(k * period + e) for k, e in zip(np.flatnonzero(kept), noise, strict=False)]


@pytest.mark.parametrize("jitter", [0.0, 0.03])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4])
def test_random_losses_of_most_images_are_seen(share, jitter):
    seeds = range(200)
    kept = [np.random.default_rng(seed).random(300) < share for seed in seeds]
    known = np.array(
        [share_lost(stamps(k, jitter, s), 0, 0) for k, s in zip(kept, seeds, strict=True)]
    )
    assert (known > 0.5).mean() > 0.9
    assert np.median(known) == pytest.approx(1 - share, abs=0.05)


def test_a_camera_that_slows_down_in_the_dark_loses_nothing_for_long():
    clock, worst = Ticking(), 0.0
    arrivals = Arrivals(clock)
    for period in [1 / 30] * 300 + [1 / 10] * 200:
        clock.now += period
        arrivals.image(int(clock.now * 1e9))
        worst = max(worst, arrivals.losing()[1])
    assert worst < 2


@given(st.floats(0.85, 1.0), st.floats(0, 0.1), st.integers(0, 999))
def test_a_camera_of_which_few_get_lost_is_not_suspected(share, jitter, seed):
    kept = np.random.default_rng(seed).random(300) < share
    assert share_lost(stamps(kept, jitter, seed), 0, 0) < 0.5


@given(st.integers(2, 30), st.integers(0, 300))
def test_a_stream_that_is_thinned_out_loses_nothing(factor, infos):
    kept = np.arange(300) % factor == 0
    assert share_lost(stamps(kept, 0, 0), infos, 0) == 0


def test_bursts_with_pauses_lose_nothing():
    burst = [k * PERIOD for k in range(20)]
    times = [t + pause * 10**9 for pause in (0, 4, 7) for t in burst]
    assert share_lost(times, len(times), 0) == 0


def test_calibrations_without_an_image_speak_for_losses():
    kept = np.random.default_rng(0).random(300) < 0.02
    assert share_lost(stamps(kept, 0.01, 0), 300, 0) == pytest.approx(1 - kept.mean(), abs=0.01)


def test_what_the_middleware_counts_is_believed():
    assert share_lost([0], 0, 9) == 0.9
    assert share_lost([], 0, 0) == share_lost([], 3, 0) == 0.0
    assert share_lost([], 30, 0) == 1.0


@given(st.lists(st.integers(0, 10**10), max_size=40), st.integers(0, 50), st.integers(0, 50))
def test_it_is_a_share_whatever_comes(times, infos, lost):
    assert 0 <= share_lost(times, infos, lost) <= 1


def test_how_long_images_have_come_without_an_answer():
    clock = Ticking()
    arrivals = Arrivals(clock)
    assert arrivals.silence() == float("inf") and arrivals.unanswered() == 0
    for clock.now in (1.0, 2.0, 3.0):
        arrivals.image(0)
        arrivals.dropped("encoding", "no such encoding")
    assert arrivals.unanswered() == 2.0 and arrivals.reason == "no such encoding"
    arrivals.answered(0.3)
    assert arrivals.unanswered() == 0 and arrivals.reason == "" and arrivals.latency == 0.3
    arrivals.image(0)
    clock.now = 60.0  # a pause is no time in which images came
    arrivals.image(0)
    assert arrivals.unanswered() == 0
    clock.now = 61.0
    assert arrivals.unanswered() == 1.0


def test_for_how_long_most_images_have_been_lost():
    clock = Ticking()
    arrivals = Arrivals(clock)
    for second in range(30):
        clock.now = float(second)
        arrivals.image(second * 10**9)
        arrivals.lost(0 if second < 15 else 9)
        share, since = arrivals.losing()
        if second < 15:
            assert (share, since) == (0, 0)
    assert share == pytest.approx(0.9, abs=0.02) and since == pytest.approx(12, abs=3)
    clock.now += 20
    assert arrivals.losing()[1] == 0


@pytest.mark.parametrize(("publishers", "gravest"), [(1, "ERROR"), (0, "WARN")])
def test_where_nothing_but_calibrations_arrive_images_get_lost_if_anybody_sends_them(
    publishers, gravest
):
    clock, said = Ticking(), []
    camera = SimpleNamespace(
        arrivals=Arrivals(clock),
        statistics=Statistics(clock),
        qos_mismatch="",
        topic="image_raw",
        offers=lambda: publishers,
    )
    for _ in range(150):
        clock.now += 0.1
        camera.arrivals.info(int(clock.now * 1e9))
        said.append((clock.now, *judge(camera, 0.1)))
    levels = [level for _, level, _ in said]
    assert set(levels) - {DiagnosticStatus.WARN} == (
        {DiagnosticStatus.ERROR} if gravest == "ERROR" else set()
    )
    assert all(("config/fastdds.xml" in text) == bool(publishers) for *_, text in said)
    if publishers:
        since = next(now for now, level, _ in said if level == DiagnosticStatus.ERROR)
        assert since == pytest.approx(11, abs=1)
