# SPDX-License-Identifier: Apache-2.0
"""What tracked people are scored on: identities, poses, gazes, distances and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.scores import Identities, area_under_curve
from hpe_vlm_ros.geometry import (
    CameraIntrinsics,
    HeadShape,
    box_iou,
    geodesic_degrees,
    rotation_vector,
)
from hpe_vlm_ros.people.attention import Judge, gaze_angle
from hpe_vlm_ros.people.distance import locate
from hpe_vlm_ros.people.people import ROBOT, Person
from hpe_vlm_ros.people.tracking import Status

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]
LOOKING = 15.0  # degrees, as the node's looking_angle
UNCLEAR = LOOKING + Judge().hysteresis  # degrees up to which the node may say either
TITLES = {
    "heads": "heads to be found",
    "found": "share that the model finds",
    "idf1": "IDF1",
    "id_switches": "id switches",
    "switches_per_minute": "id switches a minute",
    "raw_deg": "rotation error of answers, deg",
    "filtered_deg": "rotation error filtered, deg",
    "filter_lag_ms": "filter behind turning heads, ms",
    "filter_ms": "filter, ms of one core an image",
    "within_1_sigma": "errors within 1 sigma (0.20)",
    "within_2_sigma": "errors within 2 sigma (0.74)",
    "auc_raw": "looking, area under curve, answers",
    "auc": "looking, area under curve, filtered",
    "auc_clear": "the same, without 15 to 20 deg",
    "distance_error": "distance from box, median error",
}


@dataclass(frozen=True, eq=False)
class TrueHead:
    """A head as it is.

    Attributes:
        name: of the person.
        box: pixels.
        rotation: (3, 3) head in the optical frame.
        sellion: (3,) metres in that frame.
        gaze: radians between its gaze and the ray to the camera.
        turning: (3,) rad/s about the optical axes; NaN where unknown.
        counts: False for heads too small or hidden to be asked for; answers on them are no error.
    """

    name: str
    box: Box
    rotation: Array
    sellion: Array
    gaze: float
    turning: Array
    counts: bool = True


class Seen(Protocol):
    """An answer of the model, or an observation made of one."""

    @property
    def box(self) -> Box: ...

    @property
    def rotation(self) -> Array: ...


class Score:
    """What is gathered over videos."""

    def __init__(self, camera: CameraIntrinsics | None = None, shape: HeadShape | None = None):
        self.camera, self.shape = camera, shape
        self.identities = Identities()
        self.seconds = 0.0
        self.lists: dict[str, list[float]] = {}

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.lists.setdefault(name, []).append(value)

    def frame(self, true: Sequence[TrueHead], found: Sequence[Any], people: list[Person]) -> None:
        """One image: what is there, what the model says, what the tracker says."""
        asked = [head for head in true if head.counts]
        answers = dict(_matched(asked, found))
        for head in asked:
            self.add(found=head in answers)
        for head, answered in answers.items():
            self._answer(head, answered)
        named = [p for p in people if p.head.id and p.head.status is not Status.STALE]
        self.identities.frame(
            [(h.name, h.box) for h in asked],
            [(p.head.id, p.box) for p in named],
            [h.box for h in true if not h.counts],
        )
        for head, person in _matched(asked, [p for p in named if p.posed]):
            self._person(head, person, answers.get(head))

    def _answer(self, head: TrueHead, answered: Seen) -> None:
        place = locate(answered.box, answered.rotation, self.camera, self.shape).point
        self.add(
            raw_gaze=-gaze_angle(answered.rotation, place, np.zeros(3)),
            raw_looking=head.gaze <= np.radians(LOOKING),
        )

    def _person(self, head: TrueHead, person: Person, answer: Seen | None) -> None:
        error = rotation_vector(person.rotation @ head.rotation.T)
        if answer is not None:  # both over the same heads
            raw = rotation_vector(answer.rotation @ head.rotation.T)
            self.add(raw=float(np.degrees(np.linalg.norm(raw))))
            self.add(filtered=float(geodesic_degrees(head.rotation, person.rotation)))
            if np.isfinite(head.turning).all():
                self.add(
                    turned=float(head.turning @ head.turning),
                    behind=float((raw - error) @ head.turning),
                )
        self.add(
            sigmas=float(np.sqrt(error @ np.linalg.solve(person.covariance[3:, 3:], error))),
            score=person.gazes[ROBOT].score,
            looking=head.gaze <= np.radians(LOOKING),
            unclear=LOOKING < np.degrees(head.gaze) <= UNCLEAR,
            range=abs(
                float(np.linalg.norm(person.position.point) / np.linalg.norm(head.sellion)) - 1
            ),
        )

    def summary(self) -> dict[str, Any]:
        lists = {name: np.array(values, float) for name, values in self.lists.items()}
        nothing = np.full(1, np.nan)

        def median(name: str, digits: int) -> float:
            return round(float(np.median(lists.get(name, nothing))), digits)

        sigmas = lists.get("sigmas", nothing)
        score, looking = lists.get("score", nothing), lists.get("looking", nothing)
        clear = lists.get("unclear", np.zeros(1)) == 0
        switches = self.identities.switches
        # The error that grows with the speed of turning, over that speed, is a delay.
        turned = lists.get("turned", np.zeros(1)).sum()
        lag = lists["behind"].sum() / turned if turned else None
        return {
            "heads": len(lists.get("found", ())),
            "found": round(float(lists.get("found", nothing).mean()), 3),
            "idf1": round(self.identities.idf1(), 3),
            "id_switches": switches,
            "switches_per_minute": round(switches / self.seconds * 60, 2),
            "raw_deg": median("raw", 1),
            "filtered_deg": median("filtered", 1),
            "filter_lag_ms": None if lag is None else round(1000 * float(lag)),
            "filter_ms": median("ms", 2),
            "within_1_sigma": round(float((sigmas <= 1).mean()), 2),
            "within_2_sigma": round(float((sigmas <= 2).mean()), 2),
            "auc_raw": area_under_curve(
                lists.get("raw_gaze", nothing), lists.get("raw_looking", nothing)
            ),
            "auc": area_under_curve(score, looking),
            "auc_clear": area_under_curve(score[clear], looking[clear]),
            "distance_error": median("range", 3),
        }


def _matched(true: Sequence[TrueHead], found: Sequence[Any]) -> list[tuple[TrueHead, Any]]:
    """Pairs of a head and the box that overlaps it most, by half at least."""
    if not true or not found:
        return []
    overlap = box_iou([h.box for h in true], [f.box for f in found])
    best = overlap.argmax(axis=1)
    return [
        (head, found[j])
        for i, (head, j) in enumerate(zip(true, best, strict=True))
        if overlap[i, j] >= 0.5
    ]


def table(corner: str, rows: dict[str, dict[str, Any]]) -> str:
    """A column for each entry of `rows`, under its name."""
    lines = [f"{corner:<38}" + "".join(f"{name:>10}" for name in rows)]
    for key, title in TITLES.items():
        cells = ("-" if row[key] is None else str(row[key]) for row in rows.values())
        lines.append(f"{title:<38}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)
