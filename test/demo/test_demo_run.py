# SPDX-License-Identifier: Apache-2.0
"""The whole demo as a user starts it: real node, shipped model, DDS, and what is written."""

import math
import signal

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from demo.bags import write_message
from demo.frames import camera_info, header
from hpe_vlm_ros.geometry import (
    CameraIntrinsics,
    angles_from_rotation,
    face_rotation,
    matrix_from_quaternion,
)
from hpe_vlm_ros.images import rgb_to_image
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.recordings.bag_writer import BagWriter

CAMERA = CameraIntrinsics(200.0, 200.0, 80.0, 60.0)
STAMPS = [10**18 + 10**8 * i for i in range(6)]  # long ago: recordings keep their stamps


@pytest.fixture(scope="module")
def bag(tmp_path_factory, faces):
    folder = tmp_path_factory.mktemp("source") / "bag"
    with BagWriter(folder) as writer:
        for stamp, face in zip(STAMPS, faces, strict=True):
            head = header(stamp, "robot_camera")
            info = camera_info(head, CAMERA, 160, 120)
            write_message(writer, "/robot/camera_info", stamp, info)
            write_message(writer, "/robot/image_raw", stamp, rgb_to_image(face, head))
    return folder


def read(folder):
    """Messages by topic, with nothing known about their types but what the bag says."""
    found = {}
    with AnyReader([folder]) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append(message)
    return found


def key(head):
    return head.stamp.sec * 10**9 + head.stamp.nanosec, head.frame_id


def test_a_bag_goes_through_the_node_and_comes_back(start, bag, faces, tmp_path):
    running = start("demo.run", "--source", bag, "--device", "cpu", "--out", tmp_path)
    assert running.finish() == 0, running.output
    rows = dict(line.split(maxsplit=2)[:2] for line in running.output.splitlines() if "  " in line)
    assert not running.left_over()
    assert (
        "frames answered        6" in running.output
        and "dropped                0" in running.output
    )

    found = read(tmp_path / "result")
    arrays = found["/demo/perception/head_poses"]
    expected = [(stamp, "robot_camera") for stamp in STAMPS]
    for topic in ("/demo/image_raw/compressed", "/demo/camera_info", "/demo/perception/head_poses"):
        assert [key(message.header) for message in found[topic]] == expected
    perceiver = HeadPerceiver.load(None, "cpu")
    total = 0
    for face, array in zip(faces, arrays, strict=True):
        estimates = perceiver(face, CAMERA)
        assert len(array.heads) == len(estimates)
        total += len(estimates)
        for head, estimate in zip(array.heads, estimates, strict=True):
            assert key(head.header) == key(array.header)
            box = (head.x_min, head.y_min, head.x_max, head.y_max)
            np.testing.assert_allclose(box, estimate.box, atol=1e-3)
            # untrained, the model also says rotations without a triple: those have no angles
            yaw, _, _ = angles_from_rotation(estimate.rotation) or (math.nan,) * 3
            assert math.degrees(head.yaw) == pytest.approx(yaw, abs=1e-3, nan_ok=True)
            q = head.pose.pose.orientation
            turn = matrix_from_quaternion((q.x, q.y, q.z, q.w))
            np.testing.assert_allclose(turn, face_rotation(estimate.rotation), atol=1e-6)
            assert head.pose.pose.position.z > 0  # the calibration arrived, too
    assert total > 0 and rows["heads"] == str(total)
    frames = [t for message in found["/tf"] for t in message.transforms]
    assert len(frames) == 2 * total
    assert {key(frame.header) for frame in frames} <= set(expected)

    video = cv2.VideoCapture(str(tmp_path / "heads.mp4"))
    shown = 0
    while video.read()[0]:
        shown += 1
    assert shown == 6
    assert cv2.imread(str(tmp_path / "contact_sheet.png")).shape[0] > 360


def test_ctrl_c_ends_everything(start, faces, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(200):  # 100 seconds in real time
        cv2.imwrite(str(pictures / f"{number:03}.png"), faces[number % 6])
    running = start("demo.run", "--source", pictures, "--out", tmp_path, "--realtime")
    running.read_until("playing")
    running.interrupt(signal.SIGINT)
    assert running.finish() == 130
    assert not running.left_over()
    assert "Traceback" not in running.output
    assert "Traceback" not in (tmp_path / "node.log").read_text()


def test_a_model_that_cannot_be_loaded_is_named(start, bag, tmp_path):
    missing = tmp_path / "nowhere"
    running = start("demo.run", "--source", bag, "--model", missing, "--out", tmp_path)
    assert running.finish() == 1
    assert "error: the node is unconfigured" in running.output and str(missing) in running.output
    assert "Traceback" not in running.output and not running.left_over()
