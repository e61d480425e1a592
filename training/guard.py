# SPDX-License-Identifier: Apache-2.0
"""Says whether a model has become worse at heads: the gate that new weights have to pass.

    python -m training.stage5_evaluate --data training/testsets/scenes --out OLD/scenes
    python -m training.stage5_evaluate --data training/testsets/panoptic --out OLD/panoptic
    python -m training.evaluation.photos PHOTOS --out OLD
    python -m training.guard OLD NEW

OLD and NEW keep the answers of two models about the same pictures. Losses are NEW against OLD; each
has a 95 % interval by paired bootstrap over pictures, and its upper end must stay below the limit:
0.5 degrees of mean error of yaw, pitch and roll (true boxes), 1 point of recall on rendered scenes,
2 points of recall on photographs labelled by hand, 5 % of time per photograph. Recall is compared
at OLD's own precision: NEW may only use scores from which it is as precise. Prints a table and, as
the last line, one JSON object; the exit status is 1 if a limit is not kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray

from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.evaluation.bootstrap import Blocks, Measure, Quantile, Ratio, interval, tidy
from hpe_vlm_ros.evaluation.gate import Condition, shut
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate

from .data.json_lines import whole_lines
from .data.labels import read_labels
from .data.sample import Sample
from .evaluation import photo_measures
from .evaluation.measures import AnsweredScene, given_records, own_heads
from .evaluation.photo_measures import Photo
from .evaluation.photos import ANSWERS, LABELS, WARM_UP
from .evaluation.running import tasks_of
from .evaluation.scoring import true_heads
from .testsets import PANOPTIC, SCENES

LIMITS = {"mae": 0.5, "recall": 0.01, "photos_recall": 0.02, "photos_time": 0.05}

Array = NDArray[np.float64]
Estimates = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Found:
    """What a model found in pictures 0 .. F - 1.

    answers (A, 3): picture, score and whether it is right (1) or a false alarm (0), of each answer.
    heads (N, 2): picture and score of the answer, -inf without one, of each head that counts.
    """

    answers: Array
    heads: Array

    def points(self, weights: Array) -> tuple[Array, Array]:
        """(R, T) precision and recall from each score on, the highest first, for weights (R, F)."""
        answers = self.answers[np.argsort(-self.answers[:, 1], kind="stable")]
        heads = self.heads[np.argsort(-self.heads[:, 1], kind="stable")]
        last = np.append(np.diff(answers[:, 1]) != 0, True)[: len(answers)]  # of equal scores
        mass = weights[:, answers[:, 0].astype(int)]
        right = np.cumsum(mass * answers[:, 2], axis=1)[:, last]
        every = np.cumsum(mass, axis=1)[:, last]
        mass = np.cumsum(weights[:, heads[:, 0].astype(int)], axis=1)
        reached = np.searchsorted(-heads[:, 1], -answers[last, 1], side="right")
        hits = np.pad(mass, ((0, 0), (1, 0)))[:, reached]
        return right / np.maximum(every, 1e-9), hits / np.maximum(mass[:, -1:], 1e-9)


def recalls(before: Found, after: Found, weights: Array) -> tuple[Array, Array]:
    """(R,) recalls of both at the precision that `before` has with all its answers, for weights
    (R, F) of the pictures; 0 where a model is never that precise."""
    precision, recall = before.points(weights)
    theirs, reached = after.points(weights)
    enough = theirs >= precision[:, -1:] - 1e-12
    return recall[:, -1], np.where(enough, reached, 0.0).max(axis=1, initial=0.0)


def values(before: Measure, after: Measure, weights: Array) -> tuple[Array, Array]:
    """(R,) of a measure of both models."""
    return before.estimates(weights), after.estimates(weights)


@dataclass(frozen=True)
class Loss:
    """How much worse a model has become: `loss` with its interval, and whether `high` is below
    `limit`. Degrees of `mae`, shares of the others."""

    name: str
    before: float | None
    after: float | None
    loss: float | None
    low: float | None
    high: float | None
    limit: float

    @property
    def kept(self) -> bool:
        """Whether the loss stays below its limit; not where its interval is unknown."""
        return self.high is not None and self.high < self.limit


def loss_of(
    name: str, estimates: Estimates, pictures: int, limit: float, relative: bool = False
) -> Loss:
    """A loss from `estimates`, which gives the values (R,) of both models for weights (R, F).

    A recall that falls is a loss, and so is an error or a time that rises. relative: as a share of
    the value before.
    """
    sign = -1 if name.endswith("recall") else 1

    def losses(weights: Array) -> tuple[Array, Array, Array]:
        old, new = estimates(weights)
        return old, new, sign * (new - old) / (old if relative else 1.0)

    old, new, loss = losses(np.ones((1, pictures)))
    drawn = losses(Blocks(np.arange(pictures), pictures).weights())[2]
    return Loss(name, tidy(old[0]), tidy(new[0]), tidy(loss[0]), *interval(drawn), limit)


def scene_losses(before: Path, after: Path, data: Path) -> list[Loss]:
    """Losses of mean error and recall on labelled scenes; folders are those of stage 5."""
    samples = read_labels(data)
    both = [_answered(folder, samples) for folder in (before, after)]
    errors = [_errors(scenes) for scenes in both]
    found = [_found(scenes) for scenes in both]
    count = len(both[0])
    return [
        loss_of(f"{data.name}_mae", partial(values, *errors), count, LIMITS["mae"]),
        loss_of(f"{data.name}_recall", partial(recalls, *found), count, LIMITS["recall"]),
    ]


def _answered(folder: Path, samples: Sequence[Sample]) -> list[AnsweredScene]:
    """Scenes of a folder that stage 5 has written; ValueError where it is not whole."""
    result = json.loads((folder / "result.json").read_text())
    kept = [p for p in folder.glob("answers-*.jsonl") if result["model"] in p.name]
    lines = {line.pop("scene"): line for file in kept for line in whole_lines(file)}
    samples = list(samples)[: result["pictures"]]
    side, answered = result.get("side"), []
    for name, (sample, _) in tasks_of(samples, 0).items():
        if side is None or not {"own", "given"} <= lines.get(name, {}).keys():
            raise ValueError(f"{folder}: no answers about {name}; run stage 5 with --out {folder}")
        scale = (side / sample.width, side / sample.height)
        answered.append(AnsweredScene(sample, lines[name], scale))
    return answered


def _errors(scenes: Sequence[AnsweredScene]) -> Ratio:
    sums = []
    for scene in scenes:
        records = given_records(scene, [tuple(angles) for angles in scene.answers["given"]])
        error = records.error[np.isfinite(records.error).all(axis=1)].mean(axis=1)
        sums.append((error.sum(), len(error)))
    over, under = np.array(sums, dtype=float).T
    return Ratio(over, under)


def _found(scenes: Sequence[AnsweredScene]) -> Found:
    scored: list[tuple[float, float, float]] = []
    heads: list[tuple[float, float]] = []
    for index, scene in enumerate(scenes):
        rows = scene.answers["own"]
        who = metrics.assign(own_heads(rows), true_heads(scene.sample), scene.scale, scene.rules)
        answers = who.answer[who.counts]
        heads += [(index, rows[i][7] if i >= 0 else -np.inf) for i in answers]
        scored += [(index, rows[i][7], 1.0) for i in answers if i >= 0]
        scored += [(index, rows[i][7], 0.0) for i in who.false_alarms]
    return _rows(scored, heads)


def _rows(answers: list[tuple[float, float, float]], heads: list[tuple[float, float]]) -> Found:
    return Found(np.array(answers, float).reshape(-1, 3), np.array(heads, float).reshape(-1, 2))


def photo_losses(before: Path, after: Path, labels: Path = LABELS) -> list[Loss]:
    """Losses of recall and time on photographs; files are those of `training.evaluation.photos`."""
    label = {row["image"]: row for row in whole_lines(labels)}
    old, new = ({line["image"]: line for line in whole_lines(file)} for file in (before, after))
    if old.keys() != new.keys() or not old:
        raise ValueError(f"{before} and {after} must hold answers about the same photographs")
    lines = [[answers[name] for name in old] for answers in (old, new)]
    found = [
        _found_in([_photo(line, label[line["image"]]) for line in answers]) for answers in lines
    ]
    timed = np.arange(WARM_UP, len(old))
    seconds = [np.array([line["seconds"] for line in answers[WARM_UP:]]) for answers in lines]
    median = partial(values, *(Quantile(times, timed, 0.5) for times in seconds))
    at_precision, count = partial(recalls, *found), len(old)
    return [
        loss_of("photos_recall", at_precision, count, LIMITS["photos_recall"]),
        loss_of("photos_time", median, count, LIMITS["photos_time"], relative=True),
    ]


def _photo(line: dict[str, Any], label: dict[str, Any]) -> Photo:
    heads = [
        HeadEstimate(tuple(row[:4]), *row[4:7], rotation_from_angles(*row[4:7]), row[7])
        for row in line["own"]
    ]
    return photo_measures.compare(label, heads, line["side"])


def _found_in(photos: Sequence[Photo]) -> Found:
    answers: list[tuple[float, float, float]] = []
    heads: list[tuple[float, float]] = []
    for index, photo in enumerate(photos):
        answers += [(index, score, 1.0) for score in photo.hits]
        answers += [(index, score, 0.0) for score in photo.false]
        large = [head for head in photo.heads if head.size >= photo_measures.LARGE]
        heads += [(index, head.score if head.found else -np.inf) for head in large]
    return _rows(answers, heads)


def folders(kept: Path) -> dict[str, Path]:
    """The folders below `kept` with a result of stage 5, by the name of their data."""
    files = kept.rglob("result.json")
    return {json.loads(file.read_text())["data"]: file.parent for file in files}


def table(losses: Sequence[Loss]) -> str:
    """For people."""
    lines = [f"{'':<18}{'before':>9}{'after':>9}{'loss':>9}   95 % interval      limit"]
    for one in losses:
        cells = [one.before, one.after, one.loss, one.low, one.high]
        before, after, loss, low, high = ("-" if v is None else f"{v:.3f}" for v in cells)
        lines.append(
            f"{one.name:<18}{before:>9}{after:>9}{loss:>9}   {low:>7} to {high:>7}{one.limit:>9.2f}"
            f"  {'kept' if one.kept else 'NOT KEPT'}"
        )
    return "\n".join(lines)


def main(before: Path, after: Path, data: list[Path] | None = None, labels: Path = LABELS) -> int:
    """Compare kept answers of two models; the exit status.

    Args:
        before: folder of the weights so far.
        after: folder of the new weights.
        data: labelled scenes that must have been asked about; by default scenes and panoptic.
        labels: labels of the photographs.
    """
    old, new = folders(before), folders(after)
    losses = []
    for place in data or [SCENES, PANOPTIC]:
        for kept, found in ((before, old), (after, new)):
            if place.name not in found:
                raise ValueError(
                    f"{kept} has no answers about {place.name}: run python -m "
                    f"training.stage5_evaluate --data {place} --out {kept / place.name}"
                )
        losses += scene_losses(old[place.name], new[place.name], place)
    for kept in (before, after):
        if not (kept / ANSWERS).is_file():
            raise ValueError(
                f"{kept} has no answers about photographs: run python -m "
                f"training.evaluation.photos PHOTOS --out {kept}"
            )
    losses += photo_losses(before / ANSWERS, after / ANSWERS, labels)
    print(table(losses))
    bounds = {f"{one.name}.high": one.high for one in losses}
    status = shut([Condition(f"{o.name}.high", ">=", o.limit) for o in losses], bounds)
    rows = {one.name: asdict(one) | {"kept": one.kept} for one in losses}
    print(json.dumps({"kept": status == 0, "losses": rows}))
    return int(status != 0)


if __name__ == "__main__":
    sys.exit(auto_cli(main, as_positional=True))
