# SPDX-License-Identifier: Apache-2.0
"""The perception node for minutes or hours at 30 images a second, people entering and leaving.

    python -m benchmarks.soak --minutes 2
    python -m benchmarks.soak --minutes 30
    python -m benchmarks.soak --minutes 10 --heads 2 --cores 2 --pause 0 \\
        --image docs/figures/latency.png

The node runs as a process of its own on the shipped weights. Its memory, threads and open files are
read from /proc once a second, after a minute (or a third of the time) for warming up; ages are from
an image's stamp to the moment its answer is published, by the middleware's time stamp. Now and then
the node is deactivated and activated again under the running stream. The last line is one JSON
object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.soak.people_stream import Frame, people_stream
from benchmarks.soak.rig import Record, Rig, resources
from demo.process import NodeProcess, end_with_a_signal, node_parameters, prepare_environment

SPACE = "/soak"


def run(
    rig: Rig,
    process: NodeProcess,
    frames: Iterator[Frame],
    seconds: float,
    rate: float,
    pause: float,
) -> None:
    """Sends frames; every `pause` seconds (0: never) the node is paused while nobody is there."""
    record, start = rig.record, rig.started
    next_look, next_pause = 0.0, pause or float("inf")
    with tqdm(total=round(seconds), unit="s", file=sys.stderr) as bar:
        while (now := time.monotonic() - start) < seconds:
            frame = next(frames)
            rig.send(frame)
            record.frames_in += 1
            if now >= next_pause and not frame.heads and seconds - now > pause / 2:
                rig.pause()
                next_pause = now + pause
            rig.ask_for_transitions()
            if now >= next_look:
                process.check()
                record.resources.append((now, *resources(process.pid)))
                bar.update(int(now) - bar.n)
                next_look = now + 1.0
            rig.spin_for(start + record.frames_in / rate - time.monotonic())


def summary(record: Record, seconds: float, max_age: float) -> dict[str, Any]:
    """Growth is from the first fifth after warming up to the last fifth of the run."""
    if not record.answers:
        raise RuntimeError("no image was answered during the run: raise --max_age")
    warm = min(60.0, seconds / 3)
    rows = np.array([r for r in record.resources if r[0] >= warm])
    fifth = max(1, len(rows) // 5)
    early, late = np.median(rows[:fifth], axis=0), np.median(rows[-fifth:], axis=0)
    answers = np.array(record.answers)
    newest = np.array(record.newest)[:, 1]
    return {
        "minutes": round(seconds / 60, 2),
        "memory_mb": round(float(late[1]), 1),
        "memory_growth": round(float(late[1] / early[1] - 1), 4),
        "threads_growth": int(late[2] - early[2]),
        "files_growth": int(late[3] - early[3]),
        "transitions": record.transitions,
        "transitions_lost": record.transitions_lost,
        "frames_in": record.frames_in,
        "frames_out": len(answers),
        "latency_p50_ms": round(1000 * float(np.percentile(answers[:, 1], 50)), 1),
        "latency_p95_ms": round(1000 * float(np.percentile(answers[:, 1], 95)), 1),
        "age_p50_ms": round(1000 * float(np.percentile(answers[:, 2], 50)), 1),
        "age_max_ms": round(1000 * float(answers[:, 2].max()), 1),
        "result_age_p50_ms": round(1000 * float(np.percentile(newest, 50)), 1),
        "result_age_p95_ms": round(1000 * float(np.percentile(newest, 95)), 1),
        "max_age_exceeded": int((answers[:, 2] > max_age).sum()),
        "ids_switched": record.identities.switches,
    }


def main(
    minutes: float = 2.0,
    rate: float = 30.0,
    heads: int = 0,
    pause: float = 45.0,
    cores: int = 0,
    max_age: float = 1.0,
    model: str = "",
    device: str = "cpu",
    image: Path | None = None,
) -> None:
    """Run and print.

    Args:
        minutes: how long.
        rate: images a second.
        heads: exactly so many in each picture, which then stands still; 0: people come and go.
        pause: seconds between deactivating and activating the node; 0: never.
        cores: confine everything to so many cores; 0: as many as there are.
        max_age: the node's parameter, seconds.
        model: model folder; the embedded default if left out.
        device: the node's.
        image: where to draw latency, age and memory over time.
    """
    end_with_a_signal()
    if cores:
        from benchmarks.machine import take_cores

        take_cores(cores)
    prepare_environment()
    values = node_parameters(SPACE, "raw", model, device, lossless=False)
    values |= {"max_age": max_age, "tracking": True, "max_rate": rate}
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        with NodeProcess(Path(folder) / "node.log", SPACE, values) as process:
            rig = Rig(SPACE, record)
            try:
                frames = people_stream(rate, heads=heads)
                rig.answered(process, next(frames))
                run(rig, process, frames, 60 * minutes, rate, pause)
            finally:
                rig.close()
    found = summary(record, 60 * minutes, max_age)
    for name, value in found.items():
        print(f"{name:<20} {value}")
    if image is not None:
        shown = f", {heads} heads" if heads else ""
        confined = f", {cores} cores" if cores else ""
        plot_title = f"{rate:g} images a second{shown}{confined}"
        from benchmarks.soak.plot import plot

        plot(record, max_age, plot_title, image)
    print(json.dumps(found))


if __name__ == "__main__":
    from jsonargparse import auto_cli  # here, since a test that has only the runtime imports this

    auto_cli(main, as_positional=False, prog="python -m benchmarks.soak")
