# SPDX-License-Identifier: Apache-2.0
"""The perception node as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[1]
PARAMETERS = ROOT / "config" / "perception.yaml"
NODE = "hpe_vlm_ros.nodes.perception"
STOP_TIMEOUT = 8.0  # seconds; the node needs 3 when it is asked to stop in the midst of an answer


def end_with_a_signal() -> None:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt here, even where a shell or make, having started
    this process in the background, left them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class NodeError(RuntimeError):
    """The node does not do its work; the text says what is known about it."""


def prepare_environment() -> None:
    """DDS stays on this machine and lets large images through, unless the user set it up already.

    Before rclpy.init; the node inherits it.
    """
    localhost = "ROS_LOCALHOST_ONLY" if os.environ.get("ROS_DISTRO") == "humble" else None
    if localhost:
        os.environ.setdefault(localhost, "1")
    else:
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        os.environ.setdefault(name, str(ROOT / "config" / "fastdds.xml"))


def image_topic(namespace: str, transport: str) -> str:
    """Where images of this transport (raw or compressed) travel."""
    return f"{namespace}/image_raw" + ("/compressed" if transport == "compressed" else "")


def node_parameters(
    namespace: str, transport: str, model: str, device: str, lossless: bool
) -> dict[str, object]:
    """Parameters of a node that starts itself and answers as fast as it can, whatever the stamps.

    model, device: empty for the node's defaults. lossless: every image must arrive, however large.
    """
    values: dict[str, object] = {
        "autostart": True,
        "image_transport": transport,
        "max_rate": 0.0,
        "max_age": 0.0,  # recordings keep the stamps they were made with
        "tracking": False,  # pictures need not follow one another
    }
    if model:
        folder = Path(model).expanduser()  # or a name on the hub
        values["model"] = str(folder.resolve()) if folder.is_dir() else model
    if device:
        values["device"] = device
    if lossless:
        topic = image_topic(namespace, transport)
        values[f"qos_overrides.{topic}.subscription.reliability"] = "reliable"
    return values


class NodeProcess:
    """Runs `python -m module` until the context ends; what it prints goes to the file `log`.

    parameters: values of the node's ROS parameters, above those of the file.
    environment: variables beside this process's own.
    """

    def __init__(
        self,
        log: Path,
        namespace: str,
        parameters: Mapping[str, object],
        module: str = NODE,
        environment: Mapping[str, str] | None = None,
        parameters_file: Path = PARAMETERS,
    ) -> None:
        self._log = log
        self._command = [sys.executable, "-m", module, "--ros-args", "-r", f"__ns:={namespace}"]
        self._command += ["--params-file", str(parameters_file)]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self._command += ["-p", f"{name}:={text}"]
        self._environment = {**os.environ, **(environment or {})}

    def __enter__(self) -> NodeProcess:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing may keep it from ending
        try:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            signal.signal(signal.SIGINT, before)

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """NodeError when the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise NodeError(f"the node ended by itself (status {status}){self.last_words()}")

    def last_words(self) -> str:
        """Its newest warnings and errors, else its last lines, for the end of a message."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        grave = [line for line in lines if "[WARN]" in line or "[ERROR]" in line]
        shown = (grave or lines)[-4:]
        words = "\n  ".join(["; it said:", *shown]) if shown else " and said nothing"
        return f"{words}\n(all of it: {self._log})"
