# SPDX-License-Identifier: Apache-2.0
"""The perception node for minutes or hours at 30 images a second, people entering and leaving.

    python -m benchmarks.soak --minutes 2
    python -m benchmarks.soak --minutes 30 --image docs/figures/soak.png

The node runs as a process of its own on the shipped weights. Its memory, threads and open files are
read from /proc once a second, after a minute (or a third of the time) for warming up; ages are from
an image's stamp to the moment its answer is published, by the middleware's time stamp. The last
line is one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from benchmarks.parade import SIZE, Frame, parade
from benchmarks.scores import Identities
from demo.process import NodeProcess, end_with_a_signal, node_parameters, prepare_environment

SPACE = "/soak"
KEEP = 400  # frames whose truth is remembered until their answer comes


@dataclass
class Record:
    """What is gathered over the run; times in seconds since its start."""

    frames_in: int = 0
    answers: list[tuple[float, float, float]] = field(default_factory=list)  # time, latency, age
    resources: list[tuple[float, float, int, int]] = field(default_factory=list)
    identities: Identities = field(default_factory=lambda: Identities(iou=0.4))


def resources(pid: int) -> tuple[float, int, int]:
    """Resident memory in MB, threads, and open files of a process."""
    folder = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    memory = float(status["VmRSS"].split()[0]) / 1024
    return memory, int(status["Threads"]), len(list((folder / "fd").iterdir()))


class Rig:
    """Camera and listener in one ROS node."""

    def __init__(self, record: Record) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import CameraInfo, Image

        from hpe_vlm_ros.msg import HeadPoseArray

        rclpy.init()
        self.record, self.started = record, time.monotonic()
        self._node = Node("soak", namespace=SPACE)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(Image, "image_raw", QoSProfile(depth=1))
        self._infos = self._node.create_publisher(CameraInfo, "camera_info", 1)
        self._node.create_subscription(
            HeadPoseArray, "perception/head_poses", self._on_answer, QoSProfile(depth=50)
        )
        self._truth: dict[int, Frame] = {}

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def send(self, frame: Frame) -> None:
        from sensor_msgs.msg import CameraInfo, Image

        stamp = time.time_ns()
        width, height = SIZE
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
        self.started = time.monotonic()

    def _on_answer(self, message: Any, info: Any) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        latency = message.inference_latency.sec + message.inference_latency.nanosec / 1e9
        published = info["source_timestamp"]
        now = time.monotonic() - self.started
        self.record.answers.append((now, latency, (published - stamp) / 1e9))
        frame = self._truth.pop(stamp, None)
        if frame is not None:
            named = [
                (head.id, (head.x_min, head.y_min, head.x_max, head.y_max))
                for head in message.heads
                if head.id and head.unseen == 0
            ]
            self.record.identities.frame(frame.heads, named)


def run(
    rig: Rig, process: NodeProcess, frames: Iterator[Frame], seconds: float, rate: float
) -> None:
    record, start = rig.record, rig.started
    next_look = 0.0
    with tqdm(total=round(seconds), unit="s", file=sys.stderr) as bar:
        while (now := time.monotonic() - start) < seconds:
            rig.send(next(frames))
            record.frames_in += 1
            if now >= next_look:
                process.check()
                record.resources.append((now, *resources(process.pid)))
                bar.update(int(now) - bar.n)
                next_look = now + 1.0
            rig.spin(start + record.frames_in / rate)


def summary(record: Record, seconds: float, max_age: float) -> dict[str, Any]:
    """Growth is from the first fifth after warming up to the last fifth of the run."""
    warm = min(60.0, seconds / 3)
    rows = np.array([r for r in record.resources if r[0] >= warm])
    fifth = max(1, len(rows) // 5)
    early, late = np.median(rows[:fifth], axis=0), np.median(rows[-fifth:], axis=0)
    answers = np.array(record.answers)
    return {
        "minutes": round(seconds / 60, 2),
        "memory_mb": round(float(late[1]), 1),
        "memory_growth": round(float(late[1] / early[1] - 1), 4),
        "threads_growth": int(late[2] - early[2]),
        "files_growth": int(late[3] - early[3]),
        "frames_in": record.frames_in,
        "frames_out": len(answers),
        "latency_p50_ms": round(1000 * float(np.percentile(answers[:, 1], 50)), 1),
        "latency_p95_ms": round(1000 * float(np.percentile(answers[:, 1], 95)), 1),
        "age_p50_ms": round(1000 * float(np.percentile(answers[:, 2], 50)), 1),
        "age_max_ms": round(1000 * float(answers[:, 2].max()), 1),
        "max_age_exceeded": int((answers[:, 2] > max_age).sum()),
        "ids_switched": record.identities.switches,
    }


def plot(record: Record, max_age: float, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    answers, rows = np.array(record.answers), np.array(record.resources)
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 5.5), sharex=True)
    above.plot(answers[:, 0] / 60, answers[:, 2], ".", ms=3, label="age when published")
    above.plot(answers[:, 0] / 60, answers[:, 1], ".", ms=3, label="time in the model")
    above.axhline(max_age, color="0.4", ls="--", lw=1, label="max_age")
    above.set(ylabel="seconds", ylim=(0, None))
    above.legend(loc="lower right", ncols=3)
    below.plot(rows[:, 0] / 60, rows[:, 1])
    below.set(xlabel="minutes", ylabel="resident memory, MB", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main(
    minutes: float = 2.0,
    rate: float = 30.0,
    max_age: float = 1.0,
    model: str = "",
    device: str = "cpu",
    image: Path | None = None,
) -> None:
    """Run and print.

    Args:
        minutes: how long.
        rate: images a second.
        max_age: the node's parameter, seconds.
        model: model folder; the embedded default if left out.
        device: the node's.
        image: where to draw ages and memory over time.
    """
    end_with_a_signal()
    prepare_environment()
    values = node_parameters(SPACE, "raw", model, device, lossless=False)
    values |= {"max_age": max_age, "tracking": True, "max_rate": rate}
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        with NodeProcess(Path(folder) / "node.log", SPACE, values) as process:
            rig = Rig(record)
            try:
                frames = parade(rate)
                rig.answered(process, next(frames))
                run(rig, process, frames, 60 * minutes, rate)
            finally:
                rig.close()
    found = summary(record, 60 * minutes, max_age)
    for name, value in found.items():
        print(f"{name:<20} {value}")
    if image is not None:
        plot(record, max_age, image)
    print(json.dumps(found))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
