# SPDX-License-Identifier: Apache-2.0
"""Positions from depth and from boxes, for heads that are placed by construction."""

import numpy as np
import pytest

from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, rotation_from_angles
from hpe_vlm_ros.people.distance import Source, locate, pose_covariance, read_depth

CAMERA = CameraIntrinsics(400.0, 400.0, 320.0, 240.0)
SHAPE = HeadShape(0.25, (0.0, 0.0, -0.09))
BOX = (300.0, 220.0, 340.0, 260.0)


def scene(head=2.0, wall=4.0):
    depth = np.full((480, 640), wall, np.float32)
    depth[225:256, 305:336] = head
    return depth


@pytest.mark.parametrize(("yaw", "behind"), [(0, 0.0), (180, 0.18)])
def test_depth_finds_the_sellion_of_front_and_back(yaw, behind):
    """The surface is the sellion of a face; of the back of a head it is a head's length nearer."""
    found = locate(BOX, rotation_from_angles(yaw, 0, 0), CAMERA, SHAPE, scene())
    assert found.source is Source.DEPTH
    np.testing.assert_allclose(found.point, [0, 0, 2 + behind], atol=0.002)


def test_a_profile_lies_a_head_to_the_side():
    found = locate(BOX, rotation_from_angles(90, 0, 0), CAMERA, SHAPE, scene())
    np.testing.assert_allclose(found.point, [-0.09, 0, 2.09], atol=0.002)


def test_holes_and_the_background_do_not_count():
    depth = scene()
    depth[238:242] = np.nan
    depth[244:246] = 0.0
    depth[:, 322:326] = 4.0
    depth[230:233] = np.inf
    assert read_depth(depth, BOX) == pytest.approx((2.0, 0.0))


@pytest.mark.parametrize("nothing", [0.0, np.nan, -1.0, np.inf])
def test_without_valid_depth_the_box_says_where(nothing):
    depth = scene(head=nothing, wall=nothing)
    found = locate(BOX, np.eye(3), CAMERA, SHAPE, depth)
    plain = locate(BOX, np.eye(3), CAMERA, SHAPE)
    assert found.source is plain.source is Source.BOX_SIZE
    np.testing.assert_array_equal(found.point, plain.point)


def test_a_box_outside_the_depth_image_has_no_depth():
    assert read_depth(scene(), (700.0, 500.0, 740.0, 540.0)) is None
    assert read_depth(scene(), (-90.0, -90.0, -50.0, -50.0)) is None


def test_without_camera_or_shape_nothing_is_known():
    for camera, shape in ((None, SHAPE), (CAMERA, None)):
        found = locate(BOX, np.eye(3), camera, shape, scene())
        assert found.source is Source.NONE and np.isnan(found.point).all()
        covariance = pose_covariance(found, np.eye(3), shape, np.eye(3) * 0.1)
        np.testing.assert_array_equal(covariance[:3], 0)
        np.testing.assert_array_equal(covariance[3:, 3:], np.eye(3) * 0.1)


def test_the_box_is_vague_along_the_ray_and_sharp_across():
    box = locate(BOX, np.eye(3), CAMERA, SHAPE, box_deviation=(1.0, 0.02))
    deep = locate(BOX, np.eye(3), CAMERA, SHAPE, scene(), box_deviation=(1.0, 0.02))
    along, across = box.covariance[2, 2] ** 0.5, box.covariance[0, 0] ** 0.5
    assert along == pytest.approx(0.0825 * box.point[2], rel=0.01)
    assert across < 0.2 * along
    assert deep.covariance[2, 2] < box.covariance[2, 2] / 4


def test_the_covariance_is_that_of_sampled_turns():
    """Turns scattered about the optical axes move the sellion at the end of its lever."""
    from hpe_vlm_ros.geometry import rotation_from_vector

    turn = rotation_from_angles(40, 20, -10)
    turns = np.diag([0.004, 0.009, 0.001])
    place = locate(BOX, turn, CAMERA, SHAPE)
    stated = pose_covariance(place, turn, SHAPE, turns)
    generator = np.random.default_rng(0)
    vectors = generator.multivariate_normal(np.zeros(3), turns, 20_000)
    offset = np.asarray(SHAPE.offset)
    moved = np.array([rotation_from_vector(v) @ turn @ offset for v in vectors])
    sampled = np.cov(np.hstack([moved, vectors]).T)
    sampled[:3, :3] += place.covariance
    np.testing.assert_allclose(stated, sampled, atol=1e-4)  # sampling; its largest entry is 9e-3
    assert (np.linalg.eigvalsh(stated) > 0).all()
