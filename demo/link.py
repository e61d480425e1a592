# SPDX-License-Identifier: Apache-2.0
"""The other end of the node's topics: sends camera frames, collects poses and TF."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from demo.frames import Frame, header
from demo.process import NodeError, NodeProcess, image_topic
from hpe_vlm_ros.msg import HeadPoseArray
from hpe_vlm_ros.nodes.client import Client
from hpe_vlm_ros.nodes.messages import nanoseconds

SAY_AGAIN = 3.0  # seconds without an answer to the first image
READY = 600.0  # seconds; the largest models load for minutes
TF_TIMEOUT = 1.0  # seconds; TF follows the poses at once


@dataclass
class Sent:
    """A frame that was sent, and what came back. Times in seconds of time.monotonic()."""

    frame: Frame
    at: float
    back_at: float | None = None
    answer: HeadPoseArray | None = None
    transforms: list[TransformStamped] = field(default_factory=list)

    @property
    def latency(self) -> float | None:
        """Seconds from sending the image to receiving its poses; None without an answer."""
        return None if self.back_at is None else self.back_at - self.at


class Link(Client):
    """A camera and a listener in one node, for the perception node in `namespace`.

    Answers are matched with frames by the stamp in their header. Ctrl-C stays with the caller.
    """

    def __init__(self, namespace: str, transport: str) -> None:
        super().__init__("camera", namespace)
        self._by_stamp: dict[int, Sent] = {}
        self.perception = f"{namespace}/perception"
        kind = CompressedImage if transport == "compressed" else Image
        qos = QoSProfile(depth=1)  # reliable, as a listener may ask for it
        self._images = self.create_publisher(kind, image_topic(namespace, transport), qos)
        self._infos = self.create_publisher(CameraInfo, f"{namespace}/camera_info", qos)
        poses = f"{self.perception}/head_poses"
        self._poses = self.create_subscription(HeadPoseArray, poses, self._on_poses, 50)
        self.create_subscription(TFMessage, "/tf", self._on_transforms, QoSProfile(depth=100))

    def wait_for(self, process: NodeProcess, first: Frame) -> None:
        """Until the node of this process answers `first`, which also warms it up; NodeError if it
        does not. The frame gets a stamp before all others."""
        give_up = time.monotonic() + READY
        state = self.node_state(self.perception, READY, process.check)
        if state is None:
            raise NodeError(f"the node does not come up{process.last_words()}")
        if state != "active":
            raise NodeError(f"the node is {state}, not active{process.last_words()}")
        if self.count_publishers(self._poses.topic_name) > 1:
            raise NodeError(
                f"somebody else publishes {self._poses.topic_name} as well: set ROS_DOMAIN_ID to "
                "another number below 102, or stop the other demo"
            )
        early = _at(first, first.stamp - 1)
        pause = SAY_AGAIN
        while time.monotonic() < give_up:
            if self.receive(self.send(early), pause, process):
                self.spin_for(0.1)  # a second answer may be on its way
                return
            pause *= 2  # it may be slow rather than deaf
        raise NodeError(f"the node answers no image{process.last_words()}")

    def send(self, frame: Frame) -> Sent:
        """Publishes a frame, its camera_info first."""
        if frame.info is not None:
            self._infos.publish(frame.info)
        sent = Sent(frame, time.monotonic())
        self._by_stamp[frame.stamp] = sent
        self._images.publish(frame.image)
        return sent

    def receive(self, sent: Sent, timeout: float, process: NodeProcess) -> bool:
        """Waits for the poses of a frame, and for their TF; whether the poses came."""
        answered = self.spin_until(lambda: sent.answer is not None, timeout, process.check)
        if sent.answer is not None and sent.answer.heads:
            self.spin_until(lambda: sent.transforms, TF_TIMEOUT, process.check)
        return answered

    def forget(self, sent: Sent) -> None:
        """Takes no more answers for this frame."""
        self._by_stamp.pop(sent.frame.stamp, None)

    def _on_poses(self, message: HeadPoseArray) -> None:
        sent = self._by_stamp.get(nanoseconds(message.header.stamp))
        if sent is not None and sent.answer is None:
            sent.answer, sent.back_at = message, time.monotonic()

    def _on_transforms(self, message: TFMessage) -> None:
        for transform in message.transforms:
            sent = self._by_stamp.get(nanoseconds(transform.header.stamp))
            if sent is not None:
                sent.transforms.append(transform)


def _at(frame: Frame, stamp: int) -> Frame:
    """The same frame at another time."""
    image: Any = type(frame.image)()
    for name in frame.image.get_fields_and_field_types():
        setattr(image, name, getattr(frame.image, name))
    image.header = header(stamp, frame.image.header.frame_id)
    return replace(frame, image=image)
