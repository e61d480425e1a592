# SPDX-License-Identifier: Apache-2.0
"""As `benchmarks.tracking`, on long simulated walks without pictures or model.

    python -m benchmarks.simulated_tracking

People walk about before a simulated camera (`benchmarks.walks`); what a model would say of them is
drawn from the errors it made on rendered test scenes (`benchmarks.model_errors`): rotations, boxes,
misses and false alarms, part of each error staying for a second as it does in a stream. The tracker
is the node's. A table for each rate of answers; the last line is one JSON object.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from benchmarks.model_errors import FILE
from benchmarks.track_score import Score, table
from benchmarks.walks import CAMERA, SIZE, Answers, walk
from hpe_vlm_ros.geometry import HeadShape
from hpe_vlm_ros.people import People, View
from hpe_vlm_ros.tracking import Settings

SHAPE = HeadShape(0.2487, (-0.0052, 0.0009, -0.0951))


def play(measured: dict[str, Any], people: int, seconds: float, rate: float, seed: int,
         settings: Settings, score: Score) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    answers, tracked = Answers(measured, rng), People()
    tracked.tracker.settings = settings
    for moment, true in walk(people, seconds, rate, SHAPE, rng):
        found = answers(moment, true)
        started = time.thread_time()
        stamp = int((1 + moment) * 1e9)
        told = tracked.see(stamp, found, View(SIZE, CAMERA, SHAPE))  # type: ignore[arg-type]
        score.add(ms=1000 * (time.thread_time() - started))
        score.frame(true, found, told)
    score.seconds += seconds


def main(
    people: int = 3,
    seconds: float = 60.0,
    walks: int = 5,
    rates: tuple[float, ...] = (10.0, 5.0, 2.0),
    perfect: bool = False,
    errors: Path = FILE,
    settings: Settings = Settings(),  # noqa: B008
) -> None:
    """Play walks and print the table.

    Args:
        people: in each walk.
        seconds: a walk lasts.
        walks: for each rate; their seeds are 0, 1, ...
        rates: answers a second.
        perfect: take answers without errors, to see what the tracker alone costs.
        errors: file of `benchmarks.model_errors`.
        settings: the tracker's.
    """
    measured = json.loads(errors.read_text(encoding="utf-8"))
    if perfect:
        measured |= {"found": 1, "true": 1, "answered": 1}
        measured["heads"] = [{"turn": [0.0, 0.0, 0.0], "box": [0.0, 0.0, 0.0, 0.0]}]
    rows = {}
    for rate in rates:
        score = Score(CAMERA, SHAPE)
        for seed in range(walks):
            play(measured, people, seconds, rate, seed, settings, score)
        rows[f"{rate:g}"] = score.summary()
    print(f"errors drawn from: {'none' if perfect else measured['model']}")
    print(table("answers a second", rows))
    print(json.dumps({"model": measured["model"], "perfect": perfect, "rates": rows}))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
