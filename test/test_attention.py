# SPDX-License-Identifier: Apache-2.0
"""Angles by hand and by construction, the score against sampling, and hysteresis."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.special import chndtr

from hpe_vlm_ros.attention import Judge, gaze_angle, gaze_deviation, looking_probability
from hpe_vlm_ros.geometry import rotation_from_angles


@pytest.mark.parametrize(
    ("yaw", "sellion", "target", "degrees"),
    [
        (0, (0, 0, 2), (0, 0, 0), 0),  # in front of the camera, looking at it
        (180, (0, 0, 2), (0, 0, 0), 180),  # the back of a head
        (0, (2, 0, 2), (0, 0, 0), 45),  # straight ahead, so past the camera
        (45, (2, 0, 2), (0, 0, 0), 0),  # at the right border, nose to the left: at the camera
        (-45, (2, 0, 2), (0, 0, 0), 90),
        (90, (0, 0, 2), (-3, 0, 2), 0),  # a profile that looks at somebody to its side
        (0, (0, 0, 2), (0, 1, 0), math.degrees(math.atan(0.5))),  # a target below the camera
    ],
)
def test_angles_by_hand(yaw, sellion, target, degrees):
    angle = gaze_angle(rotation_from_angles(yaw, 0, 0), sellion, target)
    assert math.degrees(angle) == pytest.approx(degrees, abs=1e-5)


@given(st.integers(0, 10**6))
def test_turning_everything_together_changes_no_angle(seed):
    generator = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed % 1000).as_matrix()
    head = Rotation.random(random_state=seed % 999 + 1).as_matrix()
    sellion, target = generator.normal(size=(2, 3))
    before = gaze_angle(head, sellion, target)
    assert gaze_angle(turn @ head, turn @ sellion, turn @ target) == pytest.approx(before, abs=1e-6)


def test_what_is_not_known_stays_unknown():
    nowhere = np.full(3, math.nan)
    assert math.isnan(gaze_angle(np.eye(3), nowhere, np.zeros(3)))
    assert math.isnan(gaze_angle(np.eye(3), np.ones(3), np.ones(3)))
    judge = Judge()
    gaze = judge("h0001", "robot", math.nan)
    assert not gaze.looking and math.isnan(gaze.score)
    assert gaze_deviation(np.eye(3), np.zeros((3, 3))) is None
    assert gaze_deviation(np.eye(3), np.full((3, 3), math.nan)) is None


@pytest.mark.parametrize(("angle", "deviation"), [(0.0, 10), (10, 10), (25, 10), (40, 25), (5, 2)])
def test_the_score_is_the_share_of_samples_within_the_limit(angle, deviation):
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(200_000, 2)) * deviation + [angle, 0]
    share = (np.linalg.norm(samples, axis=1) <= 15).mean()
    score = looking_probability(*map(math.radians, (angle, deviation, 15)))
    assert score == pytest.approx(share, abs=0.005)


@given(
    angle=st.floats(0.001, math.pi),  # scipy errs by 5e-5 at angles whose square is no number
    deviation=st.floats(math.radians(0.5), 1.0),
    limit=st.floats(math.radians(1), 1.5),
)
def test_the_score_is_the_library_s_non_central_chi_squared(angle, deviation, limit):
    expected = chndtr((limit / deviation) ** 2, 2, (angle / deviation) ** 2)
    if angle > limit + 8 * deviation:  # where the library's series underflows
        expected = 0.0
    assert looking_probability(angle, deviation, limit) == pytest.approx(expected, abs=1e-8)


def test_the_score_falls_with_the_angle_and_stays_within_its_bounds():
    scores = [looking_probability(a, 0.02, 0.26) for a in np.linspace(0, math.pi, 100)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1) and scores[-1] == 0


def test_turning_about_the_gaze_itself_does_not_blur_it():
    about_gaze = np.diag([0.0, 0.0, 1.0])  # a frontal head's gaze runs along the optical z
    assert gaze_deviation(np.eye(3), about_gaze) == pytest.approx(math.radians(0.5))
    about_up = np.diag([0.0, 0.02, 0.0])
    assert gaze_deviation(np.eye(3), about_up) == pytest.approx(0.1)


def test_hysteresis():
    judge = Judge(limit=15, hysteresis=5)
    seen = [judge("h0001", "robot", math.radians(a)).looking for a in (16, 14, 18, 19.9, 21, 18)]
    assert seen == [False, True, True, True, False, False]
    assert judge("h0001", "door", math.radians(10)).looking, "each target for itself"
    assert not judge("h0002", "door", math.radians(18)).looking, "each head for itself"


def test_hysteresis_ends_with_the_head_and_with_what_is_unknown():
    judge = Judge()
    border = math.radians(18)

    def look():
        assert judge("h0001", "robot", 0.0).looking
        assert judge("h0001", "robot", border).looking

    look()
    judge.keep(["h0002"])
    assert not judge("h0001", "robot", border).looking
    look()
    judge("h0001", "robot", math.nan)
    assert not judge("h0001", "robot", border).looking
    look()
    judge.forget()
    assert not judge("h0001", "robot", border).looking
    judge("", "robot", 0.0)
    assert not judge("", "robot", border).looking, "heads without an id were taken for one"
