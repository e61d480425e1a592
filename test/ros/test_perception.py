# SPDX-License-Identifier: Apache-2.0
"""The node as users meet it: a process that gets images and gives poses, TF and pictures."""

import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from graph import ROOT, calibration, picture, shipped_parameters, stamp_of
from rcl_interfaces.srv import DescribeParameters, ListParameters
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from hpe_vlm_ros.geometry import gaze_rotation, rotation_from_angles, rotation_from_face
from hpe_vlm_ros.geometry import matrix_from_quaternion as matrix
from hpe_vlm_ros.msg import HeadPose


def quaternion(q):
    return q.x, q.y, q.z, q.w


def test_an_image_comes_back_as_poses_and_frames(untracked, peer):
    # A camera sends its calibration with each image; here it is known to have arrived.
    peer.spin_until(peer.calibration.get_subscription_count)
    peer.calibration.publish(calibration())
    array = peer.answer(picture())
    while not array.heads[0].position_source:
        peer.calibration.publish(calibration())
        array = peer.answer(picture())

    assert array.model_id.startswith("tiny-")
    assert 0 < array.inference_latency.sec + array.inference_latency.nanosec / 1e9 < 60
    middles = [head.x_min + head.x_max for head in array.heads]
    assert middles == sorted(middles)
    for head in array.heads:
        assert head.header == array.header
        assert 0 <= head.x_min < head.x_max <= 320 and 0 <= head.y_min < head.y_max <= 240
        assert head.status == HeadPose.STATUS_OK and head.id == ""
        assert head.position_source == HeadPose.POSITION_BOX_SIZE
        rotation = rotation_from_face(matrix(quaternion(head.pose.pose.orientation)))
        angles = [math.degrees(a) for a in (head.yaw, head.pitch, head.roll)]
        if not math.isnan(angles[0]):  # no triple names every rotation
            np.testing.assert_allclose(rotation_from_angles(*angles), rotation, atol=1e-5)
        place = head.pose.pose.position
        assert place.z > 0
        ray = -np.array([place.x, place.y, place.z])
        expected = math.acos(gaze_rotation(rotation)[:, 2] @ ray / np.linalg.norm(ray))
        assert head.looking_at_robot_angle == pytest.approx(expected, abs=1e-4)

    count = len(array.heads)
    assert peer.spin_until(lambda: len(peer.frames_of(array)) == 2 * count)
    frames = peer.frames_of(array)
    assert set(frames) == {f"{kind}_{i}" for kind in ("face", "gaze") for i in range(count)}
    for i, head in enumerate(array.heads):
        face, gaze = frames[f"face_{i}"].transform, frames[f"gaze_{i}"].transform
        assert quaternion(face.rotation) == quaternion(head.pose.pose.orientation)
        place = head.pose.pose.position
        for moved in (face.translation, gaze.translation):
            assert (moved.x, moved.y, moved.z) == (place.x, place.y, place.z)
        # Gaze's z is the face's x: both look out of the face.
        np.testing.assert_allclose(
            matrix(quaternion(gaze.rotation))[:, 2],
            matrix(quaternion(face.rotation))[:, 0],
            atol=1e-6,
        )


def test_a_plain_subscriber_in_another_process_sees_the_same_headers(untracked, peer):
    script = Path(__file__).with_name("plain_subscriber.py")
    subscriber = subprocess.Popen(
        [sys.executable, str(script), "perception/head_poses", "3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert json.loads(subscriber.stdout.readline()) == {"ready": True}
    peer.spin_until(lambda: peer.count_subscribers("perception/head_poses") == 2)
    while subscriber.poll() is None:
        peer.answer(picture())
        assert len(peer.sent) < 200, "the subscriber hears nothing"
    sent = [list(stamp) for stamp in peer.sent]
    lines = [json.loads(line) for line in subscriber.stdout]
    arrays = [line for line in lines if "array" in line]
    assert len(arrays) >= 3
    for line in arrays:
        assert line["array"] in sent
        assert line["heads"] and all(head == line["array"] for head in line["heads"])
    frames = [line for line in lines if "tf" in line]
    assert {"face_0", "gaze_0"} <= {line["child"] for line in frames}
    assert all(line["tf"] in sent for line in frames)


def test_without_calibration_the_position_is_marked_unknown(untracked, peer):
    array = peer.answer(picture())
    assert peer.spin_until(lambda: peer.frames_of(array))
    for head in array.heads:
        assert head.position_source == HeadPose.POSITION_NONE
        assert math.isnan(head.pose.pose.position.x) and math.isnan(head.looking_at_robot_angle)
        assert not head.looking_at_robot
    moved = peer.frames_of(array)["face_0"].transform.translation
    assert math.hypot(moved.x, moved.y, moved.z) == pytest.approx(1.0)


def test_compressed_images_and_topics_by_parameter(node, peer):
    topic = "/front/image/compressed"
    camera = peer.create_publisher(CompressedImage, topic, 1)
    peer.set_parameters(image_topic="/front/image", image_transport="compressed")
    peer.activate(topic)
    assert peer.spin_until(lambda: peer.count_subscribers("/front/camera_info"))
    pixels = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    message = CompressedImage(format="jpeg")
    message.data.frombytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    assert peer.answer(message, camera).heads


def test_the_annotated_image_is_made_for_subscribers_only(node, peer):
    peer.activate()
    pictures = []
    peer.answer(picture())
    subscription = peer.create_subscription(Image, "perception/image_annotated", pictures.append, 1)
    while not pictures:
        peer.answer(picture())
        peer.spin_until(lambda: pictures, 0.5)
    assert stamp_of(pictures[-1]) in [stamp_of(array) for array in peer.arrays]
    assert (pictures[-1].width, pictures[-1].height, pictures[-1].encoding) == (320, 240, "rgb8")
    assert bytes(pictures[-1].data) != bytes(picture().data), "nothing was drawn"
    assert len(pictures) < len(peer.arrays), "the first image was drawn though nobody listened"
    peer.destroy_subscription(subscription)


def test_quality_of_service(active, peer):
    (poses,) = peer.get_publishers_info_by_topic("perception/head_poses")
    assert poses.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    frames = peer.get_publishers_info_by_topic("/tf")[0].qos_profile
    assert frames.reliability == ReliabilityPolicy.RELIABLE
    assert frames.durability == DurabilityPolicy.VOLATILE
    (camera,) = peer.get_subscriptions_info_by_topic("/image_raw")
    assert camera.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_parameters_are_described_and_guarded(active, peer):
    listed = peer.call(ListParameters, "perception/list_parameters", ListParameters.Request())
    request = DescribeParameters.Request(names=sorted(listed.result.names))
    described = peer.call(DescribeParameters, "perception/describe_parameters", request)
    own = {d.name: d for d in described.descriptors if d.name in shipped_parameters()}
    assert set(own) == set(shipped_parameters())
    assert [d.name for d in own.values() if len(d.description) < 20] == []
    assert own["max_rate"].floating_point_range[0].to_value == 1000.0

    (refused,) = peer.set_parameters(image_topic="/other")
    assert not refused.successful and "clean up" in refused.reason
    (unknown,) = peer.set_parameters(image_transport="theora")
    assert not unknown.successful and "compressed" in unknown.reason
    (unknown,) = peer.set_parameters(mirror="sometimes")
    assert not unknown.successful and "auto or always or never" in unknown.reason
    (refused,) = peer.set_parameters(mirror="never")
    assert not refused.successful and "clean up" in refused.reason


def test_frames_can_be_switched_off_while_it_runs(untracked, peer):
    on = peer.answer(picture())
    assert peer.spin_until(lambda: peer.frames_of(on))
    assert peer.set_parameters(publish_tf=False)[0].successful
    first, second = peer.answer(picture()), peer.answer(picture())
    peer.spin_until(lambda: peer.frames_of(second), 0.3)
    assert not peer.frames_of(first) and not peer.frames_of(second)
