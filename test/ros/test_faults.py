# SPDX-License-Identifier: Apache-2.0
"""What the node does when the model or the camera misbehaves; docs/faults.md lists it."""

from __future__ import annotations

import signal
from array import array

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from graph import SCRIPT, calibration
from painting import HEIGHT, WIDTH, painted
from rclpy.qos import QoSProfile, ReliabilityPolicy
from scripted_node import HANG, NO_MEMORY, RAISE, SLOW, SLOW_SECONDS
from sensor_msgs.msg import CompressedImage, Image

HEADS = ((80, 0),)


@pytest.fixture
def health(crowd):
    """Newest diagnostics of the scripted node, by what they are about."""
    found: dict[str, DiagnosticStatus] = {}

    def keep(message: DiagnosticArray) -> None:
        found.update(
            {
                s.name.split(": ", 1)[1]: s
                for s in message.status
                if s.name.startswith("/scripted/perception: ")
            }
        )

    crowd.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
    return found


def says(crowd, health, name, level, words):
    """The facts of a status, once it has this level and its message these words."""

    def told():
        status = health.get(name)
        return status is not None and status.level == level and words in status.message

    assert crowd.spin_until(told), health
    return {v.key: v.value for v in health[name].values}


def warnings_of(log, words):
    return [line for line in log.splitlines() if "[WARN]" in line and words in line]


@pytest.mark.parametrize(
    ("command", "words"),
    [(RAISE, "does not feel well"), (NO_MEMORY, "lower max_heads")],
)
def test_a_model_that_fails_is_reported_and_the_next_image_served(
    scripted, crowd, health, command, words
):
    crowd.activate()
    crowd.answer(painted(HEADS))
    while not warnings_of(scripted.log, words):
        crowd.send(painted(HEADS, command))
        crowd.spin_for(0.2)
    says(crowd, health, "model", DiagnosticStatus.ERROR, words)
    assert crowd.state() == "active"
    message = crowd.answer(painted(HEADS))
    assert message.heads and message.dropped_frames > 0
    says(crowd, health, "model", DiagnosticStatus.OK, "active")


def test_a_model_that_hangs_is_given_up_and_activate_tries_again(scripted, crowd, health):
    crowd.set_parameters(inference_timeout=1.0)
    crowd.activate()
    crowd.answer(painted(HEADS))
    while crowd.state() == "active":
        crowd.send(painted(HEADS, HANG))
        crowd.spin_for(0.2)
    assert crowd.state() == "inactive"
    says(crowd, health, "model", DiagnosticStatus.ERROR, "has not answered an image")
    assert "going to inactive" in scripted.log
    assert crowd.transition("activate")
    assert crowd.answer(painted(HEADS)).heads
    says(crowd, health, "model", DiagnosticStatus.OK, "active")
    assert "Traceback" not in scripted.log


def test_no_answer_is_published_that_is_older_than_max_age(scripted, crowd, health):
    limit = 20 * SLOW_SECONDS
    crowd.set_parameters(max_age=limit)
    crowd.activate()
    crowd.answer(painted(HEADS, SLOW))
    facts = says(crowd, health, "camera", DiagnosticStatus.WARN, "camera_info")
    while "age p95, ms" not in facts:
        crowd.answer(painted(HEADS, SLOW))
        facts = says(crowd, health, "camera", DiagnosticStatus.WARN, "camera_info")
    # Measured by the node itself, right after publishing.
    assert SLOW_SECONDS <= float(facts["age p95, ms"]) / 1000 <= limit + 0.1
    crowd.set_parameters(max_age=SLOW_SECONDS / 2)  # less than the model takes
    crowd.spin_for(2 * SLOW_SECONDS)
    before = len(crowd.arrays)
    while not warnings_of(scripted.log, "older than max_age"):
        crowd.send(painted(HEADS, SLOW))
        crowd.spin_for(0.1)
    crowd.spin_for(2 * SLOW_SECONDS)
    assert len(crowd.arrays) == before
    crowd.set_parameters(max_age=limit)
    assert crowd.answer(painted(HEADS)).heads


def malformed(number):
    """One of many kinds of images that are not images."""
    good = painted(HEADS)
    kind = number % 8
    if kind == 0:
        good.step = 7
    elif kind == 1:
        good.data = good.data[: number % 1000]
    elif kind == 2:
        good.encoding = f"rgb{number}"
    elif kind == 3:
        good.width = 0
    elif kind == 4:
        good.height = 2**31 + number
    elif kind == 5:
        good.width, good.height = 4, 4
    elif kind == 6:
        good.encoding, good.step = "mono16", 2 * WIDTH - 1
    else:
        good.encoding, good.data, good.is_bigendian = "bayer_rggb8", array("B"), 1
    return good


def test_a_thousand_malformed_images_cost_some_warnings_and_nothing_else(scripted, crowd):
    crowd.activate()
    crowd.answer(painted(HEADS))
    scripted.forget_log()
    for number in range(1000):
        crowd.send(malformed(number))
        crowd.spin_for(0.002)
    assert crowd.answer(painted(HEADS)).heads
    assert warnings_of(scripted.log, "image dropped")
    # One for each of some five kinds in five seconds.
    assert len(scripted.log.splitlines()) < 200
    assert "Traceback" not in scripted.log and scripted.alive


def test_truncated_pictures_and_noise_in_their_place(scripted, crowd):
    crowd.set_parameters(image_transport="compressed")
    crowd.activate("image_raw/compressed")
    camera = crowd.create_publisher(CompressedImage, "image_raw/compressed", 1)
    pixels = np.frombuffer(bytes(painted(HEADS).data), np.uint8).reshape(HEIGHT, WIDTH, 3)
    whole = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes()
    noise = np.random.default_rng(0)
    for number in range(50):
        cut = whole[: number * len(whole) // 60] if number % 2 else noise.bytes(200)
        message = CompressedImage(format="jpeg")
        message.data.frombytes(cut)
        crowd.send(message, camera)
        crowd.spin_for(0.002)
    good = CompressedImage(format="jpeg")
    good.data.frombytes(whole)
    assert crowd.answer(good, camera).heads
    assert "Traceback" not in scripted.log


def test_depth_in_the_place_of_colour_is_not_answered(scripted, crowd):
    crowd.set_parameters(image_transport="compressed")
    crowd.activate("image_raw/compressed")
    camera = crowd.create_publisher(CompressedImage, "image_raw/compressed", 1)
    pixels = np.frombuffer(bytes(painted(HEADS).data), np.uint8).reshape(HEIGHT, WIDTH, 3)
    deep = pixels[..., 0].astype(np.uint16) * 257
    for suffix, picture, format in (
        (".png", deep, "16UC1; png compressed "),
        (".jpg", pixels[..., 0], "16UC1; jpeg compressed mono8"),
        (".png", deep, "png"),
    ):
        scripted.forget_log()
        message = CompressedImage(format=format)
        message.data.frombytes(cv2.imencode(suffix, picture)[1].tobytes())

        def refused(message=message):
            crowd.send(message, camera)
            crowd.spin_for(0.05)
            return warnings_of(scripted.log, "is a depth image: set image_topic")

        assert crowd.spin_until(refused)
        assert not crowd.arrays
    good = CompressedImage(format="jpeg")
    good.data.frombytes(cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes())
    assert crowd.answer(good, camera).heads


def test_a_depth_image_that_does_not_fit_costs_a_warning(scripted, crowd):
    crowd.set_parameters(depth_topic="depth", depth_slop=1.0)
    crowd.activate()
    camera = crowd.create_publisher(Image, "depth", 1)
    assert crowd.spin_until(camera.get_subscription_count)
    small = Image(width=32, height=24, encoding="16UC1", step=64)
    small.data = array("B", bytes(24 * 64))
    while not warnings_of(scripted.log, "registered to the camera"):
        crowd.send(small, camera)
        crowd.calibration.publish(calibration())
        assert crowd.answer(painted(HEADS)).heads


def test_a_camera_that_starts_again_is_heard_again(scripted, crowd):
    crowd.activate()
    crowd.answer(painted(HEADS))
    for _ in range(3):
        crowd.destroy_publisher(crowd.camera)
        crowd.camera = crowd.create_publisher(Image, "image_raw", 1)
        assert crowd.spin_until(crowd.camera.get_subscription_count)
        assert crowd.answer(painted(HEADS)).heads


def test_a_camera_that_sends_nothing_is_named(scripted, crowd, health):
    crowd.activate()
    says(crowd, health, "camera", DiagnosticStatus.WARN, "no images: one never came on image_raw")
    facts = says(crowd, health, "model", DiagnosticStatus.OK, "active")
    assert facts["model"] == "scripted" and int(facts["memory, MB"]) > 10


def test_a_camera_whose_quality_of_service_does_not_fit_is_named(start_node, second_peer):
    second_peer.destroy_publisher(second_peer.camera)
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    second_peer.camera = second_peer.create_publisher(Image, "image_raw", qos)
    found: list[str] = []

    def keep(message: DiagnosticArray) -> None:
        found.extend(s.message for s in message.status if s.level == DiagnosticStatus.ERROR)

    second_peer.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
    name = "qos_overrides./second/image_raw.subscription.reliability"
    process = start_node(module=SCRIPT, autostart=True, **{name: "reliable"})
    assert second_peer.spin_until(lambda: any("quality of service" in text for text in found))
    assert any("set qos_overrides./second/image_raw.subscription" in text for text in found)
    assert process.stop(signal.SIGTERM) == 0
