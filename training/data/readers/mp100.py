# SPDX-License-Identifier: Apache-2.0
"""Reader for MP-100 (Xu et al., Pose for Everything, 2022): points of a hundred categories.

Each of the five splits has three files in COCO's style, such as `mp100_split1_train.json`:
{"images": [{"id", "file_name", "width", "height"}], "annotations": [{"id", "image_id",
"category_id", "bbox": [x, y, w, h], "keypoints": [x, y, v, ...]}], "categories": [{"id", "name",
"keypoints": [names]}]}. The pictures are those of the data sets that it was made from, in one
folder a category.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..sample import Sample, Thing
from .common import NoLabel, Report, clip_xywh, read_json, usable_picture

Texts = dict[str, dict[str, str]]


def read_mp100(
    annotations: Path | str,
    images: Path | str,
    texts: Path | None = None,
    report: Report | None = None,
) -> list[Sample]:
    """One sample for each annotated object of MP-100; heads are unlabelled, cameras unknown.

    Left out and counted: objects whose picture is missing, unreadable or of another size than the
    file says, whose box lies outside, and those without a marked point. Points outside their
    picture count as not marked.
    Raises FileNotFoundError, or ValueError naming file and entry: for another format, for a picture
    or category that the file does not list, and for points that are not three numbers for each name
    of the category (the category amur_tiger_body of some copies holds faces of 19 points).

    Args:
        annotations: one of the files mp100_split*_*.json.
        images: the folder that its file names start from.
        texts: a JSON file with names and descriptions of a category's points in their order,
            {"bird_body": {"beak": "the front end of the head", ...}, ...}; categories that it lacks
            keep the names of the file and have no descriptions.
        report: takes the counts; without one they are only logged.
    """
    annotations, images = Path(annotations), Path(images)
    report = Report() if report is None else report
    content = read_json(annotations)
    try:
        pictures = {record["id"]: record for record in content["images"]}
        categories = {record["id"]: record for record in content["categories"]}
        entries = list(content["annotations"])
        names = {key: _texts(record, texts) for key, record in categories.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{annotations}: not a file of MP-100 ({error!r})") from error
    samples = []
    for entry in entries:
        try:
            key = entry["category_id"]
            descriptions, category = names[key], str(categories[key]["name"])
            sample = _sample(
                entry, pictures[entry["image_id"]], category, descriptions, images, report
            )
        except (KeyError, TypeError, ValueError) as error:
            which = entry.get("id") if isinstance(entry, dict) else entry
            raise ValueError(f"{annotations}, annotation {which}: {_reason(error)}") from error
        if sample is not None:
            samples.append(sample)
    report.finish(samples)
    return samples


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"what it names is not in the file ({error})"
    return str(error)


def _texts(category: dict[str, Any], texts: Path | None) -> dict[str, str]:
    """Descriptions of a category's points by their names, in order."""
    known: Texts = {} if texts is None else read_json(texts)
    names = [str(name) for name in category["keypoints"]]
    descriptions = known.get(str(category["name"]))
    if descriptions is None:
        return dict.fromkeys(names, "")
    if len(descriptions) != len(names):
        raise ValueError(
            f"{texts}: {category['name']} has {len(descriptions)} points, in MP-100 it has "
            f"{len(names)}"
        )
    return descriptions


def _sample(
    entry: dict[str, Any],
    picture: dict[str, Any],
    category: str,
    descriptions: dict[str, str],
    images: Path,
    report: Report,
) -> Sample | None:
    path = images / picture["file_name"]
    size = int(picture["width"]), int(picture["height"])
    places = np.asarray(entry["keypoints"], dtype=float)
    if places.size != 3 * len(descriptions):
        raise ValueError(
            f"{places.size} numbers for the {len(descriptions)} points of {category}; it takes x, "
            "y and visibility of each: mend or remove the entry"
        )
    places = places.reshape(-1, 3)
    inside = ((places[:, :2] >= 0) & (places[:, :2] < size)).all(1)
    places = np.where((inside & (places[:, 2] > 0))[:, None], places, 0.0)
    if usable_picture(path, report, size) is None:
        return None
    try:
        box = clip_xywh(entry.get("bbox"), size, "object")
    except NoLabel as fault:
        report.leave_out(str(fault), f"annotation {entry.get('id')}")
        return None
    if not places.any():
        report.leave_out("object without a marked point", f"annotation {entry.get('id')}")
        return None
    thing = Thing(
        category.replace("_", " "), box, tuple(descriptions), places, tuple(descriptions.values())
    )
    return Sample(path, *size, focal=None, all_heads=False, things=[thing])
