# SPDX-License-Identifier: Apache-2.0
"""The filter against scipy's rotations, against brute-force integration, and by its promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import geodesic_degrees, rotation_from_vector, rotation_vector
from hpe_vlm_ros.people.tracking.motion import ROTATIONS, VECTORS, Motion, at_rest

turns = st.tuples(*[st.floats(-1.8, 1.8)] * 3)


@given(turns)
def test_rotation_vectors_agree_with_scipy(vector):
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(rotation_from_vector(vector), expected, atol=1e-12)
    np.testing.assert_allclose(
        rotation_vector(expected), Rotation.from_matrix(expected).as_rotvec(), atol=1e-7
    )


def test_a_step_is_the_sum_of_small_ones():
    motion = Motion(speed=2.0, memory=0.7)
    start = at_rest(VECTORS, np.array([1.0]), np.array([[0.3]]), motion)
    start = start.corrected(np.array([2.0]), np.array([[0.1]]), 9.0)
    once = start.after(1.3, motion)
    many = start
    for _ in range(1300):
        many = many.after(1e-3, motion)
    np.testing.assert_allclose(once.covariance, many.covariance, rtol=1e-3)
    np.testing.assert_allclose(once.value, many.value)


def test_the_process_noise_is_that_of_the_simulated_process():
    """Euler-Maruyama of v' = -v / memory + noise, from rest: nothing of the closed form in it."""
    speed, memory, seconds, steps = 1.5, 0.6, 0.9, 900
    generator = np.random.default_rng(0)
    dt = seconds / steps
    value, velocity = np.zeros(20000), np.zeros(20000)
    for _ in range(steps):
        value += velocity * dt
        kick = generator.normal(size=20000) * speed * np.sqrt(2 * dt / memory)
        velocity += -velocity / memory * dt + kick
    motion = Motion(speed, memory)
    still = at_rest(VECTORS, np.zeros(1), np.zeros((1, 1)), Motion(0.0, memory))
    np.testing.assert_allclose(
        still.after(seconds, motion).covariance, np.cov(value, velocity), rtol=0.05
    )


def test_uncertainty_grows_and_the_velocity_dies():
    motion = Motion(1.0, 0.7)
    state = at_rest(VECTORS, np.zeros(2), np.eye(2) * 0.01, motion)
    state = state.after(0.2, motion).corrected(np.array([0.4, 0.0]), np.eye(2) * 0.01, 99.0)
    spreads = [np.trace(state.after(t, motion).value_covariance) for t in (0, 0.1, 0.5, 2, 10)]
    assert spreads == sorted(spreads) and spreads[-1] > 10 * spreads[0]
    far, farther = (state.after(t, motion).value[0] for t in (20.0, 40.0))
    assert far == pytest.approx(farther) and far > state.value[0] > 0.2


def test_time_does_not_run_backwards():
    state = at_rest(VECTORS, np.zeros(1), np.eye(1), Motion(1.0, 1.0))
    with pytest.raises(ValueError, match="backwards"):
        state.after(-0.1, Motion(1.0, 1.0))


def test_one_wild_answer_bends_little_and_many_turn_it():
    noise = np.eye(3) * np.radians(10) ** 2
    motion = Motion(np.radians(60), 0.7)
    state = at_rest(ROTATIONS, np.eye(3), noise, motion)
    for _ in range(20):
        state = state.after(0.1, motion).corrected(np.eye(3), noise, 7.8)
    flipped = rotation_from_vector([0, np.pi - 0.1, 0])
    once = state.after(0.1, motion).corrected(flipped, noise, 7.8)
    assert geodesic_degrees(once.value, np.eye(3)) < 30
    for _ in range(15):
        once = once.after(0.1, motion).corrected(flipped, noise, 7.8)
    assert geodesic_degrees(once.value, flipped) < 30


@settings(max_examples=20, deadline=None)
@given(turns)
def test_the_filter_does_not_care_how_the_camera_is_turned(vector):
    """Rotating every measurement rotates the result: no axis, and so no Euler angle, is special."""
    frame = rotation_from_vector(vector)
    generator = np.random.default_rng(1)
    noise = np.eye(3) * 0.05
    motion = Motion(1.0, 0.7)
    plain = at_rest(ROTATIONS, np.eye(3), noise, motion)
    turned = at_rest(ROTATIONS, frame, noise, motion)
    for _ in range(5):
        measured = rotation_from_vector(generator.normal(size=3) * 0.4)
        plain = plain.after(0.2, motion).corrected(measured, noise, 7.8)
        turned = turned.after(0.2, motion).corrected(frame @ measured, noise, 7.8)
    np.testing.assert_allclose(turned.value, frame @ plain.value, atol=1e-9)


def test_stated_covariance_is_that_of_the_errors():
    """Heads that move as modelled, measured as modelled, at uneven times: errors fit in sigma."""
    generator = np.random.default_rng(2)
    sigma, motion = 0.2, Motion(1.0, 0.7)
    noise = np.eye(3) * sigma**2
    distances = []
    for _ in range(60):
        truth, velocity = rotation_from_vector(generator.normal(size=3)), generator.normal(size=3)
        first = rotation_from_vector(generator.normal(size=3) * sigma) @ truth
        state = at_rest(ROTATIONS, first, noise, motion)
        for _ in range(12):
            dt = generator.uniform(0.02, 0.4)
            for _ in range(20):
                truth = rotation_from_vector(velocity * dt / 20) @ truth
                a = np.exp(-dt / 20 / motion.memory)
                velocity = a * velocity + np.sqrt(1 - a * a) * generator.normal(size=3)
            measured = rotation_from_vector(generator.normal(size=3) * sigma) @ truth
            state = state.after(dt, motion).corrected(measured, noise, 1e9)
        error = rotation_vector(truth @ state.value.T)
        distances.append(error @ np.linalg.solve(state.value_covariance, error))
    assert 2.3 < np.mean(distances) < 3.8  # 3 expected; the mean of 60 strays by 0.32
