# SPDX-License-Identifier: Apache-2.0
"""Labels from landmarks against SciPy's fit and the silhouette of a sphere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import angles_from_rotation
from training.data.readers.common import NoLabel
from training.data.readers.landmarks import (
    REFERENCE_FACE,
    SPHERE_CENTRE,
    SPHERE_RADIUS,
    Lens,
    fit_similarity,
    label_head,
    project,
)

LENS = Lens(np.array([[1400.0, 0, 960], [0, 1400, 540], [0, 0, 1]]), (1920, 1080))


def silhouette(centre, radius, lens):
    """Box of a sphere: each edge is a plane through the camera that touches it."""
    box = []
    for axis in (0, 1):
        distance = np.hypot(centre[axis], centre[2])
        middle, half = np.arctan2(centre[axis], centre[2]), np.arcsin(radius / distance)
        tangents = np.tan([middle - half, middle + half])
        box.append(lens.matrix[axis, axis] * tangents + lens.matrix[axis, 2])
    (x0, x1), (y0, y1) = box
    return np.array([x0, y0, x1, y1])


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (30, 20, -10), (-75, -40, 25), (120, 30, 40), (-178, 5, -60), (180, 0, 0)]
)
def test_angles_and_box_of_a_placed_face(angles, face_points, head_matrix):
    place, scale = np.array([0.3, -0.2, 2.5]), 0.01
    head = label_head(face_points(angles, place, scale), REFERENCE_FACE, LENS)
    assert angles_from_rotation(head.rotation) == pytest.approx(angles, abs=1e-6)
    to_head = np.array(SPHERE_CENTRE) * (1, -1, -1)  # y and z of the face are opposite
    centre = place + scale * head_matrix(*angles) @ to_head
    box = silhouette(centre, scale * SPHERE_RADIUS, LENS)
    # the sphere is sampled every 10 degrees: at most r (1 - cos 8) inside, here 1.5 pixels
    assert np.all(head.box[:2] >= np.floor(box[:2])) and np.all(head.box[2:] <= box[2:])
    assert np.abs(head.box - box).max() < 3
    assert np.array_equal(head.box, head.box.round())


def test_the_nose_points_where_the_convention_says(face_points):
    """Yaw 90: the nose points to the image's left, so all of the face is left of the origin."""
    points = face_points((90, 0, 0), np.array([0, 0, 3.0]))
    assert points[:, 0].max() < -0.03
    up = face_points((0, 30, 0), np.array([0, 0, 3.0]))
    brow, chin = up[3], up[13]
    assert brow[2] - chin[2] > 0.02  # who looks up, leans the brow back


@given(st.integers(0, 10**6), st.floats(0.001, 30), st.integers(4, 14))
@settings(deadline=None, max_examples=40)
def test_fit_is_the_least_squares_one(seed, scale, count):
    rng = np.random.default_rng(seed)
    source = REFERENCE_FACE[:count]
    turn, shift = Rotation.random(rng=rng), rng.normal(size=3)
    target = scale * (turn.apply(source) + rng.normal(0, 0.3, source.shape)) + shift
    rotation, moved, factor = fit_similarity(source, target)
    expected, _ = Rotation.align_vectors(target - target.mean(0), source - source.mean(0))
    np.testing.assert_allclose(rotation, expected.as_matrix(), atol=1e-6)
    residual = factor * source @ rotation.T + moved - target
    # at the optimum the residual is orthogonal to a shift and to a change of scale
    np.testing.assert_allclose(residual.sum(0), 0, atol=1e-8 * scale)
    grown = (source - source.mean(0)) @ rotation.T
    assert abs((residual * grown).sum()) < 1e-8 * scale * (grown**2).sum()


def test_projection_with_distortion():
    """Brown's model written out, for one point."""
    k1, k2, p1, p2, k3 = distortion = np.array([-0.28, 0.17, 0.001, -0.002, 0.03])
    lens = Lens(LENS.matrix, LENS.size, distortion)
    x, y = 0.3, -0.2
    r = x * x + y * y
    radial = 1 + k1 * r + k2 * r**2 + k3 * r**3
    u = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x)
    v = y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y
    expected = [[1400 * u + 960, 1400 * v + 540]]
    np.testing.assert_allclose(project(np.array([[0.6, -0.4, 2.0]]), lens), expected)


@pytest.mark.parametrize(
    "angles, place, why, seen",
    [
        ((0, 120, 0), (0, 0, 2.5), "valid angle triple", True),
        ((0, 0, 0), (9, 0, 2.5), "outside the picture", False),
        ((0, 0, 0), (1.75, 0, 2.5), "cut by the border", True),
        ((0, 0, 0), (0, 0, 0.5), "larger than the picture allows", True),
        ((0, 0, 0), (0, 0, -2.5), "behind the camera", False),
    ],
)
def test_heads_without_a_label(angles, place, why, seen, face_points):
    with pytest.raises(NoLabel, match=why) as fault:
        label_head(face_points(angles, np.array(place)), REFERENCE_FACE, LENS)
    assert fault.value.seen is seen


def test_landmarks_that_are_no_numbers(face_points):
    points = face_points((0, 0, 0), np.array([0, 0, 2.5]))
    points[3, 1] = np.nan
    with pytest.raises(NoLabel, match="finite"):
        label_head(points, REFERENCE_FACE, LENS)
