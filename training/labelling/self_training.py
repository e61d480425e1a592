# SPDX-License-Identifier: Apache-2.0
"""Self-training: weakly labelled photographs get the heads that a model finds in tiles.

    python -m training.labelling.self_training photos/ weak/ more/ --model models/embedded

With tiles (`hpe_vlm_ros.tiles`) and test-time flip (`hpe_vlm_ros.mirror`) a model finds nine in ten
of the heads labelled by hand in crowded rooms, in one pass six. What it is sure of is added to the
faces of `weak_labels`, which keep their boxes and poses. From it the model learns to find the same
in one pass, heads that show no face included. Where a box stays in doubt the picture does not claim
to know all its heads (`all_heads` is false).

weak/ is a folder of `weak_labels`: its part to train on, and the photographs of that part that were
left out because they show no face. more/labels.jsonl is in the format that every stage reads. A
killed run goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from jsonargparse import auto_cli

from hpe_vlm_ros.geometry import box_iou
from hpe_vlm_ros.heads import HeadEstimate, Heads
from hpe_vlm_ros.perceiver import HeadPerceiver

from ..data.json_lines import same_settings, whole_lines
from ..data.labels import read_labels
from ..data.readers.common import picture_size
from ..data.sample import Head, Sample
from .relabel import SETTINGS, relabel

MOST = 100  # heads of one photograph
UNREADABLE = "photographs that cannot be read"


@dataclass(frozen=True)
class Limits:
    """What counts as found.

    Attributes:
        sure: least score of a head that is added.
        doubt: score from which on a box that is not sure leaves the picture in doubt.
        iou: from which on two boxes are of one head.
        spread: degrees, largest standard deviation of a pose that is kept; beyond, only the box is.
    """

    sure: float = 0.6
    doubt: float = 0.3
    iou: float = 0.4
    spread: float = 15.0


LIMITS = Limits()


class Finder(Protocol):
    """Heads in an RGB image (H, W, 3) uint8, as `HeadPerceiver` finds them."""

    def __call__(self, image: np.ndarray) -> Heads: ...


def completed(
    sample: Sample, image: np.ndarray, finder: Finder, limits: Limits, counts: Counter[str]
) -> Sample:
    """The sample with the heads that the model is sure of; `image` (H, W, 3) RGB uint8."""
    known = np.array([head.box for head in sample.heads]).reshape(-1, 4)
    found = finder(image)
    new = [h for h in found if not (box_iou([h.box], known) >= limits.iou).any()]
    heads = [_head(h, limits) for h in new if h.score >= limits.sure]
    in_doubt = found.left_out > 0 or any(limits.doubt <= h.score < limits.sure for h in new)
    counts["heads known before"] += len(known)
    counts["heads added"] += len(heads)
    counts["heads added with a pose"] += sum(head.rotation is not None for head in heads)
    counts["photographs in doubt"] += in_doubt
    return replace(sample, heads=[*sample.heads, *heads], all_heads=not in_doubt)


def _head(found: HeadEstimate, limits: Limits) -> Head:
    is_sure = found.spread is not None and max(found.spread) <= limits.spread
    return Head(np.array(found.box), found.rotation if is_sure else None)


def pictures_of(photos: Path, weak: Path, counts: Counter[str]) -> Iterator[Sample]:
    """The photographs to train on: with labelled faces, and those in which none was found."""
    yield from read_labels(weak / "train")
    for line in whole_lines(weak / "left_out.jsonl"):
        if line["part"] == "train" and line["why"] == "no face":
            photo = photos / line["photo"]
            if not photo.exists():
                raise FileNotFoundError(f"{photo}: no such photograph; is PHOTOS the right folder?")
            try:
                yield Sample(photo, *picture_size(photo), None)
            except ValueError:
                counts[UNREADABLE] += 1


def label_folder(
    photos: Path, weak: Path, output: Path, finder: Finder, limits: Limits = LIMITS
) -> Counter[str]:
    """Label all photographs that are not done yet; returns counts of this run."""
    counts = Counter[str]()

    def change(sample: Sample, image: np.ndarray) -> Sample:
        return completed(sample, image, finder, limits, counts)

    relabel(list(pictures_of(photos, weak, counts)), output, change, counts, "photographs")
    return counts


def main(
    photos: Path,
    weak: Path,
    output: Path,
    model: Path | None = None,
    tiles: int = 2,
    limits: Limits = LIMITS,
) -> None:
    """Add the heads that a model finds in tiles to weakly labelled photographs.

    Args:
        photos: the folder of photographs that `weak_labels` was given.
        weak: the folder that it wrote.
        output: folder for labels.jsonl; the photographs stay where they are.
        model: model folder; the shipped one if left out.
        tiles: each photograph is divided into so many by so many tiles.
        limits: what counts as found.
    """
    perceiver = HeadPerceiver.load(model, max_heads=MOST, tiles=tiles, mirror=True)
    settings = {"model": perceiver.model_id, "tiles": tiles, "limits": asdict(limits)}
    try:
        same_settings(output / SETTINGS, settings)
        counts = label_folder(photos, weak, output, perceiver, limits)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    for what, count in counts.most_common():
        print(f"{count:9,} {what}")


if __name__ == "__main__":
    auto_cli(main)
