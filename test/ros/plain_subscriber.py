# SPDX-License-Identifier: Apache-2.0
"""What any user would write: subscribes to the poses and to TF, prints one JSON line a message.

Imports nothing of this package but its messages. Arguments: the poses' topic, and how many arrays
to wait for.
"""

import json
import sys

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from hpe_vlm_ros.msg import HeadPoseArray


def header(message):
    return [message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id]


class PlainSubscriber(Node):
    def __init__(self, topic):
        super().__init__("plain_subscriber")
        self.arrays = 0
        self.frames = 0
        self.create_subscription(HeadPoseArray, topic, self.on_heads, 5)
        self.create_subscription(TFMessage, "/tf", self.on_tf, QoSProfile(depth=100))

    def on_heads(self, message):
        self.arrays += 1
        heads = [header(head) for head in message.heads]
        print(json.dumps({"array": header(message), "heads": heads}), flush=True)

    def on_tf(self, message):
        self.frames += 1
        for frame in message.transforms:
            print(json.dumps({"tf": header(frame), "child": frame.child_frame_id}), flush=True)


rclpy.init()
node = PlainSubscriber(sys.argv[1])
print(json.dumps({"ready": True}), flush=True)
while node.arrays < int(sys.argv[2]) or not node.frames:
    rclpy.spin_once(node)
node.destroy_node()
rclpy.shutdown()
