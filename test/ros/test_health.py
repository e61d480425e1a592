# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says of cameras whose images come to nothing, and of time that goes astray."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from graph import SCRIPT, calibration, stamp_of
from painting import painted
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

HEADS = ((80, 0),)
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
REASONS = {
    "encoding": "encoding",
    "step": "step",
    "zero": "bears no stamp",
    "old": "its stamp is 50",
    "future": "in the future",
    "lossy": "config/fastdds.xml",
}


def spoilt(name):
    message = painted(HEADS)
    if name == "encoding":
        message.encoding = "xyz8"
    if name == "step":
        message.step = 7
    return message


def test_each_camera_is_judged_by_itself(scripted, crowd):
    """One is well, one is dead, and of the others no image can be answered, or most get lost."""
    heard: dict[str, list[tuple[bytes, str]]] = {}

    def keep(array):
        for status in array.status:
            if status.hardware_id == "/scripted/perception":
                name = status.name.rpartition(" ")[2]
                heard.setdefault(name, []).append((status.level, status.message))

    crowd.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
    cameras = [*REASONS, "well", "dead"]
    crowd.set_parameters(cameras=cameras, max_age=20.0)
    assert crowd.transition("configure") and crowd.transition("activate")
    senders = {name: crowd.create_publisher(Image, f"{name}/image_raw", 1) for name in cameras}
    for sender in senders.values():
        assert crowd.spin_until(sender.get_subscription_count)
    ages = {"old": 50.0, "future": -3600.0}
    chance = np.random.default_rng(0)
    cured: list[str] = []

    def send():
        for name, sender in senders.items():
            if name == "zero":
                sender.publish(painted(HEADS))
            elif name not in ("lossy", "dead"):
                bad = name not in cured
                crowd.send(spoilt(name if bad else ""), sender, ages.get(name, 0.0) if bad else 0.0)

    def send_some():
        """Most get lost of those that bear ten stamps a second."""
        if chance.random() < 0.3:
            message = painted(HEADS)
            message.header.stamp = time(round(crowd.get_clock().now().nanoseconds / 1e8) / 10)
            senders["lossy"].publish(message)

    crowd.create_timer(0.3, send)
    crowd.create_timer(0.1, send_some)

    def told(name, level):
        return any(said == level and REASONS[name] in text for said, text in heard.get(name, []))

    for level in (WARN, ERROR):
        for name in REASONS:
            assert crowd.spin_until(lambda: told(name, level)), (name, heard.get(name))  # noqa: B023
    for name in REASONS:
        levels = [level for level, _ in heard[name]]
        assert levels.index(WARN) < levels.index(ERROR), "no warning came before"
        if name != "lossy":
            first = next(text for level, text in heard[name] if level == ERROR)
            assert "no image answered for 1" in first
    assert ERROR not in [level for level, _ in heard["well"]]
    assert "no images: one never came on dead/image_raw" in heard["dead"][-1][1]
    assert "config/fastdds.xml" in heard["dead"][-1][1], "it is published"
    warnings = [line for line in scripted.log.splitlines() if "[WARN]" in line]
    assert len([line for line in warnings if "in the future" in line]) == 1, "not said once"

    cured += ["encoding", "future"]
    for name in cured:
        assert crowd.spin_until(lambda: "camera_info" in heard[name][-1][1])  # noqa: B023


def test_the_stamps_of_the_future_may_be_let_through(scripted, crowd):
    """max_age 0 is any age; within a second clocks may differ."""
    crowd.activate()
    assert crowd.answer(painted(HEADS), age=-3600.0).heads
    crowd.set_parameters(max_age=5.0)
    assert crowd.answer(painted(HEADS), age=-0.5).heads


def test_camera_info_that_was_published_once_is_heard(start_node, second_peer):
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    once = second_peer.create_publisher(CameraInfo, "camera_info", qos)
    once.publish(calibration())
    second_peer.destroy_publisher(second_peer.calibration)
    start_node(module=SCRIPT, autostart=True, max_age=0.0)
    second_peer.wait_for_node()
    while not second_peer.answer(painted(HEADS)).heads[0].position_source:
        pass


def test_camera_info_of_ordinary_cameras_is_subscribed_to_once(scripted, crowd):
    """Each would warn of a subscription that asks for more than it offers."""
    crowd.activate()
    while not crowd.answer(painted(HEADS)).heads[0].position_source:
        crowd.calibration.publish(calibration())
    topic = "/scripted/camera_info"
    # the graph may hear of it some time after the node itself
    assert crowd.spin_until(lambda: crowd.get_subscriptions_info_by_topic(topic))
    (found,) = crowd.get_subscriptions_info_by_topic(topic)
    assert found.qos_profile.durability == DurabilityPolicy.VOLATILE


def test_durability_can_be_overridden(start_node, second_peer):
    name = "qos_overrides./second/camera_info.subscription"
    start_node(
        module=SCRIPT,
        autostart=True,
        **{f"{name}.durability": "transient_local", f"{name}.reliability": "reliable"},
    )
    second_peer.wait_for_node()
    topic = "/second/camera_info"
    # the graph may hear of it some time after the node itself
    assert second_peer.spin_until(lambda: second_peer.get_subscriptions_info_by_topic(topic))
    (found,) = second_peer.get_subscriptions_info_by_topic(topic)
    assert found.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize("reset", [7.4, 1.0])
def test_after_a_reset_of_the_clock_no_old_place_is_used(start_node, second_peer, reset):
    """The robot stood elsewhere at the same times before it."""
    peer, before = second_peer, 8.0
    clock = peer.create_publisher(Clock, "/clock", 10)
    frames = peer.create_publisher(TFMessage, "/tf", 100)
    now, node_time = [before], []
    peer.create_timer(0.02, lambda: clock.publish(Clock(clock=time(now[0]))))
    peer.create_subscription(
        DiagnosticArray, "/diagnostics", lambda a: node_time.append(seconds(a.header.stamp)), 10
    )
    start_node(
        module=SCRIPT, autostart=True, use_sim_time=True, tracking=False, max_age=0.0,
        max_rate=0.0, robot_frame="robot",
    )  # fmt: skip
    peer.wait_for_node()
    peer.answer(painted(HEADS))  # from now on it listens to TF

    tries = itertools.count()

    def angle(stamp):
        """In an image of about this time; NaN where it is unknown, or no answer comes."""
        message = painted(((240, 90),))
        message.header.stamp, message.header.frame_id = time(stamp), "camera_optical"
        message.header.stamp.nanosec += next(tries)
        peer.calibration.publish(calibration())
        peer.camera.publish(message)
        wanted = stamp_of(message)
        if not peer.spin_until(lambda: wanted in map(stamp_of, peer.arrays), 2.0):
            return np.nan
        answer = next(a for a in peer.arrays if stamp_of(a) == wanted)
        return answer.heads[0].looking_at_robot_angle

    ahead = [robot(k / 10, 0.0, 0.5) for k in range(1, 81)]
    while not angle(before - 0.05) > 1:
        frames.publish(TFMessage(transforms=ahead))
    now[0] = reset
    assert peer.spin_until(lambda: node_time and node_time[-1] < before - 0.3)
    aside = [robot(reset + 0.02 + k / 10, -50.0, 2.0) for k in range(10)]
    found = np.nan
    while np.isnan(found):
        frames.publish(TFMessage(transforms=aside))
        peer.spin_for(0.1)
        found = angle(reset + 0.33)
    assert found < 0.1


def robot(stamp, x, z):
    placed = TransformStamped(child_frame_id="robot")
    placed.header.frame_id, placed.header.stamp = "camera_optical", time(stamp)
    placed.transform.translation.x, placed.transform.translation.z = x, z
    return placed


def time(of):
    return Time(sec=int(of), nanosec=round(of % 1 * 1e9))


def seconds(stamp):
    return stamp.sec + stamp.nanosec / 1e9
