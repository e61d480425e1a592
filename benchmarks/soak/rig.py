# SPDX-License-Identifier: Apache-2.0
"""What a soak needs in the ROS graph: a camera, a listener, and who asks for transitions."""

from __future__ import annotations

import sys
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.scores import Identities
from benchmarks.soak.people_stream import Frame
from demo.process import NodeProcess

KEEP = 400  # frames whose truth is remembered until their answer comes
UNANSWERED = 60.0  # seconds after which a transition that was asked for is lost


@dataclass
class Record:
    """What is gathered over the run; times in seconds since its start."""

    frames_in: int = 0
    answers: list[tuple[float, float, float]] = field(default_factory=list)  # time, latency, age
    newest: list[tuple[float, float]] = field(default_factory=list)  # time, newest result's age
    resources: list[tuple[float, float, int, int]] = field(default_factory=list)
    identities: Identities = field(default_factory=lambda: Identities(iou=0.4))
    transitions: int = 0
    transitions_lost: int = 0


def resources(pid: int) -> tuple[float, int, int]:
    """Resident memory in MB, threads, and open files of a process."""
    folder = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    memory = float(status["VmRSS"].split()[0]) / 1024
    return memory, int(status["Threads"]), len(list((folder / "fd").iterdir()))


class Rig:
    """One ROS node beside the node under test, which runs in the namespace `space`."""

    def __init__(self, space: str, record: Record) -> None:
        import rclpy
        from lifecycle_msgs.srv import ChangeState
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import CameraInfo, Image

        from hpe_vlm_ros.msg import HeadPoseArray

        rclpy.init()
        self.record, self.started = record, time.monotonic()
        self._node = Node("soak", namespace=space)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(Image, "image_raw", QoSProfile(depth=1))
        self._infos = self._node.create_publisher(CameraInfo, "camera_info", 1)
        self._node.create_subscription(
            HeadPoseArray, "perception/head_poses", self._on_answer, QoSProfile(depth=50)
        )
        self._change = self._node.create_client(ChangeState, "perception/change_state")
        self._wanted: list[int] = []  # transitions still to be asked for
        self._asked: tuple[Any, float] | None = None
        self._truth: dict[int, Frame] = {}
        self._newest_stamp = 0

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def send(self, frame: Frame) -> None:
        from sensor_msgs.msg import CameraInfo, Image

        stamp = time.time_ns()
        height, width, _ = frame.rgb.shape
        image = Image(width=width, height=height, encoding="rgb8", step=3 * width)
        image.data = array("B", frame.rgb.tobytes())
        f = frame.focal
        info = CameraInfo(
            width=width, height=height, k=[f, 0.0, width / 2, 0.0, f, height / 2, 0.0, 0.0, 1.0]
        )
        for message in (image, info):
            message.header.frame_id = "camera_optical"
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        self._truth[stamp] = frame
        while len(self._truth) > KEEP:
            del self._truth[next(iter(self._truth))]
        if self._newest_stamp:
            age = (stamp - self._newest_stamp) / 1e9
            self.record.newest.append((time.monotonic() - self.started, age))
        self._infos.publish(info)
        self._images.publish(image)

    def spin(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def answered(self, process: NodeProcess, first: Frame, patience: float = 300.0) -> None:
        """Sends the first frame until it is answered; NodeError or TimeoutError if it never is."""
        give_up = time.monotonic() + patience
        while not self.record.answers:
            process.check()
            if time.monotonic() > give_up:
                raise TimeoutError(f"the node answers nothing{process.last_words()}")
            self.send(first)
            self.spin(time.monotonic() + 0.5)
        self.record.answers.clear()
        self.record.newest.clear()
        self.started = time.monotonic()

    def pause(self) -> None:
        """Asks the node to deactivate and then to activate, while images go on."""
        from lifecycle_msgs.msg import Transition

        if not self._wanted and self._asked is None:
            self._wanted = [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE]

    def look_after(self) -> None:
        """Asks for the next transition once the one before has been answered."""
        from lifecycle_msgs.srv import ChangeState

        now = time.monotonic()
        if self._asked is not None:
            future, since = self._asked
            if not future.done() and now - since < UNANSWERED:
                return
            done = future.done() and future.result() is not None and future.result().success
            if not done:
                self.record.transitions_lost += 1
                how = "refused" if future.done() else f"not answered in {UNANSWERED:g} s"
                minute = (now - self.started) / 60
                print(f"minute {minute:.1f}: a transition was {how}", file=sys.stderr)
            self._asked = None
        if self._wanted:
            request = ChangeState.Request()
            request.transition.id = self._wanted.pop(0)
            self._asked = self._change.call_async(request), now
            self.record.transitions += 1

    def _on_answer(self, message: Any, info: Any) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        latency = message.inference_latency.sec + message.inference_latency.nanosec / 1e9
        published = info["source_timestamp"]
        now = time.monotonic() - self.started
        self.record.answers.append((now, latency, (published - stamp) / 1e9))
        self._newest_stamp = stamp
        frame = self._truth.pop(stamp, None)
        if frame is not None:
            named = [
                (head.id, (head.x_min, head.y_min, head.x_max, head.y_max))
                for head in message.heads
                if head.id and head.unseen == 0
            ]
            self.record.identities.frame(frame.heads, named)
