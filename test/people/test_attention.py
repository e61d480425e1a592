# SPDX-License-Identifier: Apache-2.0
"""Angles by hand and by construction, the score against sampling, and hysteresis."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.spatial.transform import Rotation
from scipy.special import chndtr, ndtr

from hpe_vlm_ros.geometry import gaze_rotation, rotation_from_angles, rotation_from_vector
from hpe_vlm_ros.people.attention import (
    Judge,
    gaze_angle,
    gaze_covariance,
    gaze_offset,
    looking_probability,
)

UNKNOWN = np.full(2, math.nan)


def aside(degrees):
    return math.radians(degrees), 0.0


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
    gaze = judge("h0001", "robot", UNKNOWN)
    assert not gaze.looking and math.isnan(gaze.score)
    assert gaze_covariance(np.eye(3), np.zeros((3, 3))) is None
    assert gaze_covariance(np.eye(3), np.full((3, 3), math.nan)) is None


@given(st.integers(0, 10**6))
def test_an_offset_says_how_the_gaze_must_turn(seed):
    generator = np.random.default_rng(seed)
    head = Rotation.random(random_state=seed % 1000).as_matrix()
    sellion, target = generator.normal(size=(2, 3))
    x, y = gaze_offset(head, sellion, target)
    gaze = gaze_rotation(head)
    # along x by a turn about y, along y by one about x the other way round
    turned = rotation_from_vector(gaze @ [-y, x, 0.0]) @ head
    assert gaze_angle(turned, sellion, target) == pytest.approx(0, abs=1e-6)


@given(st.integers(0, 10**6))
def test_the_covariance_is_that_of_offsets_of_turned_heads(seed):
    generator = np.random.default_rng(seed)
    head = Rotation.random(random_state=seed % 1000).as_matrix()
    sellion = generator.normal(size=3)
    target = sellion + gaze_rotation(head)[:, 2]  # straight ahead, where planes are exact
    factor, step = generator.normal(size=(3, 3)), 1e-4
    moved = [
        gaze_offset(rotation_from_vector(step * axis) @ head, sellion, target) / -step
        for axis in np.eye(3)
    ]
    expected = np.transpose(moved) @ factor @ factor.T @ np.array(moved)
    assert gaze_covariance(head, factor @ factor.T) == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize(
    ("offset", "deviations"),
    [
        ((0, 0), (10, 10)),
        ((10, 0), (10, 10)),
        ((25, 0), (10, 3)),
        ((0, 25), (10, 3)),
        ((5, -18), (25, 10)),
        ((3, 4), (2, 2)),
    ],
)
def test_the_score_is_the_share_of_samples_within_the_limit(offset, deviations):
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(200_000, 2)) * deviations + offset
    share = (np.linalg.norm(samples, axis=1) <= 15).mean()
    covariance = np.diag(np.radians(deviations) ** 2)
    score = looking_probability(np.radians(offset), covariance, math.radians(15))
    assert score == pytest.approx(share, abs=0.005)


LIMITS = st.floats(math.radians(1), 1.5)
DEVIATIONS = st.floats(math.radians(0.5), 1.0)
DIRECTIONS = st.floats(-math.pi, math.pi)


@given(
    angle=st.floats(0.001, math.pi),  # scipy errs by 5e-5 at angles whose square is no number
    direction=DIRECTIONS,
    deviation=DEVIATIONS,
    limit=LIMITS,
)
def test_the_score_of_a_round_spread_is_the_non_central_chi_squared(
    angle, direction, deviation, limit
):
    expected = chndtr((limit / deviation) ** 2, 2, (angle / deviation) ** 2)
    if angle > limit + 8 * deviation:  # where the library's series underflows
        expected = 0.0
    offset = angle * np.array([math.cos(direction), math.sin(direction)])
    score = looking_probability(offset, deviation**2 * np.eye(2), limit)
    assert score == pytest.approx(expected, abs=1e-8)


@example((1.5, 0.0), (math.radians(0.5), math.radians(0.5)), 2.5, 1.5)  # round but for rounding
@given(
    offset=st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)),
    deviations=st.tuples(DEVIATIONS, DEVIATIONS),
    direction=DIRECTIONS,
    limit=LIMITS,
)
def test_the_score_of_an_oval_is_the_library_s_integral(offset, deviations, direction, limit):
    (first, second), (x, y) = deviations, offset

    def strip(t):  # across the first axis, whichever is the longer; the ends as the library's
        half = limit * math.cos(t)
        share = ndtr((half - y) / second) - ndtr((-half - y) / second)
        return math.exp(-0.5 * ((limit * math.sin(t) - x) / first) ** 2) * share * half

    sine = min(1.0, max(-1.0, x / limit))
    expected = quad(strip, -math.pi / 2, math.pi / 2, points=[math.asin(sine)], limit=500)[0]
    turn = Rotation.from_euler("z", direction).as_matrix()[:2, :2]
    covariance = turn @ np.diag(np.square(deviations)) @ turn.T
    score = looking_probability(turn @ offset, covariance, limit)
    assert score == pytest.approx(expected / first / math.sqrt(2 * math.pi), abs=1e-4)


def test_the_score_falls_with_the_angle_and_stays_within_its_bounds():
    covariance = np.diag([0.02, 0.03]) ** 2
    scores = [looking_probability((a, 0), covariance, 0.26) for a in np.linspace(0, math.pi, 100)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1) and scores[-1] == 0


def test_turning_about_the_gaze_itself_does_not_blur_it():
    about_gaze = np.diag([0.0, 0.0, 1.0])  # a frontal head's gaze runs along the optical z
    across = gaze_covariance(np.eye(3), about_gaze)
    assert across == pytest.approx(np.zeros((2, 2)), abs=1e-12)
    inside, outside = ((math.radians(degrees), 0) for degrees in (12, 18))
    assert looking_probability(inside, across, math.radians(15)) == pytest.approx(1, abs=1e-6)
    assert looking_probability(outside, across, math.radians(15)) == pytest.approx(0, abs=1e-6)


def test_a_head_unsure_of_its_pitch_may_look_higher_but_not_aside():
    nodding = gaze_covariance(np.eye(3), np.diag([math.radians(20) ** 2, 1e-4, 1e-4]))
    above, aside = np.radians([(0, -25), (25, 0)])
    limit = math.radians(15)
    assert looking_probability(above, nodding, limit) > 0.2
    assert looking_probability(aside, nodding, limit) < 1e-6


def test_hysteresis():
    judge = Judge(limit=15, hysteresis=5)
    looking = [judge("h0001", "robot", aside(a)).looking for a in (16, 14, 18, 19.9, 21, 18)]
    assert looking == [False, True, True, True, False, False]
    assert judge("h0001", "door", aside(10)).looking, "each target for itself"
    assert not judge("h0002", "door", aside(18)).looking, "each head for itself"


def test_hysteresis_ends_with_the_head_and_with_what_is_unknown():
    judge = Judge()
    border = aside(18)

    def look():
        assert judge("h0001", "robot", aside(0)).looking
        assert judge("h0001", "robot", border).looking

    look()
    judge.keep(["h0002"])
    assert not judge("h0001", "robot", border).looking
    look()
    judge("h0001", "robot", UNKNOWN)
    assert not judge("h0001", "robot", border).looking
    look()
    judge.forget()
    assert not judge("h0001", "robot", border).looking
    judge("", "robot", aside(0))
    assert not judge("", "robot", border).looking, "heads without an id were taken for one"
