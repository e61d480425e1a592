# SPDX-License-Identifier: Apache-2.0
"""Ground truth from files: CSV, JSON, and COCO-style JSON as DirectMHP uses it.

Frames are named by `stamp` (seconds, as text to the last digit), `stamp_ns`, `frame` (number from
0) or `image` (file name), and where several recordings are replayed also by `recording`.

CSV, one head a line: x0, y0, x1, y1 in pixels; yaw, pitch, roll in degrees, or qx, qy, qz, qw of
the face frame in the optical frame as in HeadPose.msg. Optional: visible (0..1), id, and x, y, z of
the sellion in metres. A line without a box says that its frame shows no head.

JSON, one frame an object, in a list or one a line: a frame's name and `heads`, each with `box`
[x0, y0, x1, y1], an orientation (yaw, pitch, roll; or `rotation` 3 x 3, head in the optical frame;
or `quaternion` [x, y, z, w] as above), optional `visible`, `id`, `position` [x, y, z].

COCO: `images` with file_name, `annotations` with bbox [x, y, width, height] and euler_angles
[pitch, yaw, roll].
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.geometry import (
    angles_from_rotation,
    matrix_from_quaternion,
    nearest_rotation,
    rotation_from_angles,
    rotation_from_face,
)

from .frames import ReplayError
from .records import Head, rounded
from .truth import Entry

_ANGLES, _BOX = ("yaw", "pitch", "roll"), ("x0", "y0", "x1", "y1")
_QUATERNION, _PLACE = ("qx", "qy", "qz", "qw"), ("x", "y", "z")
_NAMES = ("stamp", "stamp_ns", "frame", "image")


def read_truth(path: Path) -> list[Entry]:
    """The entries of a file, by its suffix; ReplayError names file, line and remedy."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(f"{path}: cannot be read ({error}); give CSV or JSON") from error
    if path.suffix.lower() == ".csv":
        return _csv(text, path)
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return _json(text, path)
    raise ReplayError(f"{path}: ground truth must be a .csv, .json or .jsonl file")


def true_head(
    box: Sequence[float],
    rotation: Any,
    visible: float = 1.0,
    id: str = "",
    position: Sequence[float] | None = None,
    angles: Sequence[float] | None = None,
) -> Head:
    """A head of known pose; `angles` (degrees) where they are known better than from rotation.

    ValueError for a box turned inside out, or what is not a rotation or a number.
    """
    edges = [float(v) for v in box]
    if len(edges) != 4 or not all(map(math.isfinite, edges)):
        raise ValueError(f"box {list(box)} must be four numbers: x0, y0, x1, y1")
    if not (edges[0] < edges[2] and edges[1] < edges[3]):
        raise ValueError(f"box {edges} must have x0 < x1 and y0 < y1")
    matrix = nearest_rotation(rotation)
    triple = angles if angles is not None else angles_from_rotation(matrix)
    yaw, pitch, roll = rounded(triple, 4) if triple is not None else (None, None, None)
    place = None if position is None else rounded(position, 5)
    share = float(visible)
    return Head(rounded(edges, 3), yaw, pitch, roll, rounded(matrix, 7), id=id, position=place,
                visible=share)  # fmt: skip


def _csv(text: str, path: Path) -> list[Entry]:
    rows = csv.DictReader(text.splitlines())
    columns = set(rows.fieldnames or ())
    named = [n for n in _NAMES if n in columns]
    oriented = set(_ANGLES) <= columns or set(_QUATERNION) <= columns
    if not named or not set(_BOX) <= columns or not oriented:
        raise ReplayError(
            f"{path}: columns are {', '.join(rows.fieldnames or ['missing'])}; needed are one of "
            f"{', '.join(_NAMES)}; {', '.join(_BOX)}; and {', '.join(_ANGLES)} (degrees) or "
            f"{', '.join(_QUATERNION)}"
        )
    entries = []
    for row in rows:
        given = {k: v.strip() for k, v in row.items() if k and isinstance(v, str) and v.strip()}
        try:
            head = (_csv_head(given),) if any(name in given for name in _BOX) else ()
            entries.append(_entry(given, head, f"{path.name}, line {rows.line_num}"))
        except (ValueError, KeyError) as error:
            raise ReplayError(f"{path}, line {rows.line_num}: {_said(error)}") from error
    return entries


def _csv_head(row: Mapping[str, str]) -> Head:
    fields: dict[str, Any] = {"box": [row[name] for name in _BOX]}
    if all(name in row for name in _ANGLES):
        fields |= {name: row[name] for name in _ANGLES}
    else:
        fields["quaternion"] = [row[name] for name in _QUATERNION]
    if all(name in row for name in _PLACE):
        fields["position"] = [row[name] for name in _PLACE]
    return _head(fields | {k: row[k] for k in ("visible", "id") if k in row})


def _json(text: str, path: Path) -> list[Entry]:
    try:
        content = json.loads(text)
    except ValueError:
        content = _lines(text, path)
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return _coco(content, path)
    if isinstance(content, dict):
        content = content.get("frames", [content])
    entries = []
    for number, frame in enumerate(content, 1):
        where = f"{path.name}, frame {number}"
        try:
            heads = tuple(_head(head) for head in frame["heads"])
            entries.append(_entry(frame, heads, where))
        except (ValueError, KeyError, TypeError) as error:
            raise ReplayError(f"{path}, frame {number}: {_said(error)}") from error
    return entries


def _lines(text: str, path: Path) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise ReplayError(f"{path}, line {number}: not JSON ({error})") from error
    return found


def _coco(content: Mapping[str, Any], path: Path) -> list[Entry]:
    try:
        heads: dict[Any, list[Head]] = defaultdict(list)
        for note in content["annotations"]:
            x, y, width, height = (float(v) for v in note["bbox"])
            pitch, yaw, roll = (float(v) for v in note["euler_angles"])
            box = [x, y, x + width, y + height]
            heads[note["image_id"]].append(_head(dict(box=box, yaw=yaw, pitch=pitch, roll=roll)))
        return [
            Entry(tuple(heads[image["id"]]), image=str(image["file_name"]), where=path.name)
            for image in content["images"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ReplayError(
            f"{path}: not COCO-style head poses ({_said(error)}); annotations need image_id, bbox "
            "[x, y, width, height] and euler_angles [pitch, yaw, roll]"
        ) from error


def _head(fields: Mapping[str, Any]) -> Head:
    angles = None
    if "rotation" in fields:
        rotation = np.asarray(fields["rotation"], dtype=float).reshape(3, 3)
    elif "quaternion" in fields:
        quaternion = [float(v) for v in fields["quaternion"]]
        rotation = rotation_from_face(matrix_from_quaternion(quaternion))
    else:
        y, p, r = (float(fields[name]) for name in _ANGLES)
        rotation = rotation_from_angles(y, p, r)
        if abs(p) < 90 and abs(r) < 90 and -180 < y <= 180:
            angles = (y, p, r)  # at profile the rotation alone would choose others
    place = fields.get("position")
    position = None if place is None else [float(v) for v in place]
    return true_head(
        fields["box"], rotation, float(fields.get("visible", 1.0)), str(fields.get("id", "")),
        position, angles,
    )  # fmt: skip


def _entry(row: Mapping[str, Any], heads: tuple[Head, ...], where: str) -> Entry:
    recording = str(row["recording"]) if "recording" in row else None
    if "stamp_ns" in row:
        return Entry(heads, stamp=int(row["stamp_ns"]), recording=recording, where=where)
    if "stamp" in row:
        try:
            stamp = int(Decimal(str(row["stamp"])) * 10**9)
        except (InvalidOperation, OverflowError) as error:
            raise ValueError(f"stamp {row['stamp']!r} is no number of seconds") from error
        return Entry(heads, stamp=stamp, recording=recording, where=where)
    if "frame" in row:
        return Entry(heads, number=int(row["frame"]), recording=recording, where=where)
    if "image" in row:
        return Entry(heads, image=str(row["image"]), recording=recording, where=where)
    raise ValueError(f"names no frame: needs one of {', '.join(_NAMES)}")


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
