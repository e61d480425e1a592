# SPDX-License-Identifier: Apache-2.0
"""Where the targets of gazes are: /tf and /tf_static, listened to from when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hpe_vlm_ros.nodes.messages import nanoseconds
from hpe_vlm_ros.people.people import ROBOT
from hpe_vlm_ros.transforms import Frames, TransformError

Complain = Callable[[str, str], None]
"""Warns: a kind of trouble, which is not told of too often, and a text about it."""


class Targets:
    """Places of frames in a camera's, at the stamps of its images."""

    def __init__(self, node: Node, complain: Complain) -> None:
        self._node, self._complain = node, complain
        self._frames = Frames()
        self._subscriptions: list[Any] = []
        # every jump back, however small, and none ahead
        jump = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
        self._jumps = node.get_clock().create_jump_callback(
            jump, post_callback=lambda change: self.forget()
        )

    def forget(self) -> None:
        """Where frames were that move: time has gone back, and their stamps come again."""
        self._frames.clear()

    def at(
        self, header: Header, robot_frame: str, names: Iterable[str]
    ) -> dict[str, NDArray[np.float64] | None]:
        """The robot's place and those of the named frames: (3,) metres in the frame of this header,
        at its stamp; None where TF does not tell it (yet), which is complained of."""
        wanted = {ROBOT: robot_frame, **{name: name for name in names}}
        if any(wanted.values()):
            self._listen()
        return {name: self._place(frame, header) for name, frame in wanted.items()}

    def close(self) -> None:
        """Ends the subscriptions; the clock's jumps are heard no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self._jumps.unregister()

    def _place(self, frame: str, header: Header) -> NDArray[np.float64] | None:
        if not frame:
            return np.zeros(3)  # the camera itself
        camera, frame = header.frame_id.lstrip("/"), frame.lstrip("/")
        try:
            return self._frames.place(frame, camera, nanoseconds(header.stamp)).translation
        except TransformError as error:
            self._complain(f"tf {frame}", f"who looks at '{frame}' is unknown: {error}")
            return None

    def _listen(self) -> None:
        if self._subscriptions:
            return
        durability = {
            "/tf": DurabilityPolicy.VOLATILE,
            "/tf_static": DurabilityPolicy.TRANSIENT_LOCAL,
        }
        for topic, kept in durability.items():
            qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=kept)
            self._subscriptions.append(
                self._node.create_subscription(
                    TFMessage, topic, self._on_static if "static" in topic else self._on_moving, qos
                )
            )

    def _on_moving(self, message: TFMessage) -> None:
        self._take(message, moving=True)

    def _on_static(self, message: TFMessage) -> None:
        self._take(message, moving=False)

    def _take(self, message: TFMessage, moving: bool) -> None:
        for transform in message.transforms:
            if transform.child_frame_id.startswith(("face_", "gaze_")):
                continue  # our own, and those of our like
            moved, turned = transform.transform.translation, transform.transform.rotation
            try:
                self._frames.put(
                    transform.header.frame_id.lstrip("/"),
                    transform.child_frame_id.lstrip("/"),
                    nanoseconds(transform.header.stamp) if moving else None,
                    (moved.x, moved.y, moved.z),
                    (turned.x, turned.y, turned.z, turned.w),
                )
            except ValueError as error:
                self._complain("tf", f"transform ignored: {error}")
