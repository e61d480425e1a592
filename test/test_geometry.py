# SPDX-License-Identifier: Apache-2.0
"""Angles and rotations against goldens and a second derivation, and back again."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import (
    angles_from_rotation,
    angles_from_rotations,
    box_iou,
    circular_difference,
    geodesic_degrees,
    mirror_rotation,
    nearest_rotation,
    rotation_from_angles,
)

Vector = tuple[float, float, float]

# yaw, pitch, roll: where the nose, the subject's left ear and the top of the head point, as
# (right, down, away from the camera). Made with scipy as turns about the face's own axes: pitch
# about its y, then yaw about its z, then roll about its x, all negative, from a frontal face.
GOLDENS: list[tuple[Vector, Vector, Vector, Vector]] = [
    ((0, 20, 10), (0, -0.342, -0.9397), (0.9848, 0.1632, -0.0594), (0.1736, -0.9254, 0.3368)),
    (
        (60, 20, 10),
        (-0.866, -0.171, -0.4698),
        (0.4924, -0.1285, -0.8608),
        (0.0868, -0.9769, 0.1955),
    ),
    ((90, 20, 10), (-1, 0, 0), (0, -0.1736, -0.9848), (0, -0.9848, 0.1736)),
    ((120, 20, 0), (-0.866, 0.171, 0.4698), (-0.5, -0.2962, -0.8138), (0, -0.9397, 0.342)),
    (
        (150, 20, 10),
        (-0.5, 0.2962, 0.8138),
        (-0.8529, -0.0052, -0.5221),
        (-0.1504, -0.9551, 0.2552),
    ),
    ((180, 20, 10), (0, 0.342, 0.9397), (-0.9848, 0.1632, -0.0594), (-0.1736, -0.9254, 0.3368)),
    ((-60, -15, 25), (0.866, 0.1294, -0.483), (0.4532, 0.2051, 0.8675), (0.2113, -0.9702, 0.119)),
    ((-150, 30, -20), (0.5, 0.433, 0.75), (-0.8138, -0.0613, 0.5779), (0.2962, -0.8993, 0.3217)),
]


def in_domain(count: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    yaw, tilt = 180 - rng.uniform(0, 360, (count, 1)), rng.uniform(-90, 90, (count, 2))
    return np.hstack([yaw, tilt])


def turned(point: Vector, yaw: float, pitch: float, roll: float) -> Vector:
    """A point of a frontal head, moved by hand about camera axes: tilt, then turn, then nod."""
    x, y, z = point
    c, s = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    x, y = c * x - s * y, c * y + s * x  # right goes down: clockwise in the image
    c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    x, z = c * x + s * z, c * z - s * x  # what is near (z < 0) goes to the left
    c, s = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    y, z = c * y + s * z, c * z - s * y  # what is near goes up
    return x, y, z


@pytest.mark.parametrize(("angles", "nose", "ear", "top"), GOLDENS)
def test_goldens(angles: Vector, nose: Vector, ear: Vector, top: Vector) -> None:
    rotation = rotation_from_angles(*angles)
    for axis, expected in (((0, 0, -1), nose), ((1, 0, 0), ear), ((0, -1, 0), top)):
        assert rotation @ axis == pytest.approx(expected, abs=5e-5)
        assert turned(axis, *angles) == pytest.approx(expected, abs=5e-5)


def test_goldens_are_the_table_of_the_conventions_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "conventions.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split("|") for line in page.splitlines() if line.startswith("| (")]
    table = [
        tuple(tuple(float(v) for v in cell.strip(" ()").split(",")) for cell in r) for r in rows
    ]
    assert table == [tuple(tuple(map(float, vector)) for vector in row) for row in GOLDENS]


def labelled(m: np.ndarray) -> Vector:
    """The triple as the data sets' labels take it from M: a z-y-x decomposition, signs flipped."""
    for y in (math.asin(-m[0, 2]), math.pi - math.asin(-m[0, 2])):
        c = math.cos(y)
        x, z = math.atan2(m[1, 2] / c, m[2, 2] / c), math.atan2(m[0, 1] / c, m[0, 0] / c)
        yaw, pitch, roll = (math.degrees(v) for v in (-y, x, -z))
        if abs(pitch) < 90 and abs(roll) < 90:
            return yaw + 360 if yaw <= -180 else yaw, pitch, roll
    raise AssertionError("no label")


@pytest.mark.parametrize("angles", [golden[0] for golden in GOLDENS if golden[0][0] != 90])
def test_the_inverse_is_what_the_labels_say(angles: Vector) -> None:
    rotation = rotation_from_angles(*angles)
    assert labelled(rotation) == pytest.approx(angles)
    assert angles_from_rotation(rotation) == pytest.approx(angles)


def test_signs_in_words() -> None:
    def nose(yaw: float, pitch: float) -> np.ndarray:
        return rotation_from_angles(yaw, pitch, 0) @ [0, 0, -1]

    assert nose(0, 0) == pytest.approx([0, 0, -1])  # at the image plane
    assert nose(30, 0)[0] < 0 and nose(150, 0)[0] < 0  # yaw > 0: to the image's left, always
    elevation = [math.degrees(-math.asin(nose(yaw, 20)[1])) for yaw in (0, 60, 120, 180)]
    assert elevation == pytest.approx([20, 9.85, -9.85, -20], abs=0.01)  # up, reversed beyond 90
    assert (rotation_from_angles(0, 0, 10) @ [0, -1, 0])[0] > 0  # the top goes right: clockwise
    assert (rotation_from_angles(180, 0, 10) @ [0, -1, 0])[0] < 0  # reversed beyond 90


def test_ten_thousand_triples_round_trip() -> None:
    angles = in_domain(10_000)
    found, valid = angles_from_rotations(rotation_from_angles(*angles.T))
    assert valid.all()
    assert np.abs(circular_difference(found, angles)).max() < 1e-6


def test_every_whole_degree_of_yaw_round_trips_but_the_profile() -> None:
    for yaw in range(-179, 181):
        found = angles_from_rotation(rotation_from_angles(yaw, -31, 47))
        assert found is not None
        if abs(yaw) != 90:
            assert found == pytest.approx((yaw, -31, 47), abs=1e-9)


def test_a_half_turn_is_written_as_plus_180() -> None:
    found = angles_from_rotation(rotation_from_angles(-180, 20, -10))
    assert found == pytest.approx((180, 20, -10))


def test_all_rotations_either_have_a_triple_or_none_and_half_have_none() -> None:
    rotations = Rotation.random(10_000, np.random.default_rng(3)).as_matrix()
    angles, valid = angles_from_rotations(rotations)
    assert valid.mean() == pytest.approx(0.5, abs=0.02)
    assert geodesic_degrees(rotation_from_angles(*angles[valid].T), rotations[valid]).max() < 1e-6
    assert (np.abs(angles[valid, 1:]) < 90).all() and (np.abs(angles[valid, 0]) <= 180).all()
    assert np.isnan(angles[~valid]).all()
    # Neither of the two Euler solutions that scipy's independent code gives is in the domain.
    minus_p, yaw, roll = Rotation.from_matrix(rotations[~valid]).as_euler("XYZ", degrees=True).T
    other = [circular_difference(a, 180) for a in (minus_p, roll)]
    assert ((np.abs(minus_p) > 90) | (np.abs(roll) > 90)).all()
    assert ((np.abs(other[0]) > 90) | (np.abs(other[1]) > 90)).all()


@pytest.mark.parametrize("angles", [(30, 120, 0), (0, 0, 180), (170, 20, -100), (0, 90, 0)])
def test_upside_down_heads_have_no_triple(angles: Vector) -> None:
    assert angles_from_rotation(rotation_from_angles(*angles)) is None


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ((90, 20, 10), (90, 10, 0)),
        ((-90, 20, 10), (-90, 30, 0)),
        ((90, -60, 60), (90, -60, 60)),  # 120 of pitch is outside: shared
        ((-90, 20, 80), (-90, 50, 50)),
    ],
)
def test_profile_keeps_the_rotation_with_roll_zero_where_it_can(
    angles: Vector, expected: Vector
) -> None:
    found = angles_from_rotation(rotation_from_angles(*angles))
    assert found == pytest.approx(expected)
    assert geodesic_degrees(rotation_from_angles(*expected), rotation_from_angles(*angles)) < 1e-6


def test_profile_without_a_triple() -> None:
    assert angles_from_rotation(rotation_from_angles(90, 90, -90)) is None


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7, 1e-9])
def test_near_the_profile_the_rotation_survives(distance: float) -> None:
    rotation = rotation_from_angles(90 + distance, 35, -25)
    found = angles_from_rotation(rotation)
    assert found is not None
    assert geodesic_degrees(rotation_from_angles(*found), rotation) < 1e-4


def test_single_precision_is_good_enough() -> None:
    rotation = rotation_from_angles(-150, 30, -20).astype(np.float32)
    assert angles_from_rotation(rotation) == pytest.approx((-150, 30, -20), abs=1e-4)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((3, 3)), np.diag([1, 1, -1.0]), 2 * np.eye(3), np.eye(4), np.full((3, 3), np.nan)],
)
def test_what_is_no_rotation_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="rotation"):
        angles_from_rotation(matrix)


def test_infinite_angles_are_refused() -> None:
    with pytest.raises(ValueError, match="finite degrees"):
        rotation_from_angles(0, math.inf, 0)


def test_empty_batches_stay_empty() -> None:
    assert rotation_from_angles([], [], []).shape == (0, 3, 3)
    assert angles_from_rotations(np.zeros((0, 3, 3)))[0].shape == (0, 3)
    assert box_iou(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


def test_mirror_negates_yaw_and_roll() -> None:
    yaw, pitch, roll = in_domain(100).T
    mirrored = mirror_rotation(rotation_from_angles(yaw, pitch, roll))
    assert mirrored == pytest.approx(rotation_from_angles(-yaw, pitch, -roll))


def test_circular_difference() -> None:
    assert circular_difference(350, 10) == -20
    assert circular_difference([-179, 180, 0, 90], [179, 0, 180, 90]).tolist() == [2, 180, 180, 0]
    assert circular_difference(-1e-20, 0) == 0


def test_geodesic_is_the_angle_of_the_turn_between() -> None:
    rng = np.random.default_rng(1)
    axis, base = rng.normal(size=(50, 3)), Rotation.random(50, rng).as_matrix()
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    for angle in (0, 1e-6, 0.1, 30, 90, 179.9, 180):
        turn = Rotation.from_rotvec(np.radians(angle) * axis).as_matrix()
        assert geodesic_degrees(base, base @ turn) == pytest.approx(np.full(50, angle), abs=1e-6)


def test_nearest_rotation_undoes_noise() -> None:
    rotation = rotation_from_angles(20, 30, 40)
    noisy = rotation + 1e-4 * np.random.default_rng(0).normal(size=(3, 3))
    assert np.abs(nearest_rotation(noisy) @ nearest_rotation(noisy).T - np.eye(3)).max() < 1e-12
    assert geodesic_degrees(nearest_rotation(noisy), rotation) < 0.05


def test_box_iou() -> None:
    found = box_iou([[0, 0, 2, 2], [5, 5, 5, 5]], [[0, 0, 2, 2], [1, 1, 3, 3], [9, 9, 10, 10]])
    assert found == pytest.approx(np.array([[1, 1 / 7, 0], [0, 0, 0]]))
    assert box_iou([[5, 5, 5, 5]], [[5, 5, 5, 5]]) == 0
