# SPDX-License-Identifier: Apache-2.0
"""How a model does on photographs of real people that no training has seen.

    python -m training.evaluation.photos PHOTOS [--model DIR] [--weak weak/held_out] [--sheet FILE]

PHOTOS is the folder that the labels' paths begin in; photographs are not part of this repository.
Two views, since nobody has measured these people's poses:

- Heads labelled by hand (training/testsets/photos): how many are found at IoU 0.4 (boxes drawn by
  eye), and for how many of those the side they face is named right. Not every head is labelled, so
  this is no precision.
- Faces that YuNet is sure of, grown to head boxes (`training.data.weak_labels` writes them): how
  many are found, and how far the pose is from WHENet's, where that labeller agreed with itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray
from tqdm import tqdm

from hpe_vlm_ros.drawing import contact_sheet, draw_heads
from hpe_vlm_ros.geometry import geodesic_degrees
from hpe_vlm_ros.metrics import match_boxes
from hpe_vlm_ros.perceiver import HeadEstimate, HeadPerceiver
from hpe_vlm_ros.pictures import read_picture

from ..testsets import PHOTOS

LABELS = PHOTOS / "labels.jsonl"
IOU = 0.4
SIDES = ("front", "left", "back", "right")  # a quarter turn each, "left" is the image's left
LEAST_FACE = 40.0  # pixels, root of the face box's area in the photograph
CONFIDENT = 0.8  # YuNet's score


@dataclass(frozen=True)
class Compared:
    """A labelled head and the answer to it, None where none was found."""

    label: dict[str, Any]
    size: float  # root of the box's area, pixels at the model's input
    answer: HeadEstimate | None


def side_of(rotation: NDArray[np.float64]) -> str:
    """Which way a head looks, to the nearest quarter turn about the vertical.

    `rotation` (3, 3) is the head in the camera's optical frame; its third column points out of
    the back of the head.
    """
    heading = np.degrees(np.arctan2(rotation[0, 2], rotation[2, 2]))  # 0: at the camera
    return SIDES[round(heading / 90) % 4]


def compare(
    rows: Sequence[dict[str, Any]], folder: Path, perceiver: HeadPerceiver
) -> Iterator[tuple[list[Compared], NDArray[np.uint8], list[HeadEstimate]]]:
    """Each photograph's labelled heads with the answers to them, the picture, and all answers.

    Raises FileNotFoundError or ImageError that names a photograph which cannot be read.
    """
    for row in rows:
        path = folder / row["image"]
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such photograph; is PHOTOS the right folder?")
        image = read_picture(path)
        found = perceiver(image)
        boxes = [label["box"] for label in row["heads"]]
        pairs = match_boxes([head.box for head in found], boxes, IOU)
        answers = {true: found[answer] for answer, true in pairs.tolist()}
        scale = perceiver.input_size / np.sqrt(row["width"] * row["height"])
        yield (
            [
                Compared(label, scale * _size(label["box"]), answers.get(number))
                for number, label in enumerate(row["heads"])
            ],
            image,
            found,
        )


def by_hand(compared: Sequence[Compared]) -> dict[str, dict[str, float]]:
    """Recall and share of sides named right, of all heads, by side and by size."""
    parts = {"all": compared}
    for side in SIDES:
        parts[side] = [c for c in compared if c.label["facing"] == side]
    parts["under 32 px"] = [c for c in compared if c.size < 32]
    parts["32 px and more"] = [c for c in compared if c.size >= 32]
    return {name: _hand_row(part) for name, part in parts.items()}


def _hand_row(compared: Sequence[Compared]) -> dict[str, float]:
    found = [c for c in compared if c.answer is not None]
    told = [
        side_of(c.answer.rotation) == c.label["facing"]
        for c in found
        if c.answer is not None and c.label["facing"] is not None
    ]
    return {"heads": len(compared), "recall": _mean([c.answer is not None for c in compared]),
            "sided": len(told), "side right": _mean(told)}  # fmt: skip


def by_face(compared: Sequence[Compared]) -> dict[str, float]:
    """How many confident faces are found, and how far their poses are from WHENet's."""
    faces = [
        c
        for c in compared
        if c.label["score"] >= CONFIDENT and _size(c.label["face"]) >= LEAST_FACE
    ]
    errors = [
        float(geodesic_degrees(c.answer.rotation, np.array(c.label["rotation"])))
        for c in faces
        if c.answer is not None and c.label["rotation"] is not None
    ]
    median = float(np.median(errors)) if errors else float("nan")
    return {"faces": len(faces), "face_recall": _mean([c.answer is not None for c in faces]),
            "whenet_poses": len(errors), "whenet_geodesic_median": median}  # fmt: skip


def _size(box: Sequence[float]) -> float:
    return float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def main(
    photos: Path,
    model: Path | None = None,
    weak: Path | None = None,
    sheet: Path | None = None,
    labels: Path = LABELS,
    tiles: int = 1,
) -> None:
    """Compare a model's answers with labels of photographs.

    Args:
        photos: folder that the labels' paths begin in.
        model: model folder; the shipped one if left out.
        weak: folder of weak labels (`labels.jsonl`), for the comparison with YuNet and WHENet.
        sheet: picture to write: every photograph labelled by hand, with the answers drawn.
        labels: heads labelled by hand.
        tiles: above 1, so many by so many parts of each photograph are looked at as well.
    """
    perceiver = HeadPerceiver.load(model, tiles=tiles)
    rows = _read(labels)
    compared, drawn = [], []
    for heads, image, found in tqdm(compare(rows, photos, perceiver), total=len(rows)):
        compared += heads
        if sheet is not None:
            drawn.append(draw_heads(image, found))
    hand = by_hand(compared)
    print(f"{'labelled by hand':<18}{'heads':>6}{'recall':>8}{'sided':>7}{'side right':>12}")
    for name, row in hand.items():
        print(
            f"{name:<18}{row['heads']:>6}{row['recall']:>8.3f}{row['sided']:>7}"
            f"{row['side right']:>12.3f}"
        )
    numbers: dict[str, float] = {
        "heads": hand["all"]["heads"],
        "hand_recall": hand["all"]["recall"],
        "side_right": hand["all"]["side right"],
    }
    if weak is not None:
        rows = _read(weak / "labels.jsonl")
        pairs = tqdm(compare(rows, weak, perceiver), total=len(rows))
        numbers |= by_face([head for heads, *_ in pairs for head in heads])
        print(f"faces {numbers['faces']}, found {numbers['face_recall']:.3f}; median angle to "
              f"WHENet's pose {numbers['whenet_geodesic_median']:.1f} degrees, of "
              f"{numbers['whenet_poses']}")  # fmt: skip
    if sheet is not None:
        picture = contact_sheet(drawn, 6, cell=(320, 240))
        cv2.imwrite(str(sheet), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    print(json.dumps({k: None if v != v else v for k, v in numbers.items()}))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
