# SPDX-License-Identifier: Apache-2.0
"""Ask a model about films and keep the errors of its poses, for `training.teach_gestures --errors`.

    python -m training.film_answers ERRORS.npz FILMS [FILMS...] --model DIR

FILMS are folders of films (`synthetic.films`) or walks (`synthetic.walks`) at ten pictures a
second, of people whom no test set shows. ERRORS.npz gets an array (N, 5) for each run of pictures
in which a head was found: errors of yaw, pitch and roll in degrees about the head's own axes,
beside a motion shrunk by GAINS, and of the middle of the box to the right and down in its heights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray

from hpe_vlm_ros.geometry import box_iou, rotation_vector
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.people.gestures.window import TO_ANGLES
from hpe_vlm_ros.perceiver import HeadPerceiver

from .evaluation.senses import SAME, Frame, film_pictures, frames, walk_pictures

Array = NDArray[np.float64]
GAINS = (1.0, 0.4, 0.7)  # degrees of yaw, pitch and roll answered for a degree of motion
LEAST = 25  # pictures in a row
MISSED = 3  # pictures in a row at most, between which errors are taken as linear
FARTHEST = 45.0  # degrees: beyond, the answer is about the other side of the head


def runs(film: Sequence[Frame]) -> Iterator[Array]:
    """Errors (N, 5) of each head that was found in a row."""
    for person in sorted({head["person"] for frame in film for head in frame.heads}):
        detections = [
            (place, *one) for place, frame in enumerate(film) for one in _found(frame, person)
        ]
        cuts = np.flatnonzero(np.diff([place for place, _, _ in detections]) > MISSED) + 1
        for part in np.split(np.arange(len(detections)), cuts):
            if len(part) >= LEAST:
                places, heads, answers = zip(*(detections[index] for index in part), strict=True)
                every = np.arange(places[0], places[-1] + 1)
                errors = _errors(heads, answers)
                yield np.stack([np.interp(every, places, one) for one in errors.T], 1)


def _found(frame: Frame, person: str) -> Iterator[tuple[dict[str, Any], HeadEstimate]]:
    """The person's label and the answer about it, if it is seen and was found."""
    for head in frame.heads:
        if head["person"] == person and frame.found:
            overlap = box_iou([one.box for one in frame.found], [head["box"]])[:, 0]
            if overlap.max() > SAME:
                yield head, frame.found[int(overlap.argmax())]


def _errors(heads: Sequence[dict[str, Any]], answers: Sequence[HeadEstimate]) -> Array:
    true = np.array([head["rotation"] for head in heads])
    off = _turns(true, np.array([one.rotation for one in answers]))
    motion = np.cumsum(np.concatenate([np.zeros((1, 3)), _turns(true[:-1], true[1:])]), 0)
    off = off + (1 - np.array(GAINS)) * motion
    off = np.clip(off - np.median(off, 0), -FARTHEST, FARTHEST)
    boxes, found = np.array([head["box"] for head in heads]), np.array([one.box for one in answers])
    way = (found - boxes).reshape(-1, 2, 2).mean(1)
    return np.column_stack([off, way / np.median(boxes[:, 3] - boxes[:, 1])])


def _turns(one: Array, other: Array) -> Array:
    """Yaw, pitch, roll (N, 3) in degrees about the axes of the first rotations, to the others."""
    return np.asarray(np.degrees(rotation_vector(np.swapaxes(one, 1, 2) @ other)) @ TO_ANGLES)


def films_in(folder: Path, perceiver: HeadPerceiver, cache: Path | None) -> Iterator[list[Frame]]:
    """What the model says of each film and walk of a folder."""
    for film in sorted(folder.glob("*.mp4")):
        kept = None if cache is None else cache / f"{film.stem}.json"
        yield frames(film_pictures(film), perceiver, kept)
    for labels in sorted(folder.glob("labels_*.jsonl")):
        kept = None if cache is None else cache / f"walk_{labels.stem}.json"
        yield frames(walk_pictures(labels), perceiver, kept)


def main(
    out: Path, films: list[Path], model: Path | None = None, cache: Path | None = None
) -> None:
    """Write the errors; the last line printed is a JSON object.

    Args:
        out: file for the errors (.npz).
        films: folders of films or walks.
        model: model folder; default: the one in the package.
        cache: folder that keeps the model's answers about films of these names.
    """
    perceiver = HeadPerceiver.load(model)
    answers = (film for folder in films for film in films_in(folder, perceiver, cache))
    found = [errors.astype(np.float32) for film in answers for errors in runs(film)]
    if not found:
        where = ", ".join(map(str, films))
        raise SystemExit(f"no head in {where} is found in {LEAST} pictures in a row")
    np.savez_compressed(out, *found)
    every = np.concatenate(found)
    print("deviation of yaw, pitch, roll, right, down:", every.std(0).round(3).tolist())
    print(json.dumps({"runs": len(found), "pictures": len(every)}))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
