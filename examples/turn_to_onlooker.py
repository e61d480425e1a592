#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a pan-tilt unit towards whoever has looked at the robot longest.

    ros2 run hpe_vlm_ros turn_to_onlooker --ros-args -r head_poses:=/perception/head_poses

Takes HeadPoseArray on `head_poses` and gives `commands`, a std_msgs/Float64MultiArray as
ros2_control's forward_command_controller takes it: pan and tilt in radians, pan > 0 to the left,
tilt > 0 down. The camera is taken to stand still beside the unit; on a unit that carries it, set
`carries_camera`.
When nobody looks, the unit stays where it is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray

from hpe_vlm_ros.msg import HeadPose, HeadPoseArray
from hpe_vlm_ros.nodes import signals

AWAY_TIMEOUT = 0.7  # seconds for which somebody may look away and still count as looking


class Onlookers:
    """Since when each person has been looking, in seconds of the images' stamps."""

    def __init__(self) -> None:
        self._looks: dict[str, tuple[float, float]] = {}  # id: since, last

    def see(self, time: float, heads: Iterable[HeadPose]) -> str | None:
        """The id of who has looked longest, None when nobody does."""
        if any(time < last for _, last in self._looks.values()):
            self._looks.clear()  # time has jumped back
        for head in heads:
            if head.id and head.looking_at_robot:
                since, _ = self._looks.get(head.id, (time, time))
                self._looks[head.id] = since, time
        self._looks = {i: look for i, look in self._looks.items() if time - look[1] <= AWAY_TIMEOUT}
        return min(self._looks, key=lambda i: (self._looks[i][0], i), default=None)


def bearing(head: HeadPose) -> tuple[float, float] | None:
    """Pan and tilt in radians from the optical axis to a head; None where it is unknown."""
    place = head.pose.pose.position
    if head.position_source == HeadPose.POSITION_NONE:
        return None
    return math.atan2(-place.x, place.z), math.atan2(place.y, math.hypot(place.x, place.z))


class TurnToOnlooker(Node):
    def __init__(self, **options: object) -> None:
        super().__init__("turn_to_onlooker", **options)
        self.declare_parameter("carries_camera", False)
        self.declare_parameter("gain", 0.5)  # of the way, at each image, when it carries the camera
        self._onlookers = Onlookers()
        self._pan = self._tilt = 0.0
        self._commands = self.create_publisher(Float64MultiArray, "commands", 1)
        self.create_subscription(HeadPoseArray, "head_poses", self._on_heads, 5)

    def _on_heads(self, message: HeadPoseArray) -> None:
        time = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        chosen = self._onlookers.see(time, message.heads)
        for head in message.heads:
            if head.id == chosen and (way := bearing(head)) is not None:
                self._turn(*way)

    def _turn(self, pan: float, tilt: float) -> None:
        if self.get_parameter("carries_camera").value:
            gain = float(self.get_parameter("gain").value or 0.0)
            pan, tilt = self._pan + gain * pan, self._tilt + gain * tilt
        self._pan, self._tilt = pan, tilt
        self._commands.publish(Float64MultiArray(data=[pan, tilt]))


def main() -> int:
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signals.on_first_signal(rclpy.try_shutdown)
    try:
        rclpy.spin(TurnToOnlooker())
    except Exception:  # whatever it was in the midst of when it was told to end
        if rclpy.ok():
            raise
    finally:
        signals.ignore()
    return 0


if __name__ == "__main__":
    sys.exit(main())
