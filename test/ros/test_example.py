# SPDX-License-Identifier: Apache-2.0
"""The example behaviour in a ROS graph, fed with nothing but our messages."""

import math
import os
import shutil
import signal
import subprocess
import time

import pytest
import rclpy
from graph import ROOT
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from std_msgs.msg import Float64MultiArray

from examples.turn_to_onlooker import TurnToOnlooker
from hpe_vlm_ros.msg import HeadPose, HeadPoseArray


def head(name, looking, x, z=2.0, y=0.0, source=HeadPose.POSITION_BOX_SIZE):
    message = HeadPose(id=name, looking_at_robot=looking, position_source=source)
    place = message.pose.pose.position
    place.x, place.y, place.z = float(x), float(y), float(z)
    return message


class Graph:
    """The behaviour, a camera node's stand-in, and what the joints are told."""

    def __init__(self, *parameters):
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = TurnToOnlooker(context=self.context, parameter_overrides=list(parameters))
        self.other = rclpy.create_node("other", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        for node in (self.node, self.other):
            self.executor.add_node(node)
        self.told: list[tuple[float, float]] = []
        self.heads = self.other.create_publisher(HeadPoseArray, "head_poses", 5)
        self.other.create_subscription(
            Float64MultiArray, "commands", lambda m: self.told.append(tuple(m.data)), 10
        )
        self.time = 100.0
        self.until(self.heads.get_subscription_count)
        self.until(lambda: self.node.count_subscribers("commands"))

    def until(self, condition, steps=2000):
        for _ in range(steps):
            if condition():
                return True
            self.executor.spin_once(timeout_sec=0.02)
        return False

    def show(self, *heads, after=0.2):
        """Publishes an image's heads; the command that follows, None when there is none."""
        self.time += after
        message = HeadPoseArray(heads=list(heads))
        message.header.stamp.sec = int(self.time)
        message.header.stamp.nanosec = int((self.time % 1) * 1e9)
        before = len(self.told)
        self.heads.publish(message)
        placed = [h for h in heads if h.position_source != HeadPose.POSITION_NONE]
        looked_for = any(h.looking_at_robot for h in placed)
        self.until(lambda: len(self.told) > before, 2000 if looked_for else 20)
        return self.told[-1] if len(self.told) > before else None

    def close(self):
        self.executor.shutdown()
        for node in (self.node, self.other):
            node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def graph():
    made = Graph()
    yield made
    made.close()


def test_it_turns_to_who_has_looked_longest_and_stays_with_them(graph):
    left, right = math.atan(0.5), -math.atan(0.5)
    assert graph.show(head("h0001", False, -1), head("h0002", False, 1)) is None
    assert graph.show(head("h0001", True, -1), head("h0002", False, 1))[0] == pytest.approx(left)
    assert graph.show(head("h0001", True, -1), head("h0002", True, 1))[0] == pytest.approx(left)
    # Looking away for a moment changes nothing; for longer, the next one has the floor.
    graph.show(head("h0001", False, -1), head("h0002", True, 1))
    assert graph.told[-1][0] == pytest.approx(left)
    assert graph.show(head("h0001", False, -1), head("h0002", True, 1), after=0.6)[
        0
    ] == pytest.approx(right)


def test_tilt_is_positive_down_and_unknown_places_are_left_alone(graph):
    pan, tilt = graph.show(head("h0001", True, 0, y=1.0))
    assert (pan, tilt) == (pytest.approx(0), pytest.approx(math.atan(0.5)))
    nowhere = head("h0002", True, math.nan, source=HeadPose.POSITION_NONE)
    assert graph.show(head("h0001", False, 0), nowhere, after=1.0) is None


def test_on_a_unit_that_carries_the_camera_it_closes_in():
    graph = Graph(Parameter("carries_camera", value=True), Parameter("gain", value=0.5))
    target = 0.8  # radians to the left
    try:
        pan = 0.0
        for _ in range(8):
            off = target - pan
            pan, _ = graph.show(head("h0001", True, -2 * math.tan(off)))
        assert pan == pytest.approx(target, abs=0.01)
    finally:
        graph.close()


def test_it_is_installed_as_a_program_that_ends_cleanly(graph, tmp_path):
    """`ros2 run hpe_vlm_ros turn_to_onlooker`: a file that stands alone, with a name of its own."""
    installs = " ".join((ROOT / "CMakeLists.txt").read_text().split())
    place = "examples/turn_to_onlooker.py DESTINATION lib/${PROJECT_NAME}"
    assert f"install(PROGRAMS {place} RENAME turn_to_onlooker)" in installs
    program = shutil.copy(ROOT / "examples" / "turn_to_onlooker.py", tmp_path / "turn_to_onlooker")
    places = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    arguments = ["--ros-args", "-r", "__node:=installed"]
    process = subprocess.Popen(
        [program, *arguments], cwd=tmp_path, env={**os.environ, "PYTHONPATH": places},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while "installed" not in graph.other.get_node_names():
        assert process.poll() is None
        graph.executor.spin_once(timeout_sec=0.1)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.004)
    assert process.returncode == 0
    assert "Traceback" not in process.stderr.read()
