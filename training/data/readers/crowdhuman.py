# SPDX-License-Identifier: Apache-2.0
"""Reader for CrowdHuman: `annotation_train.odgt` or `annotation_val.odgt`, one JSON a line.

{"ID": ..., "gtboxes": [{"tag": "person" or "mask", "hbox": [x, y, w, h], "fbox": ..., "vbox":
 ..., "head_attr": {"ignore": 0, "occ": 0, "unsure": 0}, "extra": {"ignore": 1, ...}}]}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..sample import Head, Sample
from .common import NoLabel, Report, clip_xywh, usable_picture

SOURCE_COUNTS = {"annotation_train.odgt": 15000, "annotation_val.odgt": 4370}  # images


def read_crowdhuman(
    annotations: Path | str,
    images: Path | str,
    min_side: float = 0.0,
    max_heads: int | None = None,
    report: Report | None = None,
) -> list[Sample]:
    """CrowdHuman's pictures with their head boxes; poses and cameras are unknown.

    Left out and counted: boxes tagged `mask` (crowds, statues, reflections), heads marked `ignore`
    or `unsure`, heads without a box, outside the picture or, cut to it, with a side below
    `min_side`; pictures that are missing, unreadable, without a usable head or with more than
    `max_heads`. A picture that loses anything but heads outside it is marked `all_heads=False`:
    people show there that the labels leave open.

    The paper trains on 11,731 of the 15,000 training images with 94,795 heads (8.1 an image) and
    does not say how it chose them; with the defaults everything usable is kept. `visible` is 1
    throughout, since the source tells only that a head is occluded, not how far.
    Raises FileNotFoundError, or ValueError naming file and line of what is not such a record.

    Args:
        annotations: the .odgt file.
        images: the folder with the pictures <ID>.jpg.
        min_side: pixels of the picture.
        max_heads: None takes every picture, however many heads it holds.
        report: takes the counts; without one they are only logged.
    """
    annotations, images = Path(annotations), Path(images)
    report = Report() if report is None else report
    samples = []
    with annotations.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                name, boxes = str(record["ID"]), list(record["gtboxes"])
                sample = _sample(images / f"{name}.jpg", boxes, min_side, report)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{annotations}, line {number}: not a CrowdHuman record ({error!r})"
                ) from error
            if sample is not None and max_heads is not None and len(sample.heads) > max_heads:
                report.leave_out(f"picture with more than {max_heads} heads", name)
            elif sample is not None:
                samples.append(sample)
    count = SOURCE_COUNTS.get(annotations.name)
    report.finish(samples, {} if count is None else {"images": count})
    return samples


def _sample(path: Path, boxes: list[Any], min_side: float, report: Report) -> Sample | None:
    size = usable_picture(path, report)
    if size is None:
        return None
    sample = Sample(path, *size, focal=None)
    for index, record in enumerate(boxes):
        try:
            sample.heads.append(Head(_head_box(record, size, min_side), None))
        except NoLabel as fault:
            report.leave_out_head(fault, f"{path.stem}, box {index}", sample)
    if not sample.heads:
        report.leave_out("picture without a usable head", path)
        return None
    return sample


def _head_box(record: dict[str, Any], size: tuple[int, int], min_side: float) -> np.ndarray:
    if record["tag"] != "person":
        raise NoLabel(f"box tagged {record['tag']}", seen=True)
    head = record.get("head_attr", {})
    for mark in ("ignore", "unsure"):
        if head.get(mark) == 1:
            raise NoLabel(f"head marked {mark}", seen=True)
    if record.get("extra", {}).get("ignore") == 1:
        raise NoLabel("person marked ignore", seen=True)
    box = clip_xywh(record.get("hbox"), size)
    if min(box[2] - box[0], box[3] - box[1]) < min_side:
        raise NoLabel(f"head smaller than {min_side:g} pixels", seen=True)
    return box
