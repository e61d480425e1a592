# SPDX-License-Identifier: Apache-2.0
"""The tree of frames, against scipy's rotations and products of 4x4 matrices."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from hpe_vlm_ros.transforms import SECOND, Frames, TransformError

STILL = (0.0, 0.0, 0.0, 1.0)


def random_pose(generator):
    return generator.normal(size=3), Rotation.from_quat(generator.normal(size=4))


def matrix(translation, rotation):
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation.as_matrix(), translation
    return result


def test_chains_are_products_of_matrices():
    generator = np.random.default_rng(0)
    frames, in_map = Frames(), {"map": np.eye(4)}
    for child, parent in (("base", "map"), ("head", "base"), ("camera", "head"), ("door", "map")):
        translation, rotation = random_pose(generator)
        frames.put(parent, child, None, translation, rotation.as_quat())
        in_map[child] = in_map[parent] @ matrix(translation, rotation)
    for seen_from in in_map:
        for frame in in_map:
            expected = np.linalg.inv(in_map[seen_from]) @ in_map[frame]
            found = frames.place(frame, seen_from, 5 * SECOND)
            np.testing.assert_allclose(found.rotation, expected[:3, :3], atol=1e-12)
            np.testing.assert_allclose(found.translation, expected[:3, 3], atol=1e-12)


def test_between_two_stamps_it_is_slerp():
    generator = np.random.default_rng(1)
    (at0, turn0), (at1, turn1) = random_pose(generator), random_pose(generator)
    frames = Frames()
    frames.put("map", "camera", 2 * SECOND, at1, turn1.as_quat())  # out of order
    frames.put("map", "camera", 1 * SECOND, at0, turn0.as_quat())
    slerp = Slerp([1, 2], Rotation.concatenate([turn0, turn1]))
    for share in (0.0, 0.3, 1.0):
        found = frames.place("camera", "map", int((1 + share) * SECOND))
        np.testing.assert_allclose(found.rotation, slerp(1 + share).as_matrix(), atol=1e-9)
        np.testing.assert_allclose(found.translation, (1 - share) * at0 + share * at1)


def test_it_never_guesses_beyond_what_is_known():
    frames = Frames(keep=1.0)
    for stamp in range(5):
        frames.put("map", "camera", stamp * SECOND, np.zeros(3), STILL)
    with pytest.raises(TransformError, match="0.500 s after the newest"):
        frames.place("camera", "map", int(4.5 * SECOND))
    with pytest.raises(TransformError, match="before the oldest"):
        frames.place("camera", "map", int(2.5 * SECOND))
    frames.place("camera", "map", int(3.5 * SECOND))
    with pytest.raises(TransformError, match="no transform connects 'robot' to 'camera'"):
        frames.place("robot", "camera", 3 * SECOND)


def test_a_frame_in_itself_is_nowhere_else():
    found = Frames().place("camera", "camera", 0)
    np.testing.assert_array_equal(found.translation, 0)


def test_after_a_jump_of_time_what_never_moves_is_still_known():
    frames = Frames()
    frames.put("base", "camera", None, np.ones(3), STILL)
    frames.put("map", "base", 9 * SECOND, np.ones(3), STILL)
    frames.clear()
    assert frames.place("camera", "base", 0).translation.tolist() == [1, 1, 1]
    with pytest.raises(TransformError):
        frames.place("base", "map", 9 * SECOND)


def test_a_jump_back_in_time_is_noticed():
    frames = Frames(keep=10.0)
    for child in ("base", "arm"):
        frames.put("map", child, 100 * SECOND, np.ones(3), STILL)
    frames.put("map", "base", 5 * SECOND, np.zeros(3), STILL)
    assert frames.place("base", "map", 5 * SECOND).translation.tolist() == [0, 0, 0]
    with pytest.raises(TransformError):
        frames.place("arm", "map", 100 * SECOND)


def test_circles_and_nonsense_do_no_harm():
    frames = Frames()
    frames.put("a", "b", None, np.ones(3), STILL)
    frames.put("b", "a", None, np.ones(3), STILL)
    with pytest.raises(TransformError):
        frames.place("a", "elsewhere", 0)
    with pytest.raises(ValueError, match="quaternion"):
        frames.put("a", "c", None, np.ones(3), (0, 0, 0, 0))
    with pytest.raises(ValueError, match="not finite"):
        frames.put("a", "c", None, (np.nan, 0, 0), STILL)
    with pytest.raises(ValueError, match="itself"):
        frames.put("a", "a", None, np.ones(3), STILL)
