# SPDX-License-Identifier: Apache-2.0
"""COCO's keypoint files, `person_keypoints_*.json`: read as samples, and written from samples.

`images`: id, file_name, width, height; `annotations`: id, image_id, bbox [x, y, w, h], keypoints
(51 numbers: 17 times x, y and visibility 0, 1 or 2), area, iscrowd; `categories`: the names of the
keypoints (https://cocodataset.org/#format-data).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.evaluation.keypoints import AREA_OF_BOX
from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, LINES, SEEN

from ..keypoints import warped
from ..labels import KEYPOINT_DECIMALS, rounded
from ..sample import Appearance, Head, Sample
from .common import NoLabel, Report, clip_xywh, read_json, usable_picture

SOURCE_COUNTS = {"person_keypoints_train2017.json": 118287, "person_keypoints_val2017.json": 5000}
NAMES = [name.replace(" ", "_") for name in KEYPOINTS]


def read_coco(
    annotations: Path | str, images: Path | str, report: Report | None = None
) -> list[Sample]:
    """The pictures of a COCO keypoint file that show a marked person, in the file's order.

    COCO marks no heads: the `box` of such a head is the whole body's and `visible` is 0, by which
    nothing is taught about it; its `appearance` has the body's box and area. Cameras and poses are
    unknown, and other people may show.
    Left out and counted: crowds, people without a marked point or outside the picture, and pictures
    that are missing, unreadable, of another size than the file says or without a marked person.
    Points outside the picture count as not marked.
    Raises FileNotFoundError, or ValueError naming the file, and the annotation where its keypoints
    are not 17 times x, y, visibility.

    Args:
        annotations: the JSON file, such as person_keypoints_val2017.json.
        images: the folder with the pictures that it names.
        report: takes the counts; without one they are only logged.
    """
    annotations, images = Path(annotations), Path(images)
    report = Report() if report is None else report
    content = read_json(annotations)
    try:
        people = defaultdict(list)
        for entry in content["annotations"]:
            people[entry["image_id"]].append(_checked(entry, annotations))
        listed = [
            (images / one["file_name"], (int(one["width"]), int(one["height"])), people[one["id"]])
            for one in content["images"]
        ]
        _check_names(content.get("categories", []), annotations)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{annotations}: not a COCO keypoint file (at {error}); "
            "expected person_keypoints_*.json"
        ) from error
    samples = []
    for path, size, entries in listed:
        if entries and usable_picture(path, report, size) is not None:
            samples.append(_sample(path, size, entries, report))
    samples = [sample for sample in samples if sample.heads]
    count = SOURCE_COUNTS.get(annotations.name)
    report.finish(samples, {} if count is None else {"images": count})
    return samples


def _check_names(categories: list[dict[str, Any]], file: Path) -> None:
    for category in categories:
        names = category.get("keypoints", NAMES)
        if names != NAMES:
            raise ValueError(
                f"{file}: category {category.get('name')} has the keypoints {', '.join(names)}; "
                f"COCO's 17 are expected: {', '.join(NAMES)}"
            )


def _checked(entry: dict[str, Any], file: Path) -> dict[str, Any]:
    """An annotation, its keypoints as an array (17, 3)."""
    numbers = entry["keypoints"]
    if len(numbers) != 3 * len(KEYPOINTS):
        raise ValueError(
            f"{file}, annotation {entry.get('id')}: {len(numbers)} numbers in keypoints; "
            f"{3 * len(KEYPOINTS)} are expected, {len(KEYPOINTS)} times x, y and visibility"
        )
    try:
        points = np.asarray(numbers, float).reshape(-1, 3)
    except ValueError:
        points = np.full((1, 3), np.nan)
    if not np.isfinite(points).all() or not np.isin(points[:, 2], range(ABSENT, SEEN + 1)).all():
        raise ValueError(
            f"{file}, annotation {entry.get('id')}: keypoints must be numbers, "
            "and each visibility 0, 1 or 2"
        )
    return entry | {"keypoints": points}


def _sample(
    path: Path, size: tuple[int, int], entries: list[dict[str, Any]], report: Report
) -> Sample:
    sample = Sample(path, *size, focal=None, all_heads=False)
    for entry in entries:
        try:
            sample.heads.append(_person(entry, size))
        except NoLabel as fault:
            report.leave_out(str(fault), f"{path.name}, annotation {entry.get('id')}")
    if not sample.heads:
        report.leave_out("picture without a marked person", path)
    return sample


def _person(entry: dict[str, Any], size: tuple[int, int]) -> Head:
    if entry.get("iscrowd"):
        raise NoLabel("crowd", seen=True)
    points = warped(entry["keypoints"], np.eye(3), *size)
    if not (points[:, 2] != ABSENT).any():
        raise NoLabel("person without a marked point", seen=True)
    body = clip_xywh(entry.get("bbox"), size, "person")
    area = float(entry["area"]) if entry.get("area") else None
    looks = Appearance(body, None, frozenset(), area)
    return Head(body, None, visible=0.0, appearance=looks, keypoints=points)


def coco_file(samples: Iterable[Sample], folder: Path | str) -> dict[str, Any]:
    """Content of a COCO keypoint file with everybody whose keypoints and body's box are known.

    Pictures are named relative to `folder`, the one that a reader of the file is given.
    """
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for number, sample in enumerate(samples, start=1):
        name = os.path.relpath(sample.image_path, folder)
        shape = {"width": sample.width, "height": sample.height}
        images.append({"id": number, "file_name": name} | shape)
        for head in sample.heads:
            if head.keypoints is not None and head.appearance is not None:
                known = {"id": len(people) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
                people.append(known | _entry(head.keypoints, head.appearance))
    skeleton = [[first + 1, second + 1] for first, second in LINES]
    person = {"id": 1, "name": "person", "supercategory": "person"}
    category = person | {"keypoints": NAMES, "skeleton": skeleton}
    return {"images": images, "annotations": people, "categories": [category]}


def _entry(keypoints: np.ndarray, looks: Appearance) -> dict[str, Any]:
    extent = looks.body[2:] - looks.body[:2]
    area = AREA_OF_BOX * float(np.prod(extent)) if looks.area is None else looks.area
    points = rounded(keypoints, KEYPOINT_DECIMALS)
    return {
        "bbox": rounded(np.concatenate([looks.body[:2], extent]), KEYPOINT_DECIMALS),
        "area": round(area, KEYPOINT_DECIMALS),
        "num_keypoints": int((keypoints[:, 2] != ABSENT).sum()),
        "keypoints": [number for x, y, visibility in points for number in (x, y, int(visibility))],
    }
