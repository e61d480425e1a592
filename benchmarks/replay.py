# SPDX-License-Identifier: Apache-2.0
"""Throughput of the offline replay: against reading its bags alone, two processes against one.

Rendered scenes are written into bags. Every way goes over all of them: reading the messages,
decoding the images as well, the replay with a perceiver that answers nothing (what everything but
the model costs), and the replay with the model on one process and on several. Processes have
--threads threads each and load the model themselves; that loading is part of their time. Both runs
must give equal results, and so must one that is interrupted halfway and resumed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from hpe_vlm_ros.recordings.bag_recording import BagRecording
from hpe_vlm_ros.recordings.bags import Bag, shared_bag
from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import FrameRecord
from hpe_vlm_ros.recordings.sources import open_sources
from hpe_vlm_ros.replay.plan import Settings
from hpe_vlm_ros.replay.run import perceive_recordings
from hpe_vlm_ros.replay.store import Store
from hpe_vlm_ros.replay.work import Loader, Perceiver, perceiver_of
from training.testsets import SCENES

from .scene_bag import write_scenes


class Blank:
    """A perceiver that sees nothing, in no time."""

    model_id, input_size, head_shape = "blank", 224, None

    def __call__(self, image: Any, *_: Any, **__: Any) -> list[Any]:
        return []


@dataclass(frozen=True)
class LoadBlank:
    def __call__(self) -> Perceiver:
        return Blank()


@dataclass(frozen=True)
class Interrupting:
    """Loads a perceiver that the user interrupts after so many frames."""

    inner: Loader
    frames: int

    def __call__(self) -> Perceiver:
        return _Interrupted(self.inner(), self.frames)


class _Interrupted:
    def __init__(self, inner: Perceiver, frames: int) -> None:
        self._inner, self._left = inner, frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, image: Any, *more: Any, **named: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return self._inner(image, *more, **named)


def parser() -> argparse.ArgumentParser:
    made = described("python -m benchmarks.replay", __doc__)
    add = made.add_argument
    add("--bags", type=int, default=10, metavar="N", help="how many (10)")
    add("--frames", type=int, default=20, metavar="N", help="in each (20)")
    add("--processes", type=int, default=2, metavar="N", help="against one (2)")
    add("--threads", type=int, default=1, metavar="N", help="of each process (1)")
    add("--compressed", action="store_true", help="JPEG images instead of raw ones")
    add("--no-model", action="store_true", help="only what needs no model")
    add("--model", metavar="DIR", help="model folder (default: the embedded one)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if min(options.bags, options.frames, options.threads) < 1 or options.processes < 2:
        parser().error("--bags, --frames, --threads need 1 or more, --processes 2 or more")
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows, equal, size = measure(options, Path(folder))
        except (ReplayError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    frames = options.bags * options.frames
    print(f"{options.bags} bags, {frames} frames, {size / 1e6:.1f} MB of images")
    print(f"{'':<34}{'seconds':>9}{'frames/s':>10}{'MB/s':>9}{'of reading':>12}")
    read = rows["read"]
    for name, seconds in rows.items():
        print(
            f"{name.replace('_', ' '):<34}{seconds:>9.2f}{frames / seconds:>10.1f}"
            f"{size / 1e6 / seconds:>9.1f}{read / seconds:>11.1%}"
        )
    if equal:
        ratio = rows["replay_1_process"] / rows[f"replay_{options.processes}_processes"]
        print(f"{options.processes} processes against one: {ratio:.2f} times as fast")
        print("results equal: " + ", ".join(f"{name} {same}" for name, same in equal.items()))
    print(json.dumps(summary(rows, equal, frames, size, options)))
    return 0 if all(equal.values()) else 1


def summary(
    rows: dict[str, float],
    equal: dict[str, bool],
    frames: int,
    size: int,
    options: argparse.Namespace,
) -> dict[str, Any]:
    return {
        "bags": options.bags,
        "frames": frames,
        "megabytes": round(size / 1e6, 2),
        "threads": options.threads,
        "processes": options.processes,
        "seconds": {name: round(value, 3) for name, value in rows.items()},
        "frames_per_second": {name: round(frames / value, 2) for name, value in rows.items()},
        "equal": equal,
    }


def measure(
    options: argparse.Namespace, folder: Path
) -> tuple[dict[str, float], dict[str, bool], int]:
    """Seconds of each way, whether results are equal, and bytes of all images."""
    say("writing the bags")
    paths = make_bags(options, folder)
    recordings = open_sources([str(path) for path in paths])
    size = sum(r.bytes for r in recordings if isinstance(r, BagRecording))
    rows = {"read": seconds(lambda: [_read(path) for path in paths])}
    rows["read_and_decode"] = seconds(lambda: [_decode(r) for r in recordings])

    def run(name: str, load: Any, processes: int = 1, **how: Any) -> Store:
        say(name)
        shared_bag.cache_clear()
        perceiver_of.cache_clear()
        settings = Settings("", slice=max(1, options.frames // 2))
        return perceive_recordings(
            recordings, settings, load, folder / name, processes=processes, quiet=True, **how
        )

    rows["replay_without_model"] = seconds(lambda: run("blank", LoadBlank()))
    if options.no_model:
        return rows, {}, size
    load = Loader(options.model, threads=options.threads)
    rows["replay_1_process"] = seconds(lambda: run("one", load))
    many = f"replay_{options.processes}_processes"
    rows[many] = seconds(lambda: run("many", load, options.processes))
    half = options.bags * options.frames // 2
    try:
        run("resumed", Interrupting(load, half))
    except KeyboardInterrupt:
        say(f"interrupted after {half} frames")
    kept = len(Store(folder / "resumed").records())
    run("resumed", load, resume=True)
    whole = content(folder / "one")
    equal = {
        "processes": content(folder / "many") == whole,
        "resumed": 0 < kept <= half and content(folder / "resumed") == whole,
    }
    return rows, equal, size


def make_bags(options: argparse.Namespace, folder: Path) -> list[Path]:
    from training.data.labels import read_labels

    samples = read_labels(SCENES, options.bags * options.frames)
    paths = [folder / f"bag{number:02d}" for number in range(options.bags)]
    for number, path in enumerate(paths):
        part = [
            samples[(number * options.frames + i) % len(samples)] for i in range(options.frames)
        ]
        write_scenes(path, part, raw=not options.compressed)
    return paths


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def content(folder: Path) -> list[FrameRecord]:
    """What was perceived, without the times."""
    return [replace(record, seconds=0.0) for record in Store(folder).records()]


def _read(path: Path) -> int:
    bag = Bag(path)
    try:
        topics = [topic for topic in bag.topics if "image" in topic.name]
        return sum(len(data) for _, _, data in bag.messages(topics))
    finally:
        bag.close()


def _decode(recording: Any) -> int:
    return sum(frame.rgb().nbytes for frame in recording.read())


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
