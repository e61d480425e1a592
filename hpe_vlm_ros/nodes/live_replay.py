# SPDX-License-Identifier: Apache-2.0
"""Plays a bag's images to a live node and records what it answers; launch/replay.launch.py uses it.

    ros2 run hpe_vlm_ros replay_live BAG --out LIVE_BAG

Messages travel as the bytes that they are, under their original headers: nothing is decoded on the
way. The recording is a rosbag2 (MCAP) for `replay run BAG --answers LIVE_BAG`, which reports how
the live node did, frames that it dropped included; `replay compare` then sets that against offline.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.requirements import stated

from . import signals

with stated():
    from tqdm import tqdm

    from hpe_vlm_ros.recordings.bag_recording import BagRecording, header_stamp, open_bag
    from hpe_vlm_ros.recordings.bag_writer import BagWriter
    from hpe_vlm_ros.recordings.bags import CAMERA_INFO, COMPRESSED, HEADS, RAW
    from hpe_vlm_ros.recordings.result_bag import DEFAULT_TOPIC, TF

    from .client import Client

_stopped = threading.Event()  # by a signal
READY = 600.0  # seconds; the largest models load for minutes


@dataclass(frozen=True)
class How:
    """rate: times the bag's own pace. wait: for each answer, up to `timeout` seconds, before the
    next image, so that nothing is dropped. poses: the topic that is recorded."""

    rate: float = 1.0
    wait: bool = False
    timeout: float = 30.0
    poses: str = DEFAULT_TOPIC


@dataclass
class Played:
    """Stamps (ns) of what was sent and of what was answered."""

    sent: list[int] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)

    @property
    def last_is_answered(self) -> bool:
        return bool(self.sent) and self.sent[-1] in self.answered


def parser() -> argparse.ArgumentParser:
    """The command line of replay_live."""
    made = argparse.ArgumentParser(
        "replay_live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("bag", type=Path, metavar="BAG", help="rosbag2 whose images are played")
    add("--out", type=Path, required=True, metavar="LIVE_BAG", help="rosbag2 of the answers")
    add("--topic", metavar="T", help="image topic (default: the one with most images)")
    add("--camera-info", metavar="T", help="its calibration (default: camera_info beside it)")
    add("--rate", type=float, default=1.0, metavar="X", help="times the bag's own pace (1)")
    add("--wait", action="store_true", help="wait for each answer before the next image")
    add("--timeout", type=float, default=30.0, metavar="S", help="for an answer (30)")
    add("--poses", default=DEFAULT_TOPIC, metavar="T", help=f"HeadPoseArray ({DEFAULT_TOPIC})")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays a bag and says how many images were answered. The exit status is 1 for an error or
    where none was, 130 after a signal."""
    from rclpy.utilities import remove_ros_args

    given = sys.argv if arguments is None else ["replay_live", *arguments]
    options = parser().parse_args(remove_ros_args(given)[1:])
    if not options.rate > 0:
        parser().error("--rate must be more than 0")
    how = How(options.rate, options.wait, options.timeout, options.poses)
    if arguments is None:  # a program: one signal ends it, none spoils the recording
        signals.on_first_signal(_stopped.set)
    try:
        recording = open_bag(options.bag, "bag", options.topic, options.camera_info)
        for note in recording.notes:
            print(f"warning: {note}", file=sys.stderr)
        played = play(recording, options.out, how)
    except (ReplayError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    answered = len(played.answered & set(played.sent))
    print(f"{len(played.sent)} images sent, {answered} answered; wrote {options.out}")
    return 0 if answered else 1


def play(recording: BagRecording, out: Path, how: How) -> Played:
    """Plays all images of the recording; ReplayError when nobody listens."""
    if out.exists():
        raise ReplayError(f"{out} exists: name another --out")
    with BagWriter(out) as answers:
        with closing(_Link(recording, answers, how)) as link:
            link.wait_for_listeners()
            link.play()
    return link.played


class _Link(Client):
    """A camera and a recorder in one node."""

    def __init__(self, recording: BagRecording, answers: BagWriter, how: How) -> None:
        super().__init__("replay_live")
        self._recording, self._how, self.played = recording, how, Played()
        self._answers = answers
        self._out = {
            t.name: self.create_publisher(_class(t.kind), t.name, 5) for t in recording.topics
        }
        self._record(how.poses, HEADS, self._note)
        self._record("/tf", TF, None)

    def wait_for_listeners(self) -> None:
        """Until a node takes our images and publishes poses; it does both once it is active."""
        images = self._out[self._recording.topic]

        def ready() -> bool:
            publishers = self.count_publishers(self._how.poses)
            return bool(images.get_subscription_count() and publishers)

        if not self.spin_until(ready, READY, _check):
            raise ReplayError(
                f"nobody takes {self._recording.topic} and publishes {self._how.poses}; is the "
                "perception node active, with this image_topic and image_transport?"
            )

    def play(self) -> None:
        first = self._recording.frames[0].recorded
        begin = time.monotonic()
        total = len(self._recording.frames)
        with tqdm(total=total, unit="frame", disable=None) as bar:
            for topic, recorded, data in self._recording.messages():
                due = begin + (recorded - first) / 1e9 / self._how.rate
                self.spin_for(due - time.monotonic(), _check)
                self._out[topic.name].publish(bytes(data))
                if topic.name == self._recording.topic:
                    self.played.sent.append(header_stamp(data))
                    bar.update()
                    if self._how.wait:
                        self._answered()
        self._answered()
        self.spin_for(0.5, _check)  # TF follows the poses

    def _answered(self) -> None:
        self.spin_until(lambda: self.played.last_is_answered, self._how.timeout, _check)

    def _record(self, topic: str, kind: str, note: Callable[[bytes], None] | None) -> None:
        def keep(data: bytes) -> None:
            # when it came, by this machine's clock; its header bears the bag's own time
            self._answers.write(topic, time.time_ns(), kind, data)
            if note is not None:
                note(data)

        self.create_subscription(_class(kind), topic, keep, 100, raw=True)

    def _note(self, data: bytes) -> None:
        self.played.answered.add(header_stamp(data))


def _check() -> None:
    if _stopped.is_set():
        raise KeyboardInterrupt


def _class(kind: str) -> Any:
    """The ROS class of a type."""
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image
    from tf2_msgs.msg import TFMessage

    from hpe_vlm_ros.msg import HeadPoseArray

    classes = {RAW: Image, COMPRESSED: CompressedImage, CAMERA_INFO: CameraInfo}
    return (classes | {HEADS: HeadPoseArray, TF: TFMessage})[kind]


if __name__ == "__main__":
    status = main()
    signals.ignore()
    sys.exit(status)
