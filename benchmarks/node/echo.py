# SPDX-License-Identifier: Apache-2.0
"""Stands for the perception node: every image is answered with its header at once, so that what an
answer takes is ROS alone."""

import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image

from hpe_vlm_ros.msg import HeadPoseArray
from hpe_vlm_ros.nodes.qos import output_qos, overridable, sensor_qos


def main() -> int:
    rclpy.init()
    node = LifecycleNode("perception")
    answers = node.create_publisher(HeadPoseArray, "~/head_poses", output_qos(5))
    node.create_subscription(
        Image,
        "image_raw",
        lambda image: answers.publish(HeadPoseArray(header=image.header)),
        sensor_qos(),
        qos_overriding_options=overridable(),
    )
    node.trigger_configure()
    node.trigger_activate()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
