# SPDX-License-Identifier: Apache-2.0
"""How well people keep their ids, and what the filter makes of their poses, against exact truth.

    python -m benchmarks.tracking

People walk about before a simulated camera (`benchmarks.walks`); what a model would say of them is
drawn from the errors it made on rendered test scenes (`benchmarks.model_errors`): rotations, boxes,
misses and false alarms, part of each error staying for a second as it does in a stream. The tracker
is the node's. A table for each rate of answers; the last line is one JSON object.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from benchmarks.model_errors import FILE, LOOKING
from benchmarks.scores import Identities, area_under_curve
from benchmarks.walks import CAMERA, SIZE, Answers, True_, walk
from hpe_vlm_ros.attention import gaze_angle
from hpe_vlm_ros.distance import locate
from hpe_vlm_ros.geometry import HeadShape, box_iou, geodesic_degrees
from hpe_vlm_ros.people import ROBOT, People, Person, View
from hpe_vlm_ros.tracking import Observation, Settings
from hpe_vlm_ros.tracking.motion import vector_of

SHAPE = HeadShape(0.2487, (-0.0052, 0.0009, -0.0951))
TITLES = {
    "idf1": "IDF1",
    "switches_per_minute": "id switches a minute",
    "raw_deg": "rotation error of answers, deg",
    "filtered_deg": "rotation error filtered, deg",
    "within_1_sigma": "errors within 1 sigma (0.20)",
    "within_2_sigma": "errors within 2 sigma (0.74)",
    "auc_raw": "looking, area under curve, answers",
    "auc": "looking, area under curve, filtered",
    "distance_error": "distance from box, median error",
    "filter_ms": "filter, ms of one core an image",
}


class Score:
    """What is gathered over walks at one rate."""

    def __init__(self) -> None:
        self.identities = Identities()
        self.seconds = 0.0
        self.lists: dict[str, list[float]] = {}

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.lists.setdefault(name, []).append(value)

    def answers(self, true: Sequence[True_], found: Sequence[Observation]) -> None:
        for head, seen in _matched(true, found):
            place = locate(seen.box, seen.rotation, CAMERA, SHAPE).point
            self.add(
                raw=float(geodesic_degrees(head.rotation, seen.rotation)),
                raw_gaze=-gaze_angle(seen.rotation, place, np.zeros(3)),
                raw_looking=head.gaze <= np.radians(LOOKING),
            )

    def people(self, true: Sequence[True_], people: Sequence[Person]) -> None:
        named = [p for p in people if p.head.id]
        self.identities.frame([(h.name, h.box) for h in true], [(p.head.id, p.box) for p in named])
        for head, person in _matched(true, named):
            error = vector_of(head.rotation @ person.rotation.T)
            spread = person.covariance[3:, 3:]
            self.add(
                filtered=float(np.degrees(np.linalg.norm(error))),
                sigmas=float(np.sqrt(error @ np.linalg.solve(spread, error))),
                score=person.gazes[ROBOT].score,
                looking=head.gaze <= np.radians(LOOKING),
                range=abs(
                    float(np.linalg.norm(person.position.point) / np.linalg.norm(head.sellion)) - 1
                ),
            )

    def summary(self) -> dict[str, Any]:
        lists = {name: np.array(values) for name, values in self.lists.items()}
        median = {n: float(np.median(lists[n])) for n in ("raw", "filtered", "range", "ms")}
        return {
            "idf1": round(self.identities.idf1(), 3),
            "switches_per_minute": round(self.identities.switches / self.seconds * 60, 2),
            "raw_deg": round(median["raw"], 1),
            "filtered_deg": round(median["filtered"], 1),
            "within_1_sigma": round(float((lists["sigmas"] <= 1).mean()), 2),
            "within_2_sigma": round(float((lists["sigmas"] <= 2).mean()), 2),
            "auc_raw": area_under_curve(lists["raw_gaze"], lists["raw_looking"]),
            "auc": area_under_curve(lists["score"], lists["looking"]),
            "distance_error": round(median["range"], 3),
            "filter_ms": round(median["ms"], 2),
        }


def play(measured: dict[str, Any], people: int, seconds: float, rate: float, seed: int,
         settings: Settings, score: Score) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    answers, tracked = Answers(measured, rng), People()
    tracked.tracker.settings = settings
    for moment, true in walk(people, seconds, rate, SHAPE, rng):
        found = answers(moment, true)
        score.answers(true, found)
        started = time.thread_time()
        stamp = int((1 + moment) * 1e9)
        told = tracked.see(stamp, found, View(SIZE, CAMERA, SHAPE))  # type: ignore[arg-type]
        score.add(ms=1000 * (time.thread_time() - started))
        score.people(true, told)
    score.seconds += seconds


def _matched(true: Sequence[True_], found: Sequence[Any]) -> list[tuple[True_, Any]]:
    if not true or not found:
        return []
    overlap = box_iou([h.box for h in true], [f.box for f in found])
    best = overlap.argmax(axis=1)
    return [
        (head, found[j])
        for head, j, i in zip(true, best, range(len(true)), strict=True)
        if overlap[i, j] >= 0.5
    ]


def table(rows: dict[str, dict[str, Any]]) -> str:
    lines = [f"{'answers a second':<38}" + "".join(f"{rate:>10}" for rate in rows)]
    for key, title in TITLES.items():
        cells = ("-" if row[key] is None else str(row[key]) for row in rows.values())
        lines.append(f"{title:<38}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


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
        score = Score()
        for seed in range(walks):
            play(measured, people, seconds, rate, seed, settings, score)
        rows[f"{rate:g}"] = score.summary()
    print(f"errors drawn from: {'none' if perfect else measured['model']}")
    print(table(rows))
    print(json.dumps({"model": measured["model"], "perfect": perfect, "rates": rows}))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
