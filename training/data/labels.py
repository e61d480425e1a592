# SPDX-License-Identifier: Apache-2.0
"""Label files, `labels*.jsonl`: one JSON line a picture, the format that every stage reads.

The renderer (`training.synthetic.render`), the readers of public data sets (`training.data`) and
the labelling of photographs (`training.labelling`) all write it, by `write_labels`, or by
`sample_record` and `head_record`. Where a source does not know, the rotation of a head and the
focal length are null and `all_heads` is false; `spread` says how far each angle is known;
`expressions` and `things` are optional.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.skeleton import KEYPOINTS

from .json_lines import write_lines
from .sample import Appearance, Expression, Head, Instruction, Sample, Thing

BOX_DECIMALS = 3  # thousandths of a pixel
ROTATION_DECIMALS = 6
POSITION_DECIMALS = 6  # micrometres
KEYPOINT_DECIMALS = 2  # hundredths of a pixel


def read_labels(folder: Path | str, limit: int | None = None) -> list[Sample]:
    """All labelled pictures of a folder, in the order of their names; at most `limit`.

    Reads every `labels*.jsonl` below `folder`; a picture that is missing is an error, since a
    silent gap would change the score. Raises FileNotFoundError or ValueError naming file and
    line.
    """
    folder = Path(folder)
    label_files = sorted(folder.glob("**/labels*.jsonl"))
    if not label_files:
        raise FileNotFoundError(
            f"{folder}: no labels*.jsonl; render scenes with "
            f"`python -m training.synthetic.render {folder}`"
        )
    samples = [sample for file in label_files for sample in _read_file(file)]
    samples.sort(key=lambda sample: str(sample.image_path))
    return samples[:limit]


def _read_file(file: Path) -> list[Sample]:
    samples = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        try:
            samples.append(_scene(json.loads(line), file.parent))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}, line {number}: not a scene label ({error})") from error
    return samples


def _appearance(record: dict | None) -> Appearance | None:
    if record is None or record["body"] is None:
        return None
    body = np.asarray(record["body"], dtype=float)
    return Appearance(body, record["top"], frozenset(record["wears"]), record.get("area"))


def _scene(record: dict, folder: Path) -> Sample:
    heads = [
        Head(
            box=np.asarray(head["box"], dtype=float),
            rotation=_rotation(head["rotation"]),
            visible=float(head["visible"]),
            position=np.asarray(head["position"], dtype=float) if "position" in head else None,
            appearance=_appearance(head.get("looks")),
            tone=head.get("skin"),
            spread=np.asarray(head["spread"], dtype=float) if "spread" in head else None,
            keypoints=_keypoints(head.get("keypoints")),
        )
        for head in record["heads"]
    ]
    path = folder / record["image"]
    if not path.exists():
        raise ValueError(f"picture {record['image']} is missing")
    focal = None if record["focal"] is None else float(record["focal"])
    return Sample(
        path,
        int(record["width"]),
        int(record["height"]),
        focal,
        heads,
        [
            Expression(tuple(e["sentences"]), np.asarray(e["box"], dtype=float), e.get("ref_id"))
            for e in record.get("expressions", [])
        ],
        bool(record.get("all_heads", True)),
        [np.asarray(box, dtype=float) for box in record.get("decoys", [])],
        [_thing(thing) for thing in record.get("things", [])],
        [
            Instruction(one["kind"], one["question"], one["answer"])
            for one in record.get("told", [])
        ],
    )


def _thing(record: dict) -> Thing:
    names, points = tuple(record["names"]), np.asarray(record["points"], dtype=float)
    descriptions = tuple(record["descriptions"])
    if points.shape != (len(names), 3) or len(descriptions) != len(names):
        raise ValueError(
            f"{record['category']}: {len(names)} names, {len(descriptions)} descriptions and "
            f"{len(points)} points; there must be as many of each, points as x, y, visibility"
        )
    box = np.asarray(record["box"], dtype=float)
    return Thing(str(record["category"]), box, names, points, descriptions)


def _rotation(rows: list[list[float]] | None) -> np.ndarray | None:
    return None if rows is None else np.asarray(rows, dtype=float).reshape(3, 3)


def _keypoints(rows: list[list[float]] | None) -> np.ndarray | None:
    if rows is None:
        return None
    if len(rows) != len(KEYPOINTS) or any(len(row) != 3 for row in rows):
        raise ValueError(f"keypoints must be {len(KEYPOINTS)} times x, y, visibility")
    return np.asarray(rows, dtype=float)


def write_labels(file: Path, samples: Iterable[Sample]) -> None:
    """Write a label file that `read_labels` reads; pictures are named relative to its folder."""
    write_lines(file, (sample_record(sample, file.parent) for sample in samples))


def sample_record(sample: Sample, folder: Path | str) -> dict[str, Any]:
    """A sample as a line of a labels*.jsonl in `folder`, which `read_labels` gives back.

    The picture is named relative to the folder.
    """
    record: dict[str, Any] = {
        "image": os.path.relpath(sample.image_path, folder),
        "width": sample.width,
        "height": sample.height,
        "focal": None if sample.focal is None else round(float(sample.focal), 3),
        "heads": [head_record(head) for head in sample.heads],
    }
    if sample.expressions:
        record["expressions"] = [_expression_record(one) for one in sample.expressions]
    if sample.decoys:
        record["decoys"] = [rounded(box, 1) for box in sample.decoys]
    if sample.things:
        record["things"] = [thing_record(thing) for thing in sample.things]
    if sample.instructions:  # the key is that of the files there are
        record["told"] = [asdict(one) for one in sample.instructions]
    return record | ({} if sample.all_heads else {"all_heads": False})


def thing_record(thing: Thing) -> dict[str, Any]:
    """A thing as an entry of `things` in a line of a label file."""
    return {
        "category": thing.category,
        "box": rounded(thing.box, BOX_DECIMALS),
        "names": list(thing.names),
        "points": rounded(thing.points, KEYPOINT_DECIMALS),
        "descriptions": list(thing.descriptions),
    }


def head_record(head: Head) -> dict[str, Any]:
    """A head as an entry of `heads` in a line of a label file."""
    record: dict[str, Any] = {
        "box": rounded(head.box, BOX_DECIMALS),
        "rotation": None if head.rotation is None else rounded(head.rotation, ROTATION_DECIMALS),
        "visible": round(float(head.visible), 3),
    }
    if head.position is not None:
        record["position"] = rounded(head.position, POSITION_DECIMALS)
    if head.tone is not None:
        record["skin"] = head.tone
    if head.spread is not None:
        record["spread"] = rounded(head.spread, 1)
    if head.keypoints is not None:
        places = np.round(head.keypoints[:, :2], KEYPOINT_DECIMALS).tolist()
        visibility = head.keypoints[:, 2].astype(int).tolist()
        record["keypoints"] = [[x, y, v] for (x, y), v in zip(places, visibility, strict=True)]
    if head.appearance is not None:
        record["looks"] = _appearance_record(head.appearance)
    return record


def _appearance_record(looks: Appearance) -> dict[str, Any]:
    body = rounded(looks.body, BOX_DECIMALS)
    record = {"body": body, "top": looks.top, "wears": sorted(looks.wears)}
    return record if looks.area is None else record | {"area": looks.area}


def _expression_record(one: Expression) -> dict[str, Any]:
    box = rounded(one.box, BOX_DECIMALS)
    return {"sentences": list(one.sentences), "box": box, "ref_id": one.ref_id}


def rounded(values: np.ndarray, decimals: int) -> Any:
    """An array as nested lists with so many decimals."""
    return np.round(np.asarray(values, dtype=float), decimals).tolist()
