# SPDX-License-Identifier: Apache-2.0
"""The other side of the graph: a node process under test, and a peer that talks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

import demo.process
from demo.process import PARAMETERS
from hpe_vlm_ros.msg import HeadPoseArray
from hpe_vlm_ros.nodes.client import Client

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SCRIPT = "scripted_node"
TIMEOUT = 240.0  # seconds; only a failing test waits that long
SECOND = "/second"  # the namespace of nodes that a test starts for itself
Stamp = tuple[int, int, str]
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "unconfigured shutdown": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "active shutdown": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


def shipped_parameters() -> dict[str, Any]:
    content = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))
    return dict(content["/**"]["ros__parameters"])


class NodeProcess(demo.process.NodeProcess):
    """`python -m hpe_vlm_ros.nodes.perception`, or another program, with the shipped parameters."""

    def __init__(
        self,
        log: Path,
        namespace: str = "/",
        path: Path | None = None,
        module: str = demo.process.NODE,
        parameters_file: Path = PARAMETERS,
        **parameters: object,
    ) -> None:
        # Modules in this folder come before all others.
        folders = [str(folder) for folder in (path, HERE, ROOT) if folder]
        folders.append(os.environ.get("PYTHONPATH", ""))
        environment = {"PYTHONPATH": ":".join(folders)}
        super().__init__(log, namespace, parameters, module, environment, parameters_file)
        self._seen = 0
        self.__enter__()

    @property
    def log(self) -> str:
        """What it has printed since `forget_log`."""
        return self._log.read_bytes()[self._seen :].decode(errors="replace")

    def forget_log(self) -> None:
        self._seen = self._log.stat().st_size

    @property
    def alive(self) -> bool:
        return self.status is None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def stop(self, number: int = signal.SIGINT) -> int:
        """Sends the signal and waits; the exit status."""
        self.send(number)
        return self.wait()

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit status, once it ends by itself."""
        return self._process.wait(TIMEOUT)

    def wait_for_words(self, words: str) -> None:
        """Until it has printed them."""
        give_up = time.monotonic() + TIMEOUT
        while words not in self.log:
            assert self.alive and time.monotonic() < give_up, self.log
            time.sleep(0.05)

    def end(self) -> None:
        """Ends it, whatever it is doing. By a signal if that works: what a killed process leaves in
        shared memory can keep the next one from being heard."""
        self.send(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Peer(Client):
    """Publishes camera images, keeps what comes back, and asks for transitions."""

    def __init__(self, namespace: str = "/") -> None:
        super().__init__("peer", namespace)
        self._clients_by_name: dict[str, Any] = {}
        self.sent: list[Stamp] = []
        self.arrays: list[HeadPoseArray] = []
        self.transforms: list[Any] = []
        self.camera = self.create_publisher(Image, "image_raw", 1)
        self.calibration = self.create_publisher(CameraInfo, "camera_info", 1)
        self.create_subscription(HeadPoseArray, "perception/head_poses", self.arrays.append, 5)
        tf_qos = QoSProfile(depth=100)
        self.create_subscription(
            TFMessage, "/tf", lambda message: self.transforms.extend(message.transforms), tf_qos
        )

    def spin_until(
        self, condition: Callable[[], object], timeout: float = TIMEOUT, check: Any = None
    ) -> bool:
        return super().spin_until(condition, timeout, check)

    def frames_of(self, array: HeadPoseArray) -> dict[str, Any]:
        """The TF frames that have come for this array, by name."""
        return {t.child_frame_id: t for t in self.transforms if stamp_of(t) == stamp_of(array)}

    def client(self, kind: Any, name: str) -> Any:
        """A client that has found its service, and that the service's node knows."""
        if name not in self._clients_by_name:
            self._clients_by_name[name] = self.create_client(kind, name)
            assert self.node_state("perception", TIMEOUT), "no answer from get_state"
        client = self._clients_by_name[name]
        assert self.spin_until(client.service_is_ready), f"no service {name}"
        return client

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The response of a service of the node under test."""
        future = self.client(kind, name).call_async(request)
        assert self.spin_until(future.done), f"no answer from {name}"
        return future.result()

    def transition(self, name: str) -> bool:
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        return bool(self.call(ChangeState, "perception/change_state", request).success)

    def state(self) -> str:
        response = self.call(GetState, "perception/get_state", GetState.Request())
        return str(response.current_state.label)

    def set_parameters(self, **values: Any) -> list[Any]:
        """Sets parameters of the node under test; the results."""
        request = SetParameters.Request()
        for name, value in values.items():
            request.parameters.append(Parameter(name, value=value).to_parameter_msg())
        return list(self.call(SetParameters, "perception/set_parameters", request).results)

    def activate(self, topic: str = "image_raw") -> None:
        """Configures and activates the node, and waits until all have found each other."""
        assert self.transition("configure") and self.transition("activate")
        self.wait_for_node(topic)

    def wait_for_node(self, topic: str = "image_raw") -> None:
        assert self.spin_until(lambda: self.count_subscribers(topic)), f"nobody wants {topic}"
        if topic == "image_raw":
            assert self.spin_until(self.camera.get_subscription_count)
        assert self.spin_until(lambda: self.count_publishers("perception/head_poses"))
        assert self.spin_until(lambda: self.count_publishers("/tf"))

    def unconfigure(self) -> None:
        if self.state() == "active":
            self.transition("deactivate")
        if self.state() == "inactive":
            self.transition("cleanup")
        assert self.state() == "unconfigured"

    def send(self, message: Any, publisher: Any = None, age: float = 0.0) -> Stamp:
        """Publishes it with the time now, less `age` seconds, as its stamp, which is returned."""
        nanoseconds = self.get_clock().now().nanoseconds - int(age * 1e9)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 10**9)
        message.header.frame_id = "camera_optical"
        self.sent.append(stamp_of(message))
        (publisher or self.camera).publish(message)
        return self.sent[-1]

    def send_until(
        self,
        condition: Callable[[], object],
        message: Any,
        publisher: Any = None,
        age: float = 0.0,
        every: float = 0.5,
    ) -> bool:
        """Whether the condition came true while the message was sent again and again, as a camera
        would. One that is sent once can be lost: a publisher may know of a subscription before
        that knows of the publisher."""

        def sent_and_true() -> bool:
            self.send(message, publisher, age)
            return self.spin_until(condition, every)

        return self.spin_until(sent_and_true)

    def answer(self, message: Any, publisher: Any = None, age: float = 0.0) -> HeadPoseArray:
        """The array that answers this image, which is sent until that comes."""
        first = len(self.sent)

        def answers() -> list[HeadPoseArray]:
            return [a for a in self.arrays if stamp_of(a) in self.sent[first:]]

        assert self.send_until(answers, message, publisher, age), "the image was never answered"
        return answers()[-1]


def stamp_of(message: Any) -> Stamp:
    header = message.header
    return header.stamp.sec, header.stamp.nanosec, header.frame_id


def picture(width: int = 320, height: int = 240, encoding: str = "rgb8", size: int = 3) -> Image:
    """A noise image without header."""
    message = Image(width=width, height=height, encoding=encoding, step=width * size)
    noise = np.random.default_rng(0).integers(0, 256, width * height * size, np.uint8)
    message.data = array("B", noise.tobytes())
    return message


def calibration(focal: float = 300.0, width: int = 320, height: int = 240) -> CameraInfo:
    k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    return CameraInfo(width=width, height=height, k=k)


def listen(peer: Peer, kind: Any, topic: str, qos: Any = 5) -> list[Any]:
    """What comes on a topic from now on, once somebody publishes it."""
    heard: list[Any] = []
    peer.create_subscription(kind, topic, heard.append, qos)
    assert peer.spin_until(lambda: peer.count_publishers(topic)), f"nobody publishes {topic}"
    return heard
