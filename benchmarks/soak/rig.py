# SPDX-License-Identifier: Apache-2.0
"""What a soak needs in the ROS graph: a camera, a listener, and who asks for transitions."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from benchmarks.machine import resident_megabytes
from benchmarks.scores import Identities
from benchmarks.soak.people_stream import Frame
from demo.frames import camera_info, header
from demo.process import NodeProcess
from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.images import rgb_to_image
from hpe_vlm_ros.msg import HeadPoseArray
from hpe_vlm_ros.nodes.client import Client
from hpe_vlm_ros.nodes.messages import nanoseconds

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
    threads, files = (len(list((folder / part).iterdir())) for part in ("task", "fd"))
    return resident_megabytes(pid), threads, files


class Rig(Client):
    """One ROS node beside the node under test, which runs in the namespace `space`."""

    def __init__(self, space: str, record: Record) -> None:
        super().__init__("soak", space)
        self.record, self.started = record, time.monotonic()
        self._images = self.create_publisher(Image, "image_raw", QoSProfile(depth=1))
        self._infos = self.create_publisher(CameraInfo, "camera_info", 1)
        self.create_subscription(
            HeadPoseArray, "perception/head_poses", self._on_answer, QoSProfile(depth=50)
        )
        self._change = self.create_client(ChangeState, "perception/change_state")
        self._wanted: list[int] = []  # transitions still to be asked for
        self._asked: tuple[Any, float] | None = None
        self._truth: dict[int, Frame] = {}
        self._newest_stamp = 0

    def send(self, frame: Frame) -> None:
        stamp = time.time_ns()
        self._truth[stamp] = frame
        while len(self._truth) > KEEP:
            del self._truth[next(iter(self._truth))]
        if self._newest_stamp:
            age = (stamp - self._newest_stamp) / 1e9
            self.record.newest.append((time.monotonic() - self.started, age))
        head = header(stamp, "camera_optical")
        height, width, _ = frame.rgb.shape
        camera = CameraIntrinsics(frame.focal, frame.focal, width / 2, height / 2)
        self._infos.publish(camera_info(head, camera, width, height))
        self._images.publish(rgb_to_image(frame.rgb, head))

    def answered(self, process: NodeProcess, first: Frame, timeout: float = 300.0) -> None:
        """Sends the first frame until it is answered; NodeError or TimeoutError if it never is."""
        give_up = time.monotonic() + timeout
        while not self.record.answers:
            process.check()
            if time.monotonic() > give_up:
                raise TimeoutError(f"the node answers nothing{process.last_words()}")
            self.send(first)
            self.spin_for(0.5)
        self.record.answers.clear()
        self.record.newest.clear()
        self.started = time.monotonic()

    def pause(self) -> None:
        """Asks the node to deactivate and then to activate, while images go on."""
        if not self._wanted and self._asked is None:
            self._wanted = [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE]

    def ask_for_transitions(self) -> None:
        """Asks for the next transition once the one before has been answered."""
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
        stamp = nanoseconds(message.header.stamp)
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
