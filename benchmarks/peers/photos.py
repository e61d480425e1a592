# SPDX-License-Identifier: Apache-2.0
"""Peers on photographs of real people and rooms, see benchmarks.peers.

Labels and measures are those of training.evaluation.photos. YuNet's faces become heads by
`Face.head_box`; what MediaPipe's landmarks need to become heads is fitted on judged photographs
that are not in the test set, with the poses of the same three networks that faces are compared
with.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import cell
from benchmarks.peers.contenders import (
    Boxes,
    Found,
    Peer,
    detector_and_regressor,
    face_finder,
    five_landmarks,
    head_boxes,
    make_ready,
    mediapipe_or_why,
    ours,
    take_turns,
    whenet,
)
from benchmarks.peers.faces import LEAST_FACE, rays
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.data.json_lines import whole_lines
from training.data.sample import Head, Sample
from training.evaluation import photo_measures as measures
from training.evaluation.photo_measures import Photo
from training.evaluation.photos import read_photo
from training.labelling.groups import HELD_OUT, read_names
from training.labelling.judged import JUDGED, read_judged

JUDGED_BELOW = "real_photos"
VIEWS = {"face": ("F", "FL", "FR"), "profile": measures.SIDES, "back": measures.BACKS}
ANGLES = ("teacher_mae", "teacher_mae_side", "teacher_geodesic_median")


def fit_samples(folder: Path, count: int) -> list[Sample]:
    """`count` judged photographs with faces that are not in the test set, chosen at random.

    Poses are the teachers' where they are confident. Raises as `read_photo` does.
    """
    held_out = read_names(HELD_OUT)
    labels = [
        label
        for label in read_judged(JUDGED)
        if label["image"] not in held_out and any(map(measures.is_confident, label["heads"]))
    ]
    chosen = np.random.default_rng(0).permutation(len(labels))[:count]
    return [_sample(folder, labels[i]) for i in chosen]


def _sample(folder: Path, label: dict[str, Any]) -> Sample:
    image = f"{JUDGED_BELOW}/{label['image']}"
    read_photo(folder, label | {"image": image})  # raises where it is another one
    width, height = label["width"], label["height"]
    heads = []
    for head in label["heads"]:
        box, turn = np.array(head["box"]), None
        if measures.is_confident(head):
            (ray,) = rays(box[None], (height, width))
            turn = ray @ rotation_from_angles(*head["angles"])
        heads.append(Head(box, turn))
    return Sample(folder / image, width, height, None, heads)


def contenders(options: argparse.Namespace, perceiver: HeadPerceiver) -> dict[str, Peer | str]:
    """Each, made ready, or why it is not run."""

    def yunet() -> Boxes:
        finder = face_finder(options.yunet, LEAST_FACE)
        return lambda image: head_boxes(finder(image))

    ways: dict[str, Callable[[], Peer]] = {
        "YuNet + WHENet": lambda: detector_and_regressor(yunet(), whenet(options.whenet)),
        "YuNet, five landmarks": lambda: five_landmarks(face_finder(options.yunet, LEAST_FACE)),
        "mediapipe face mesh": lambda: mediapipe_or_why(
            options.mediapipe, fit_samples(options.photos, options.fit_images)
        ),
    }
    return {"ours": ours(perceiver)} | make_ready(ways)


def recall_of(photos: Sequence[Photo], facings: Sequence[str]) -> float:
    """Of heads of 32 pixels and more at the model's input that face so; NaN where there is none."""
    rows = [row for name, row in measures.by_facing(photos).items() if name in facings]
    heads = sum(row["heads"] for row in rows)
    found = sum(row["heads"] * row["recall"] for row in rows if row["heads"])
    return found / heads if heads else float("nan")


def in_common(theirs: Sequence[Photo], ours: Sequence[Photo]) -> list[Photo]:
    """Theirs, with those heads alone of which both tell angles."""
    return [
        replace(
            one,
            heads=[
                head
                for head, other in zip(one.heads, two.heads, strict=True)
                if head.answer is not None and other.answer is not None
            ],
        )
        for one, two in zip(theirs, ours, strict=True)
    ]


def angle_errors(photos: Sequence[Photo]) -> dict[str, float]:
    """How many faces are compared with the teachers, and the errors, degrees."""
    numbers = measures.summary(photos)
    return {"faces": len(measures.compared_faces(photos))} | {key: numbers[key] for key in ANGLES}


def scored(photos: Sequence[Photo], ms: Sequence[float], ours: Sequence[Photo]) -> dict[str, Any]:
    """Numbers of one row: those of training.evaluation.photos, and recall by view."""
    with_people = [m for m, photo in zip(ms, photos, strict=True) if not photo.empty]
    row = measures.summary(photos) | angle_errors(photos)
    row |= {f"recall_{view}": recall_of(photos, facings) for view, facings in VIEWS.items()}
    row |= {"ms": _median(ms), "ms_people": _median(with_people)}
    both = {
        "theirs": angle_errors(in_common(photos, ours)),
        "ours": angle_errors(in_common(ours, photos)),
    }
    return _fit_for_json(row) | {"both": {who: _fit_for_json(part) for who, part in both.items()}}


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _fit_for_json(numbers: dict[str, float]) -> dict[str, Any]:
    return {key: None if v != v else round(v, 4) for key, v in numbers.items()}


COLUMNS = {  # key of a row: title, digits behind the point
    "ms": ("ms", 1), "ms_people": ("people", 1), "recall": ("recall", 3),
    "recall_face": ("face", 3), "recall_profile": ("profile", 3), "recall_back": ("back", 3),
    "recall_small": ("small", 3), "precision": ("precision", 3),
    "false_per_empty": ("false/empty", 3), "faces": ("faces", 0), "teacher_mae": ("MAE", 2),
    "teacher_mae_side": ("MAE side", 2), "teacher_geodesic_median": ("geodesic", 2),
}  # fmt: skip


def table(rows: dict[str, dict[str, Any]]) -> str:
    """One line a contender, and a last column of MAE on the faces that it and ours found."""
    lines = [f"{'':<22}" + "".join(f"{title:>12}" for title, _ in COLUMNS.values())
             + f"{'both: it, ours':>18}"]  # fmt: skip
    for name, row in rows.items():
        if "not_run" in row:
            lines.append(f"{name:<22}{'not run':>12}  {row['not_run']}")
            continue
        cells = "".join(f"{cell(row[key], digits):>12}" for key, (_, digits) in COLUMNS.items())
        both = " ".join(cell(row["both"][who]["teacher_mae"], 2) for who in ("theirs", "ours"))
        lines.append(f"{name:<22}{cells}{both:>18}")
    lines.append("recall of heads of 32 pixels and more at our model's input, small: of 16 to 32; "
                 "degrees to the teachers")  # fmt: skip
    return "\n".join(lines)


def compare(labels: Sequence[dict[str, Any]], found: Found, input_size: int) -> list[Photo]:
    return [
        measures.compare(label, heads, input_size)
        for label, (heads, _) in zip(labels, found, strict=True)
    ]


def run(options: argparse.Namespace, perceiver: HeadPerceiver) -> dict[str, Any]:
    """Counts and rows by contender; prints their table for people.

    Raises ValueError where there are no labels, and as `read_photo` does.
    """
    labels = whole_lines(options.photo_labels)[:: options.photo_every]
    if not labels:
        raise ValueError(f"{options.photo_labels}: no labels of photographs")
    pictures = [(options.photos / label["image"], partial(read_photo, options.photos, label))
                for label in labels]  # fmt: skip
    ready = contenders(options, perceiver)
    results = take_turns(ready, pictures)
    size = perceiver.input_size
    photos = {name: compare(labels, found, size) for name, found in results.items()}
    rows: dict[str, dict[str, Any]] = {name: {"not_run": why} for name, why in ready.items()}
    for name, found in results.items():
        rows[name] = scored(photos[name], [ms for _, ms in found], photos["ours"])
    heads = [head for photo in photos["ours"] for head in photo.heads]
    counts = {view: sum(h.size >= measures.LARGE and h.facing in facings for h in heads)
              for view, facings in VIEWS.items()}  # fmt: skip
    empty = sum(photo.empty for photo in photos["ours"])
    views = ", ".join(f"{count} {view}" for view, count in counts.items())
    print(f"{len(labels)} photographs, {empty} without people; large heads: {views}")
    print(table(rows))
    return {"pictures": len(labels), "empty": empty, "heads": counts, "rows": rows}
