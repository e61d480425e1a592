# SPDX-License-Identifier: Apache-2.0
"""Bodies of people: who is asked about, and what becomes of the answers in the camera's picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.mounting import TURNS, Mounting
from hpe_vlm_ros.people.bodies import (
    EVERYBODY,
    NEAREST,
    NOBODY,
    asked,
    bodies_of,
    body_boxes,
    check_learnt,
)
from hpe_vlm_ros.people.people import People, Person, View
from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, SEEN, Skeleton

SIZE = 320, 240
CAMERA = CameraIntrinsics(300.0, 300.0, 160.0, 120.0)
SHAPE = HeadShape(0.3, (0.0, 0.0, -0.09))
HEADS = ((40.0, 60.0, 60.0, 84.0), (150.0, 50.0, 180.0, 90.0))


@pytest.fixture(scope="module")
def people() -> list[Person]:
    """Two people with ids and positions, the right one with the larger head."""
    turn = rotation_from_angles(0, 0, 0)
    found = [HeadEstimate(box, 0.0, 0.0, 0.0, turn, 0.9) for box in HEADS]
    crowd = People()
    for k in range(5):
        tracked = crowd.see(k * 10**8, found, View(SIZE, CAMERA, SHAPE))
    return tracked


def skeleton(box: tuple[float, float, float, float], points: np.ndarray) -> Skeleton:
    """With the last point absent."""
    seen = np.array([SEEN] * 16 + [ABSENT])
    covariances = np.tile(np.diag([4.0, 9.0]), (17, 1, 1))
    return Skeleton(box, KEYPOINTS, points, seen, np.where(seen, 0.8, 0.0), covariances)


def test_who_is_asked_about(people: list[Person]) -> None:
    left, right = people
    assert asked(people, EVERYBODY) == people
    assert asked(people, NEAREST) == [right]
    assert asked(people, NOBODY) == []
    gone = replace(right, head=replace(right.head, unseen=0.2))
    assert asked([left, gone], NEAREST) == [left]
    assert asked([], NEAREST) == []


def test_a_body_bears_the_number_of_its_head(people: list[Person]) -> None:
    person = people[0]
    for head, body in (("h0007", "b0007"), ("shop_h0012", "shop_b0012"), ("", "")):
        named = replace(person, head=replace(person.head, id=head))
        (made,) = bodies_of([named], [skeleton(HEADS[0], np.zeros((17, 2)))], Mounting(), None)
        assert made.id == body


@pytest.mark.parametrize("degrees", TURNS)
def test_bodies_of_cameras_that_are_mounted_turned(people: list[Person], degrees: int) -> None:
    """Marks in a picture are where they are said to be, however the camera hangs."""
    upright = np.zeros((240, 320))
    upright[150, 200] = 1
    picture = np.rot90(upright, degrees // 90)  # counter-clockwise: as the camera took it
    mounting = Mounting(degrees, (picture.shape[1], picture.shape[0]))
    assert mounting.upright_size == SIZE
    person = people[1]
    mounted = replace(person, head=replace(person.head, box=mounting.box(HEADS[1])))
    (box,) = body_boxes([mounted], mounting)
    assert box == (65.0, 50.0, 265.0, 240.0)
    points = np.tile([200.5, 150.5], (17, 1))
    (body,) = bodies_of([mounted], [skeleton(box, points)], mounting, None)
    row, column = np.argwhere(picture)[0]
    np.testing.assert_allclose(body.skeleton.points, np.tile([column + 0.5, row + 0.5], (17, 1)))
    np.testing.assert_allclose(mounting.upright_box(body.box), box)
    spread = [4.0, 9.0] if degrees % 180 == 0 else [9.0, 4.0]
    np.testing.assert_allclose(body.skeleton.covariances[0], np.diag(spread), atol=1e-12)
    assert np.isnan(body.places).all() and body.score == pytest.approx(0.8 * 16 / 17)


def test_keypoints_are_drawn_at_the_distance_of_the_head(people: list[Person]) -> None:
    person = people[1]
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 240, (17, 2))
    points[-1] = np.nan
    (body,) = bodies_of([person], [skeleton(HEADS[1], points)], Mounting(), CAMERA)
    places = body.places
    assert np.isnan(places[-1]).all()
    np.testing.assert_allclose(places[:-1, 2], person.position.point[2])
    back = 300 * places[:-1, :2] / places[:-1, 2:] + (160, 120)
    np.testing.assert_allclose(back, points[:-1])
    ends = body.line_ends()
    assert len(ends) % 2 == 0 and 16 not in ends and {5, 7, 9} <= set(ends)


def test_a_model_that_knows_no_keypoints_is_named_with_the_remedy() -> None:
    class Unlearned:
        model_id = "small-1"

        def has_learnt(self, task: object) -> bool:
            return False

    with pytest.raises(ValueError, match=r"small-1 has not learnt .*'keypoints'.* skeletons to no"):
        check_learnt(Unlearned())
