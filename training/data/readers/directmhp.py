# SPDX-License-Identifier: Apache-2.0
"""Reader for the COCO-style JSON files that DirectMHP makes of AGORA and CMU Panoptic.

`images`: id, file_name, width, height; `annotations`: image_id, bbox [x, y, w, h] in pixels and
euler_angles [pitch, yaw, roll] in degrees, with the signs of docs/conventions.md.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.geometry import angles_from_rotations, rotation_from_angles
from hpe_vlm_ros.labels import labelled_angles, look_like_radians

from ..sample import Head, Sample
from .common import NoLabel, Report, clip_xywh, read_json, usable_picture

# What DirectMHP prints for its files: {file name: (images, heads)}.
SOURCE_COUNTS = {
    "coco_style_train.json": (14408, 105046),  # AGORA
    "coco_style_validation.json": (1070, 7505),
    "coco_style_sampled_train.json": (15718, 35725),  # CMU Panoptic
    "coco_style_sampled_val.json": (16216, 32738),  # the paper's test set
}


def read_directmhp(
    annotations: Path | str, images: Path | str, report: Report | None = None
) -> list[Sample]:
    """The images of a DirectMHP file that hold a head, in the file's order; no camera is known.

    Left out and counted: a picture that is missing, unreadable or of another size than the file
    says; a head without a box or angles, outside the picture, or with |pitch| or |roll| not below
    90 or |yaw| above 180 (no valid triple); annotations of unlisted images. A picture that loses a
    head to one of these, other than being outside, is marked `all_heads=False`. Boxes are cut to
    the picture.
    Raises FileNotFoundError or ValueError if `annotations` is not such a file.

    Args:
        annotations: the JSON file, such as coco_style_sampled_val.json.
        images: the folder with the pictures that it names.
        report: takes the counts; without one they are only logged.
    """
    annotations, images = Path(annotations), Path(images)
    report = Report() if report is None else report
    content = read_json(annotations)
    try:
        records = {record["id"]: record for record in content["images"]}
        heads = defaultdict(list)
        for annotation in content["annotations"]:
            heads[annotation["image_id"]].append(annotation)
        listed = [
            (images / record["file_name"], (int(record["width"]), int(record["height"])), number)
            for number, record in records.items()
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{annotations}: not a DirectMHP file (at {error}); expected coco_style_*.json"
        ) from error
    samples = []
    for path, size, number in listed:
        if usable_picture(path, report, size) is not None:
            samples.append(_sample(path, size, heads[number], report))
    for annotation in (a for number in heads.keys() - records.keys() for a in heads[number]):
        report.leave_out("head of an image that is not listed", annotation.get("id"))
    samples = [sample for sample in samples if sample.heads]
    rotations = np.array([head.rotation for sample in samples for head in sample.heads])
    if len(rotations) and look_like_radians(angles_from_rotations(rotations)[0]):
        report.warn(f"{annotations}: no angle is above 3.14, as if in radians: give degrees")
    images_says, heads_say = SOURCE_COUNTS.get(annotations.name, (len(records), None))
    source = {"images": images_says} | ({} if heads_say is None else {"heads": heads_say})
    report.finish(samples, source)
    return samples


def _sample(path: Path, size: tuple[int, int], annotations: list[Any], report: Report) -> Sample:
    sample = Sample(path, *size, focal=None)
    for annotation in annotations:
        try:
            box = clip_xywh(annotation.get("bbox"), size)
            sample.heads.append(Head(box, _rotation(annotation.get("euler_angles"))))
        except NoLabel as fault:
            report.leave_out_head(fault, f"{path.name}, annotation {annotation.get('id')}", sample)
    if not sample.heads:
        report.leave_out("picture without a usable head", path)
    return sample


def _rotation(triple: Any) -> np.ndarray:
    try:
        pitch, yaw, roll = triple
        return rotation_from_angles(*labelled_angles(yaw, pitch, roll))
    except (TypeError, ValueError):
        raise NoLabel("head without a valid angle triple", seen=True, lost=True) from None
