# SPDX-License-Identifier: Apache-2.0
"""Reader for RefCOCO, RefCOCO+ and RefCOCOg: expressions that single out an object of a photograph.

Each data set is a folder with `refs(<split by>).p`, a pickle of references, and `instances.json`,
COCO's own boxes; the photographs are those of COCO's train2014.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..sample import Expression, Sample
from .common import NoLabel, Report, clip_xywh, read_json, usable_picture
from .plain_pickle import load_plain_pickle

# Which of several splits the paper's counts fit, and how many references each part has.
SPLIT_BY = {"refcoco": "unc", "refcoco+": "unc", "refcocog": "umd"}
SOURCE_COUNTS = {
    "refcoco": {"train": 42404, "val": 3811, "testA": 1975, "testB": 1810},
    "refcoco+": {"train": 42278, "val": 3805, "testA": 1975, "testB": 1798},
    "refcocog": {"train": 42226, "val": 2573, "test": 5023},
}


def read_refcoco(
    folder: Path | str,
    images: Path | str,
    parts: Collection[str] = ("train",),
    exclude_images: Collection[int] = (),
    report: Report | None = None,
) -> list[Sample]:
    """One sample for each reference of a data set, with all its sentences; heads are unlabelled.

    A reference is an object with one or more sentences: the paper counts references (42,404 of
    RefCOCO for training) and asks one question about each. Photographs come up once for every
    reference. The training photographs of one data set hold test photographs of another: pass
    the numbers of `image_numbers` as `exclude_images` to keep them apart, as CogVLM's training did
    and the paper's rehearsal counts do not.
    Left out and counted: references whose object or photograph is not in instances.json, whose box
    is missing or outside, without a sentence, or excluded; pictures that are missing, unreadable
    or of another size than instances.json says.
    Raises FileNotFoundError, or ValueError for files of another format, for pickles that hold
    anything but plain data (none is ever executed), and for an unknown part.

    Args:
        folder: .../refcoco, .../refcoco+ or .../refcocog; its name tells which data set it is.
        images: the folder train2014.
        parts: train, val, testA and testB, or test for refcocog.
        exclude_images: COCO numbers of photographs that must not come up.
        report: takes the counts; without one they are only logged.
    """
    folder, images = Path(folder), Path(images)
    report = Report() if report is None else report
    counts = _counts(folder)
    unknown = set(parts) - counts.keys()
    if unknown:
        raise ValueError(f"{folder.name} has no part {sorted(unknown)}; it has {list(counts)}")
    content = read_json(folder / "instances.json")
    try:
        pictures = {record["id"]: record for record in content["images"]}
        objects = {record["id"]: record for record in content["annotations"]}
        references = [r for r in _references(folder) if r["split"] in parts]
        excluded = set(exclude_images)
        samples = []
        for reference in references:
            if reference["image_id"] in excluded:
                report.leave_out("reference to an excluded picture", reference["ref_id"])
                continue
            sample = _sample(reference, pictures, objects, images, report)
            if sample is not None:
                samples.append(sample)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder}: not references and objects of RefCOCO ({error!r})") from error
    report.finish(samples, {"expressions": sum(counts[part] for part in parts)})
    return samples


def image_numbers(folder: Path | str, parts: Collection[str]) -> set[int]:
    """COCO numbers of the photographs that the parts of a data set refer to."""
    return {r["image_id"] for r in _references(Path(folder)) if r["split"] in parts}


def _counts(folder: Path) -> dict[str, int]:
    if folder.name not in SOURCE_COUNTS:
        raise ValueError(f"{folder}: the folder must be called one of {', '.join(SOURCE_COUNTS)}")
    return SOURCE_COUNTS[folder.name]


def _references(folder: Path) -> list[dict[str, Any]]:
    _counts(folder)
    file = folder / f"refs({SPLIT_BY[folder.name]}).p"
    references = load_plain_pickle(file)
    if not (isinstance(references, list) and all(isinstance(r, dict) for r in references)):
        raise ValueError(f"{file}: not a list of references")
    return references


def _sample(
    reference: dict[str, Any],
    pictures: dict[int, dict[str, Any]],
    objects: dict[int, dict[str, Any]],
    images: Path,
    report: Report,
) -> Sample | None:
    number = reference["ref_id"]
    picture, thing = pictures.get(reference["image_id"]), objects.get(reference["ann_id"])
    sentences = tuple(text for s in reference["sentences"] if (text := str(s["sent"]).strip()))
    if picture is None or thing is None:
        report.leave_out("reference without its picture or object in instances.json", number)
        return None
    if not sentences:
        report.leave_out("reference without a sentence", number)
        return None
    path = images / picture["file_name"]
    size = (int(picture["width"]), int(picture["height"]))
    if usable_picture(path, report, size) is None:
        return None
    try:
        box = clip_xywh(thing.get("bbox"), size, "object")
    except NoLabel as fault:
        report.leave_out(str(fault), f"reference {number}")
        return None
    expression = Expression(sentences, box, int(number))
    return Sample(path, *size, focal=None, expressions=[expression], all_heads=False)
