# SPDX-License-Identifier: Apache-2.0
"""Ground truth from files: CSV, JSON, and COCO-style JSON as DirectMHP uses it.

Frames are named by `stamp` (seconds, as text to the last digit), `stamp_ns`, `frame` (number from
0) or `image` (file name), and where several recordings are replayed also by `recording`.

CSV (or with ; or tabs), one head a line: x0, y0, x1, y1 in pixels; yaw, pitch, roll in degrees, or
qx, qy, qz, qw of the face frame in the optical frame as in HeadPose.msg. Optional: visible (0..1),
id, and x, y, z of the sellion in metres. A line without a box says that its frame shows no head.

JSON, one frame an object, in a list or one a line: a frame's name and `heads`, each with `box`
[x0, y0, x1, y1], an orientation (yaw, pitch, roll; or `rotation` 3 x 3, head in the optical frame;
or `quaternion` [x, y, z, w] as above), optional `visible`, `id`, `position` [x, y, z].

COCO: `images` with file_name, `annotations` with bbox [x, y, width, height] and euler_angles
[pitch, yaw, roll].

A head whose box cannot be read is left out; one whose angles are none counts for recall and
precision only. Both are noted with their line or number.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .frames import ReplayError
from .records import Head
from .truth import Entry
from .truth_heads import ANGLES, FAULTS, NAMES, TrueHeads, entry_of, named_entry, reason

_BOX = ("x0", "y0", "x1", "y1")
_QUATERNION, _PLACE = ("qx", "qy", "qz", "qw"), ("x", "y", "z")
_TEXTS = (*NAMES, "recording", "id")


def read_truth(path: Path) -> tuple[list[Entry], list[str]]:
    """The entries of a file, by its suffix, and notes about heads that are of no or little use.

    ReplayError names file, line and remedy.
    """
    text = _text(path)
    heads = TrueHeads(path)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _csv(text, path, heads), heads.notes()
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return _json(text, path, heads)
    raise ReplayError(f"{path}: ground truth must be a .csv, .json or .jsonl file")


def _text(path: Path) -> str:
    """UTF-8, or UTF-16 where the file begins so, as spreadsheets write it."""
    try:
        content = path.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(f"{path}: cannot be read ({error}); give CSV or JSON in UTF-8") from error


def _csv(text: str, path: Path, heads: TrueHeads) -> list[Entry]:
    lines = text.splitlines()
    # whichever the header has most of
    between = max(",;\t", key=lines[0].count) if lines else ","
    rows = csv.DictReader(lines, delimiter=between)
    rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
    columns = set(rows.fieldnames)
    named = [n for n in NAMES if n in columns]
    oriented = set(ANGLES) <= columns or set(_QUATERNION) <= columns
    if not named or not set(_BOX) <= columns or not oriented:
        raise ReplayError(
            f"{path}: columns are {', '.join(rows.fieldnames) or 'missing'}; needed are one of "
            f"{', '.join(NAMES)}; {', '.join(_BOX)}; and {', '.join(ANGLES)} (degrees) or "
            f"{', '.join(_QUATERNION)}"
        )
    entries = []
    for row in rows:
        line = f"line {rows.line_num}"
        given = {k: v.strip() for k, v in row.items() if k and isinstance(v, str) and v.strip()}
        if not given:
            continue
        if between != ",":  # then a comma may be that of decimals
            given = {k: v if k in _TEXTS else v.replace(",", ".") for k, v in given.items()}
        shown = any(name in given for name in _BOX)
        found = [heads.head(line, partial(_csv_fields, given))] if shown else []
        try:
            entries.append(named_entry(given, found, f"{path.name}, {line}"))
        except FAULTS as error:
            raise ReplayError(f"{path}, {line}: {reason(error)}") from error
    return entries


def _csv_fields(row: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"box": [row[name] for name in _BOX]}
    if all(name in row for name in _QUATERNION) and not all(name in row for name in ANGLES):
        fields["quaternion"] = [row[name] for name in _QUATERNION]
    if all(name in row for name in _PLACE):
        fields["position"] = [row[name] for name in _PLACE]
    return fields | {k: row[k] for k in (*ANGLES, "visible", "id") if k in row}


def _json(text: str, path: Path, heads: TrueHeads) -> tuple[list[Entry], list[str]]:
    try:
        content = json.loads(text)
    except ValueError:
        content = _lines(text, path)
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return _coco(content, path, heads)
    if isinstance(content, dict):
        content = content.get("frames", [content])
    entries = []
    for number, frame in enumerate(content, 1):
        where = f"frame {number}"
        try:
            found = [
                heads.head(f"{where}, head {place}", partial(dict, fields))
                for place, fields in enumerate(frame["heads"], 1)
            ]
            entries.append(named_entry(frame, found, f"{path.name}, {where}"))
        except FAULTS as error:
            raise ReplayError(f"{path}, {where}: {reason(error)}") from error
    return entries, heads.notes()


def _lines(text: str, path: Path) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise ReplayError(f"{path}, line {number}: not JSON ({error})") from error
    return found


def _coco(
    content: Mapping[str, Any], path: Path, heads: TrueHeads
) -> tuple[list[Entry], list[str]]:
    needed = (
        "; annotations need image_id, bbox [x, y, width, height] and euler_angles "
        "[pitch, yaw, roll] in degrees"
    )
    try:
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        of_image: dict[Any, list[Head | None]] = defaultdict(list)
        elsewhere = 0
        for place, note in enumerate(content["annotations"]):
            number = note.get("id", place) if isinstance(note, dict) else place
            found = heads.head(f"annotation {number}", partial(_coco_fields, note))
            image = _image_of(note)
            if image in names:
                of_image[image].append(found)
            elsewhere += found is not None and image not in names
    except FAULTS as error:
        raise ReplayError(f"{path}: not COCO-style head poses ({reason(error)}){needed}") from error
    notes = heads.notes(needed)
    if elsewhere:
        notes.append(f"{path.name}: {elsewhere} annotations are of images that it does not list")
    entries = [
        entry_of(of_image[number], image=name, where=path.name) for number, name in names.items()
    ]
    return entries, notes


def _coco_fields(note: Mapping[str, Any]) -> dict[str, Any]:
    hash(note["image_id"])  # a TypeError where it is a list, which names no image
    x, y, width, height = (float(v) for v in note["bbox"])
    return {"box": [x, y, x + width, y + height], "euler_angles": note.get("euler_angles")}


def _image_of(note: Any) -> Any:
    """None for an annotation that names none."""
    image = note.get("image_id") if isinstance(note, dict) else None
    return None if isinstance(image, (list, dict)) else image
