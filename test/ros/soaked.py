# SPDX-License-Identifier: Apache-2.0
"""`benchmarks.soak` of the scripted node, to run beside other tests: there is little to compute.

    python test/ros/soaked.py MINUTES

Prints the same JSON object as its last line.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.soak.__main__ import SPACE, run, summary
from benchmarks.soak.people_stream import Frame
from benchmarks.soak.rig import Record, Rig
from demo.process import NodeProcess, end_with_a_signal, node_parameters, prepare_environment

WIDTH, HEIGHT, SIDE = 160, 120, 24
CROSSING, EMPTY = 5.0, 1.5  # seconds
RATE, MAX_AGE = 30.0, 2.0


def squares(rate: float) -> Iterator[Frame]:
    """Heads for the scripted model: one walks to the right, one to the left, then nobody does."""
    turn = 0
    while True:
        for k in range(round(CROSSING * rate)):
            x = k / (CROSSING * rate) * (WIDTH - SIDE)
            yield _frame([(f"{turn}.0", x, 16), (f"{turn}.1", WIDTH - SIDE - x, 76)])
        yield from (_frame([]) for _ in range(round(EMPTY * rate)))
        turn += 1


def _frame(heads: list[tuple[str, float, int]]) -> Frame:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    named = []
    for name, place, top in heads:
        left = round(place)
        pixels[top : top + SIDE, left : left + SIDE] = (200, 128, 0)
        named.append((name, (float(left), float(top), float(left + SIDE), float(top + SIDE))))
    return Frame(pixels, named, 150.0)


def main(minutes: float) -> None:
    end_with_a_signal()
    prepare_environment()
    values = node_parameters(SPACE, "raw", "", "", lossless=False)
    values |= {"max_age": MAX_AGE, "tracking": True, "max_rate": 6.0, "lost_timeout": 3.0}
    record = Record()
    folders = f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "node.log"
        with NodeProcess(log, SPACE, values, "scripted_node", {"PYTHONPATH": folders}) as process:
            rig = Rig(SPACE, record)
            try:
                frames = squares(RATE)
                rig.answered(process, next(frames))
                run(rig, process, frames, 60 * minutes, RATE, pause=12.0)
            finally:
                rig.close()
        said = log.read_text(encoding="utf-8", errors="replace")
    found = summary(record, 60 * minutes, MAX_AGE) | {"traceback": "Traceback" in said}
    print(json.dumps(found))


if __name__ == "__main__":
    main(float(sys.argv[1]))
