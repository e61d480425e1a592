# SPDX-License-Identifier: Apache-2.0
"""Ids, gaps, targets, depth and other packages' topics, through the real node."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest
from foxglove_msgs.msg import ImageAnnotations
from geometry_msgs.msg import TransformStamped
from graph import Peer, calibration, listen, stamp_of
from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D
from painting import HEIGHT, WIDTH, painted
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import MarkerArray

from hpe_vlm_ros.msg import GazeTargets, HeadPose, HeadPoseArray

TWO = ((80, 0), (240, 90))


def ids(message):
    return [head.id for head in message.heads]


def known(crowd: Peer, heads=TWO, calibrated=False):
    """The first answer in which all heads have ids; with a camera_info, also positions."""
    while True:
        if calibrated:
            crowd.calibration.publish(calibration())
        message = crowd.answer(painted(heads))
        places = not calibrated or all(h.position_source for h in message.heads)
        if all(ids(message)) and places:
            return message


def space_of(offer):
    return offer.node_namespace


def test_heads_get_ids_that_stay_and_frames_that_bear_them(scripted, crowd):
    crowd.activate()
    first = crowd.answer(painted(TWO))
    assert ids(first) == ["", ""]
    message = known(crowd)
    left, right = ids(message)
    assert left != right and left.startswith("scripted_h")
    assert ids(crowd.answer(painted(((90, 0), (230, 80))))) == [left, right]
    last = crowd.answer(painted(TWO))
    names = {f"{kind}_{i}" for kind in ("face", "gaze") for i in (left, right)}
    assert crowd.spin_until(lambda: set(crowd.frames_of(last)) == names)
    covariance = last.heads[0].pose.covariance.reshape(6, 6)
    assert (np.linalg.eigvalsh(covariance[3:, 3:]) > 0).all() and not covariance[:3, :3].any()
    assert last.heads[0].age > 0 and last.heads[0].unseen == 0


def test_who_is_not_found_is_predicted_and_then_given_up(scripted, crowd):
    crowd.set_parameters(lost_timeout=3.0, stale_after=1.0)
    crowd.activate()
    left, right = ids(known(crowd))
    states = []
    while len(ids(message := crowd.answer(painted(TWO[:1])))) == 2:
        missing = next(h for h in message.heads if h.id == right)
        states.append(missing.status)
        assert 0 < missing.unseen <= 3.0
        crowd.spin_for(0.2)
    assert ids(message) == [left]
    assert states and states == sorted(states), "stale comes after predicted"
    assert set(states) <= {HeadPose.STATUS_PREDICTED, HeadPose.STATUS_STALE}
    again = known(crowd)
    assert ids(again)[0] == left and ids(again)[1] not in (left, right), "an id was given twice"


def test_time_that_jumps_back_is_a_new_beginning(scripted, crowd):
    crowd.activate()
    before = ids(known(crowd))
    seen: list[list[str]] = []
    while not (seen and all(seen[-1])):  # a bag of 100 s ago starts to play
        seen.append(ids(crowd.answer(painted(TWO), age=100.0)))
    assert seen[0] == ["", ""] and not set(seen[-1]) & set(before)


def test_who_looks_at_what(scripted, crowd):
    """The robot stands beside the camera, where the head that looks to its side looks."""
    crowd.set_parameters(robot_frame="robot", gaze_targets=["camera_optical", "attic"])
    crowd.activate()
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    frames = crowd.create_publisher(TFMessage, "/tf_static", qos)
    robot = TransformStamped(child_frame_id="robot")
    robot.header.frame_id = "camera_optical"
    robot.transform.translation.x, robot.transform.translation.z = -50.0, 2.0
    frames.publish(TFMessage(transforms=[robot]))
    heard = listen(crowd, GazeTargets, "perception/gaze_targets")
    message = known(crowd, calibrated=True)
    while math.isnan(message.heads[0].looking_at_robot_angle):
        message = crowd.answer(painted(TWO))
    ahead, aside = message.heads
    assert aside.looking_at_robot and not ahead.looking_at_robot
    assert aside.looking_at_robot_angle < 0.1 and ahead.looking_at_robot_angle > 1
    assert 0 <= ahead.looking_at_robot_score < 0.1 < aside.looking_at_robot_score <= 1

    assert crowd.spin_until(lambda: stamp_of(heard[-1]) == stamp_of(message))
    gazes = {(g.id, g.target): g for g in heard[-1].gazes}
    assert set(gazes) == {
        (i, t) for i in ids(message) for t in ("robot", "camera_optical", "attic")
    }
    assert gazes[aside.id, "robot"].looking
    assert gazes[ahead.id, "camera_optical"].angle < gazes[aside.id, "camera_optical"].angle
    assert math.isnan(gazes[ahead.id, "attic"].angle) and not gazes[ahead.id, "attic"].looking
    assert "'attic' is unknown: no transform connects" in scripted.log


@pytest.mark.parametrize(("encoding", "unit"), [("16UC1", 1000), ("32FC1", 1)])
def test_depth_gives_the_distance(scripted, crowd, encoding, unit):
    crowd.set_parameters(depth_topic="depth", depth_slop=1.0)
    crowd.activate()
    camera = crowd.create_publisher(Image, "depth", 1)
    assert crowd.spin_until(camera.get_subscription_count)
    metres = np.full((HEIGHT, WIDTH), 3.0 * unit)
    pixels = metres.astype("<u2" if unit == 1000 else "<f4")
    depth = Image(width=WIDTH, height=HEIGHT, encoding=encoding, step=WIDTH * pixels.itemsize)
    depth.data = array("B", pixels.tobytes())
    head = known(crowd, calibrated=True).heads[0]
    assert head.position_source == HeadPose.POSITION_BOX_SIZE
    by_size = head.pose.covariance[14]
    while head.position_source != HeadPose.POSITION_DEPTH:
        crowd.send(depth, camera)
        head = crowd.answer(painted(TWO)).heads[0]
    assert head.pose.pose.position.z == pytest.approx(3.0, abs=0.03)
    assert head.pose.covariance[14] < by_size / 4


def test_other_packages_messages(scripted, crowd):
    crowd.activate()
    space = "perception"
    detections = listen(crowd, Detection2DArray, f"{space}/detections")
    markers = listen(crowd, MarkerArray, f"{space}/markers")
    drawings = listen(crowd, ImageAnnotations, f"{space}/annotations")
    tracked = listen(crowd, IdsList, "/humans/faces/tracked")
    left, right = ids(known(crowd, calibrated=True))
    roi = listen(crowd, NormalizedRegionOfInterest2D, f"/humans/faces/{right}/roi")
    while not (roi and markers and markers[-1].markers):
        crowd.answer(painted(TWO))
        crowd.spin_until(lambda: roi, 0.5)
    assert detections[-1].detections[0].id == left
    assert detections[-1].detections[1].bbox.center.position.x == pytest.approx(240, abs=2)
    assert tracked[-1].ids == [left, right]
    assert roi[-1].xmin == pytest.approx(220 / WIDTH, abs=0.02) and roi[-1].ymax <= 1
    assert stamp_of(roi[-1]) in [stamp_of(a) for a in crowd.arrays]
    assert {m.id for m in markers[-1].markers} == {int(i.rpartition("h")[2]) for i in (left, right)}
    assert [t.text.split()[0] for t in drawings[-1].texts] == [left, right]
    assert len(drawings[-1].points) == 4  # a box and a gaze each
    # No pictures of faces, as long as nobody has asked for them.
    topics = [name for name, _ in crowd.get_topic_names_and_types()]
    assert not [topic for topic in topics if "cropped" in topic]

    while tracked[-1].ids:  # the camera falls silent: nobody is there any more
        crowd.spin_until(lambda: not tracked[-1].ids, 0.5)
    assert crowd.spin_until(lambda: not crowd.count_publishers(f"/humans/faces/{right}/roi"))


def test_rep_155_stops_and_starts_at_run_time(scripted, crowd):
    def published():
        names = {name for name, _ in crowd.get_topic_names_and_types() if "/humans/" in name}
        offers = {name: crowd.get_publishers_info_by_topic(name) for name in names}
        return {n for n, some in offers.items() if crowd.get_namespace() in map(space_of, some)}

    crowd.set_parameters(publish_crops=True)
    crowd.activate()
    tracked = listen(crowd, IdsList, "/humans/faces/tracked")
    left, _ = ids(known(crowd))
    cropped = f"/humans/faces/{left}/cropped"
    assert crowd.spin_until(lambda: cropped in published())
    crowd.set_parameters(publish_crops=False)
    crowd.answer(painted(TWO))
    assert crowd.spin_until(lambda: cropped not in published())

    crowd.set_parameters(publish_hri=False)
    assert crowd.spin_until(lambda: not published())
    assert crowd.spin_until(lambda: not tracked[-1].ids), "nobody was told that they are gone"
    crowd.answer(painted(TWO))
    assert not published() and not tracked[-1].ids

    crowd.set_parameters(publish_hri=True)
    assert crowd.spin_until(lambda: "/humans/faces/tracked" in published())
    while not tracked[-1].ids:
        crowd.answer(painted(TWO))
    assert left in tracked[-1].ids


def test_several_cameras_share_the_model_and_the_ids(scripted, crowd):
    crowd.set_parameters(cameras=["front", "rear"])
    assert crowd.transition("configure") and crowd.transition("activate")
    cameras = {
        name: crowd.create_publisher(Image, f"{name}/image_raw", 1) for name in ("front", "rear")
    }
    heard = {n: listen(crowd, HeadPoseArray, f"perception/{n}/head_poses") for n in cameras}
    for camera in cameras.values():
        assert crowd.spin_until(camera.get_subscription_count)

    def everybody_known():
        for name, camera in cameras.items():
            crowd.send(painted(TWO if name == "front" else TWO[:1]), camera)
            crowd.spin_for(0.05)
        return all(heard[n] and heard[n][-1].heads and all(ids(heard[n][-1])) for n in cameras)

    assert crowd.spin_until(everybody_known)
    front, rear = (ids(heard[name][-1]) for name in cameras)
    assert len(front) == 2 and len(rear) == 1 and not set(front) & set(rear)
