# SPDX-License-Identifier: Apache-2.0
"""People to messages, with the conventions that msg/*.msg promise."""

import math
from dataclasses import replace

import numpy as np
import pytest
from graph import calibration
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from hpe_vlm_ros.camera_model import Calibration, described
from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, rotation_from_angles
from hpe_vlm_ros.geometry import matrix_from_quaternion as matrix
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.msg import HeadPose
from hpe_vlm_ros.nodes import messages
from hpe_vlm_ros.nodes.messages import head_transforms
from hpe_vlm_ros.people.people import ROBOT, People, View
from hpe_vlm_ros.spread import turn_covariance

CAMERA = CameraIntrinsics(300.0, 300.0, 160.0, 120.0)
SHAPE = HeadShape(0.3, (0.0, 0.0, -0.09))
HEADER = Header(frame_id="camera_optical")


def head(yaw=0.0, pitch=0.0, roll=0.0, box=(130.0, 90.0, 190.0, 150.0), covariance=None):
    rotation = rotation_from_angles(yaw, pitch, roll)
    return HeadEstimate(box, yaw, pitch, roll, rotation, 0.75, covariance)


def person(estimate, camera=CAMERA, shape=SHAPE, looking_angle=15.0, targets=None):
    people = People()
    people.tracking, people.judge.limit = False, looking_angle
    view = View((320, 240), camera, shape, targets=targets or {ROBOT: np.zeros(3)})
    (found,) = people.see(0, [estimate], view)
    return found


def head_pose(estimate, header, camera, shape, looking_angle):
    return messages.head_pose(person(estimate, camera, shape, looking_angle), header)


def orientation(pose):
    q = pose.pose.pose.orientation
    return matrix((q.x, q.y, q.z, q.w))


def test_the_covariance_of_an_answer_says_where_the_face_may_point():
    """Errors as the angles' spreads make them, of the face frame in the message itself."""
    deviations, generator = (3.0, 2.0, 1.0), np.random.default_rng(0)
    stated = turn_covariance((30, 20, 10), deviations)
    message = head_pose(head(30, 20, 10, covariance=stated), HEADER, CAMERA, SHAPE, 15.0)
    covariance = np.reshape(message.pose.covariance, (6, 6))[3:, 3:]
    errors = generator.normal(0, deviations, (40000, 3))
    errors[:, 2] += np.sin(np.radians(30)) * errors[:, 1]  # roll follows pitch
    said = Rotation.from_matrix(orientation(message))
    heads = rotation_from_angles(*(np.array([30, 20, 10]) + errors).T)
    faces = Rotation.from_matrix(heads @ [[0, 1, 0], [0, 0, -1], [-1, 0, 0]])  # REP-155
    turns = (faces * said.inv()).as_rotvec()  # about the optical axes
    np.testing.assert_allclose(covariance, turns.T @ turns / 40000, atol=3e-5)
    assert np.degrees(np.sqrt(np.diag(covariance))).min() > 1  # 1 degree is 3e-4 rad^2


def test_a_frontal_head_in_the_middle_looks_at_the_camera():
    message = head_pose(head(), HEADER, CAMERA, SHAPE, looking_angle=15.0)
    assert message.header == HEADER
    assert (message.x_min, message.y_min, message.x_max, message.y_max) == (130, 90, 190, 150)
    assert (message.yaw, message.pitch, message.roll) == (0, 0, 0)
    assert message.score == 0.75 and message.status == HeadPose.STATUS_OK
    assert message.position_source == HeadPose.POSITION_BOX_SIZE
    place = message.pose.pose.position
    # A sphere of 0.3 m that spans 60 pixels at a focal length of 300 is about 1.5 m away; the
    # sellion lies 9 cm before its middle.
    assert (place.x, place.y) == (pytest.approx(0.0), pytest.approx(0.0))
    assert place.z == pytest.approx(1.5 - 0.09, abs=0.02)
    # x out of the face is towards the camera; y, the subject's left, is the image's right; z is up.
    expected = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    np.testing.assert_allclose(orientation(message), expected, atol=1e-9)
    assert message.looking_at_robot
    assert message.looking_at_robot_angle == pytest.approx(0.0, abs=1e-6)
    assert 0.1 < message.looking_at_robot_score < 0.9, "answers scatter by about the limit"
    covariance = message.pose.covariance.reshape(6, 6)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    assert math.degrees(covariance[4, 4] ** 0.5) == pytest.approx(math.hypot(15, 8))


def test_angles_are_radians_with_the_sign_of_the_convention():
    message = head_pose(head(yaw=90.0), HEADER, CAMERA, SHAPE, looking_angle=15.0)
    assert message.yaw == pytest.approx(math.pi / 2)
    out_of_the_face = orientation(message)[:, 0]
    np.testing.assert_allclose(out_of_the_face, [-1, 0, 0], atol=1e-9)  # the image's left
    assert not message.looking_at_robot
    # The sellion lies 9 cm further left than the middle of the head, 1.5 m away.
    expected = math.pi / 2 + math.atan(0.09 / 1.5)
    assert message.looking_at_robot_angle == pytest.approx(expected, abs=1e-3)
    up = head_pose(head(pitch=30.0), HEADER, CAMERA, SHAPE, looking_angle=15.0)
    assert orientation(up)[1, 0] == pytest.approx(-0.5)  # optical y is down


def test_the_limit_of_looking_counts_from_the_ray_not_from_the_image_plane():
    # At the right border a head that looks straight ahead does not look at the camera.
    aside = head(box=(260.0, 90.0, 320.0, 150.0))
    message = head_pose(aside, HEADER, CAMERA, SHAPE, looking_angle=15.0)
    assert message.looking_at_robot_angle == pytest.approx(math.atan2(130, 300), abs=0.05)
    assert not message.looking_at_robot
    assert head_pose(aside, HEADER, CAMERA, SHAPE, looking_angle=30.0).looking_at_robot


@pytest.mark.parametrize(("camera", "shape"), [(None, SHAPE), (CAMERA, None)])
def test_what_is_unknown_is_not_a_number(camera, shape):
    message = head_pose(head(), HEADER, camera, shape, looking_angle=180.0)
    place = message.pose.pose.position
    assert message.position_source == HeadPose.POSITION_NONE
    assert all(math.isnan(v) for v in (place.x, place.y, place.z, message.looking_at_robot_angle))
    assert not message.looking_at_robot
    np.testing.assert_allclose(np.linalg.det(orientation(message)), 1.0)


def test_frames_stand_where_the_head_is_and_at_unit_distance_where_that_is_unknown():
    left, right = head(yaw=40.0, box=(10.0, 90.0, 70.0, 150.0)), head()
    everybody = [person(left, camera=None), person(right)]
    header = Header(frame_id="/camera_optical")
    frames = list(head_transforms(everybody, header, (320, 240), tracking=False))
    assert [f.child_frame_id for f in frames] == ["face_0", "gaze_0", "face_1", "gaze_1"]
    assert {f.header.frame_id for f in frames} == {"camera_optical"}  # tf2 takes no leading slash
    unknown, known = frames[0].transform.translation, frames[2].transform.translation
    assert np.linalg.norm([unknown.x, unknown.y, unknown.z]) == pytest.approx(1.0)
    assert unknown.x / unknown.z == pytest.approx((40 - 160) / 320)
    assert known.z == everybody[1].position.point[2]
    q = frames[1].transform.rotation
    # Gaze: z along it, towards the image's left and the camera; y down.
    gaze = matrix((q.x, q.y, q.z, q.w))
    turn = math.radians(40)
    np.testing.assert_allclose(gaze[:, 2], [-math.sin(turn), 0, -math.cos(turn)], atol=1e-9)
    np.testing.assert_allclose(gaze[:, 1], [0, 1, 0], atol=1e-9)


@pytest.mark.parametrize("tracking", [True, False])
def test_an_invalid_answer_is_marked_and_has_no_frame(tracking):
    people, broken = People(), head()
    broken = replace(broken, rotation=np.full((3, 3), math.nan))
    people.tracking = tracking
    empty = head(box=(10.0, 10.0, 10.0, 40.0))  # no box at all
    (found,) = people.see(0, [broken, empty], View((320, 240), CAMERA, SHAPE))
    message = messages.head_pose(found, HEADER)
    assert message.status == HeadPose.STATUS_INVALID_ANSWER
    assert message.position_source == HeadPose.POSITION_NONE
    assert math.isnan(message.yaw) and math.isnan(message.pose.pose.orientation.w)
    assert not list(head_transforms([found], HEADER, (320, 240), tracking=False))


def test_frames_bear_the_ids_of_those_who_have_one():
    people = People()
    view = View((320, 240), CAMERA, SHAPE)
    known, new = head(box=(130.0, 90.0, 190.0, 150.0)), head(box=(10.0, 90.0, 70.0, 150.0))
    for k in range(3):
        found = people.see(k * 10**8, [known] + [new] * (k == 2), view)
    frames = head_transforms(found, HEADER, (320, 240), tracking=True)
    assert [f.child_frame_id for f in frames] == ["face_h0001", "gaze_h0001"]


def test_gaze_targets_name_each_pair():
    people = People()
    places = {ROBOT: np.zeros(3), "door": np.array([-2.0, 0.0, 1.5]), "attic": None}
    for k in range(3):
        found = people.see(
            k * 10**8, [head(yaw=90.0)], View((320, 240), CAMERA, SHAPE, None, places)
        )
    message = messages.gaze_targets(found, HEADER)
    assert message.header == HEADER
    seen = {(g.id, g.target): g for g in message.gazes}
    assert list(seen) == [("h0001", ROBOT), ("h0001", "door"), ("h0001", "attic")]
    assert [g.looking for g in message.gazes] == [False, True, False]
    assert seen["h0001", "door"].angle < 0.1 and seen["h0001", "door"].score > 0.3
    assert math.isnan(seen["h0001", "attic"].angle)


def test_the_camera_is_that_of_the_message():
    camera = described(Calibration.read(calibration(250.0)), 320, 240).camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (250.0, 250.0, 160.0, 120.0)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (calibration(0.0), "focal lengths 0 and 0"),
        (calibration(math.nan), "focal lengths nan"),
        (calibration(width=640), "640x240"),
    ],
)
def test_calibration_without_use_says_why(info, words):
    with pytest.raises(ValueError, match=words) as caught:
        described(Calibration.read(info), 320, 240)
    assert "positions are unknown" in str(caught.value)
