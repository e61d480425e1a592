# SPDX-License-Identifier: Apache-2.0
"""Every kind of bad image gets a message that says what and what to do; good ones are served on."""

from array import array

import cv2
import numpy as np
import pytest
from graph import NodeProcess, Peer, calibration, picture
from sensor_msgs.msg import CompressedImage, Image

from hpe_vlm_ros.msg import HeadPose


def send_until(peer: Peer, node: NodeProcess, message, words, publisher=None, age=0.0):
    """Sends the message until one line of the log holds all the words."""

    def told():
        return any(all(word in line for word in words) for line in node.log.splitlines())

    assert peer.send_until(told, message, publisher, age, every=0.2), (
        f"no line with {words} in:\n{node.log}"
    )
    assert node.alive and "Traceback" not in node.log


def short():
    message = picture()
    message.data = message.data[:1000]
    return message


BAD_IMAGES = {
    "empty": (Image, ["empty image", "camera driver"]),
    "no data": (lambda: Image(width=320, height=240, encoding="rgb8"), ["empty", "0 bytes"]),
    "unknown encoding": (lambda: picture(encoding="nv24"), ["'nv24'", "bgr8"]),
    "no encoding": (lambda: picture(encoding=""), ["''", "bgr8"]),
    "depth": (lambda: picture(encoding="16UC1", size=2), ["16UC1", "colour camera"]),
    "short": (short, ["1000 bytes", "230400"]),
    "1x1": (lambda: picture(1, 1), ["1x1", "16x16"]),
    "odd yuv": (lambda: picture(321, 240, "yuv422", 2), ["321", "pairs"]),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images(active: NodeProcess, peer: Peer, name: str):
    make, words = BAD_IMAGES[name]
    send_until(peer, active, make(), ["image dropped", *words])
    good = peer.answer(picture())
    assert good.heads
    assert good.dropped_frames >= 1 or any(a.dropped_frames for a in peer.arrays)


def test_an_image_that_is_too_old(active: NodeProcess, peer: Peer):
    words = ["image dropped", "max_age is 1 s", "use_sim_time"]
    send_until(peer, active, picture(), words, age=3600.0)
    assert not peer.arrays
    assert peer.answer(picture()).dropped_frames >= 1
    peer.set_parameters(max_age=0.0)  # as the message says
    assert peer.answer(picture(), age=3600.0).heads


def test_a_very_large_image_is_answered_with_advice(node: NodeProcess, peer: Peer):
    camera = peer.create_publisher(CompressedImage, "image_raw/compressed", 1)
    peer.set_parameters(image_transport="compressed", max_age=0.0)
    peer.activate("image_raw/compressed")
    message = CompressedImage(format="png")
    pixels = np.zeros((6000, 8000), np.uint8)
    message.data = array("B", cv2.imencode(".png", pixels)[1].tobytes())
    words = ["8000x6000", "lower the camera's resolution"]
    send_until(peer, node, message, words, camera)
    assert peer.answer(message, camera).heads
    broken = CompressedImage(format="jpeg", data=array("B", b"no picture at all"))
    send_until(peer, node, broken, ["cannot decode", "17 bytes"], camera)
    send_until(peer, node, CompressedImage(format="jpeg"), ["empty compressed"], camera)
    assert peer.answer(message, camera).heads


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (None, ["no camera_info", "camera_info_topic"]),
        (calibration(focal=0.0), ["focal lengths 0 and 0", "calibrate"]),
        (calibration(width=640, height=360), ["640x360", "320x240", "camera_info_topic"]),
    ],
)
def test_unusable_calibration_costs_the_position_only(active, peer, info, words):
    assert peer.spin_until(peer.calibration.get_subscription_count)

    def told():
        if info is not None:
            peer.calibration.publish(info)
        assert peer.answer(picture()).heads[0].position_source == HeadPose.POSITION_NONE
        return any(all(word in line for word in words) for line in active.log.splitlines())

    assert peer.spin_until(told), active.log

    def positioned():
        peer.calibration.publish(calibration())
        return peer.answer(picture()).heads[0].position_source == HeadPose.POSITION_BOX_SIZE

    assert peer.spin_until(positioned), "good calibration came too late"
