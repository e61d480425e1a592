# SPDX-License-Identifier: Apache-2.0
"""The other side of the graph: a node process under test, and a peer that talks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from hpe_vlm_ros.msg import HeadPoseArray

ROOT = Path(__file__).parents[2]
PARAMETERS = ROOT / "config" / "perception.yaml"
SCRIPT = (str(Path(__file__).with_name("scripted_node.py")),)
MODULE = ("-m", "hpe_vlm_ros.nodes.perception")
PATIENCE = 240.0  # seconds; only a failing test waits that long
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


class NodeProcess:
    """`python -m hpe_vlm_ros.nodes.perception`, or another program, with the shipped parameters."""

    def __init__(
        self,
        log: Path,
        namespace: str = "/",
        path: Path | None = None,
        program: tuple[str, ...] = MODULE,
        **parameters: object,
    ) -> None:
        command = [sys.executable, *program, "--ros-args"]
        command += ["--params-file", str(PARAMETERS), "-r", f"__ns:={namespace}"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
        self._log, self._seen = log, 0
        environment = dict(os.environ)
        # Modules in this folder come before all others.
        folders = [str(path)] if path else []
        environment["PYTHONPATH"] = ":".join(
            [*folders, str(ROOT), environment.get("PYTHONPATH", "")]
        )
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

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
        return self._process.wait(PATIENCE)

    def wait_for_words(self, words: str) -> None:
        """Until it has printed them."""
        give_up = time.monotonic() + PATIENCE
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


class Peer(Node):
    """Publishes camera images, keeps what comes back, and asks for transitions."""

    def __init__(self, namespace: str = "/") -> None:
        self._own = Context()
        rclpy.init(context=self._own)
        super().__init__("peer", namespace=namespace, context=self._own)
        self._executor = SingleThreadedExecutor(context=self._own)
        self._executor.add_node(self)
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

    def close(self) -> None:
        self._executor.shutdown()
        self.destroy_node()
        rclpy.shutdown(context=self._own)

    def spin_until(self, condition: Callable[[], object], patience: float = PATIENCE) -> bool:
        give_up = time.monotonic() + patience
        while not condition():
            if time.monotonic() > give_up:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def frames_of(self, array: HeadPoseArray) -> dict[str, Any]:
        """The TF frames that have come for this array, by name."""
        return {t.child_frame_id: t for t in self.transforms if stamp_of(t) == stamp_of(array)}

    def client(self, kind: Any, name: str) -> Any:
        """A client that has found its service, and that the service's node knows."""
        if name not in self._clients_by_name:
            self._clients_by_name[name] = self.create_client(kind, name)
            self._meet()
        client = self._clients_by_name[name]
        assert self.spin_until(client.service_is_ready), f"no service {name}"
        return client

    def _meet(self) -> None:
        """Until the node under test knows all clients made so far. It drops its answers to those
        that it has not heard of, and hears of them in the order in which they were made: once the
        newest gets an answer, all will. Asking this one again does no harm."""
        newest = self.create_client(GetState, "perception/get_state")
        assert self.spin_until(newest.service_is_ready), "no service get_state"
        asked: list[Any] = []
        while not any(future.done() for future in asked):
            assert len(asked) < PATIENCE, "no answer from get_state"
            asked.append(newest.call_async(GetState.Request()))
            self.spin_until(asked[-1].done, 1.0)
        self.destroy_client(newest)

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

    def answer(self, message: Any, publisher: Any = None, age: float = 0.0) -> HeadPoseArray:
        """The array that answers this image, which is sent until that comes, as a camera would."""
        stamps: list[Stamp] = []

        def answers() -> list[HeadPoseArray]:
            return [a for a in self.arrays if stamp_of(a) in stamps]

        def sent_and_answered() -> bool:
            stamps.append(self.send(message, publisher, age))
            return self.spin_until(answers, 0.5)

        assert self.spin_until(sent_and_answered), "the image was never answered"
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
