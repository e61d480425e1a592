# SPDX-License-Identifier: Apache-2.0
"""Reader for rendered scenes: a folder made by `python -m training.synthetic.render`.

The same JSON lines can hold the labels of any data set (`scene_record`) and weak labels
(`weak_labels`): then the rotation of a head and the focal length may be null, `all_heads` false,
`spread` may say how far each angle is known, and there may be `expressions`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .sample import Expression, Head, Looks, Sample


def read_synthetic(folder: Path | str, limit: int | None = None) -> list[Sample]:
    """All scenes of a rendered folder, in the order of their names.

    Reads every `labels*.jsonl` below `folder`; a scene whose picture is missing is an error, since
    a silent gap would change the score. Raises FileNotFoundError or ValueError naming file and
    line.
    """
    folder = Path(folder)
    label_files = sorted(folder.glob("**/labels*.jsonl"))
    if not label_files:
        raise FileNotFoundError(
            f"{folder}: no labels*.jsonl; render scenes with "
            f"`python -m training.synthetic.render {folder}`"
        )
    samples = [sample for file in label_files for sample in _read_labels(file)]
    samples.sort(key=lambda sample: str(sample.image_path))
    return samples[:limit]


def _read_labels(file: Path) -> list[Sample]:
    samples = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        try:
            samples.append(_scene(json.loads(line), file.parent))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}, line {number}: not a scene label ({error})") from error
    return samples


def _looks(record: dict | None) -> Looks | None:
    if record is None or record["body"] is None:
        return None
    body = np.asarray(record["body"], dtype=float)
    return Looks(body, record["top"], frozenset(record["wears"]))


def _scene(record: dict, folder: Path) -> Sample:
    heads = [
        Head(
            box=np.asarray(head["box"], dtype=float),
            rotation=_rotation(head["rotation"]),
            visible=float(head["visible"]),
            position=np.asarray(head["position"], dtype=float) if "position" in head else None,
            looks=_looks(head.get("looks")),
            tone=head.get("skin"),
            spread=np.asarray(head["spread"], dtype=float) if "spread" in head else None,
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
    )


def _rotation(rows: list[list[float]] | None) -> np.ndarray | None:
    return None if rows is None else np.asarray(rows, dtype=float).reshape(3, 3)


def scene_record(sample: Sample, folder: Path | str) -> dict[str, Any]:
    """A sample as a line of a labels*.jsonl in `folder`, which `read_synthetic` gives back.

    The picture is named relative to the folder; numbers keep 3 (boxes) and 6 decimals.
    """
    record: dict[str, Any] = {
        "image": os.path.relpath(sample.image_path, folder),
        "width": sample.width,
        "height": sample.height,
        "focal": None if sample.focal is None else round(float(sample.focal), 3),
        "heads": [_head_record(head) for head in sample.heads],
    }
    if sample.expressions:
        record["expressions"] = [
            {"sentences": list(e.sentences), "box": _rounded(e.box, 3), "ref_id": e.ref_id}
            for e in sample.expressions
        ]
    if sample.decoys:
        record["decoys"] = [_rounded(box, 1) for box in sample.decoys]
    return record | ({} if sample.all_heads else {"all_heads": False})


def _head_record(head: Head) -> dict[str, Any]:
    record: dict[str, Any] = {
        "box": _rounded(head.box, 3),
        "rotation": None if head.rotation is None else _rounded(head.rotation, 6),
        "visible": round(float(head.visible), 3),
    }
    if head.position is not None:
        record["position"] = _rounded(head.position, 6)
    if head.tone is not None:
        record["skin"] = head.tone
    if head.spread is not None:
        record["spread"] = _rounded(head.spread, 1)
    if head.looks is not None:
        body = _rounded(head.looks.body, 3)
        record["looks"] = {
            "body": body, "top": head.looks.top, "wears": sorted(head.looks.wears)
        }  # fmt: skip
    return record


def _rounded(values: np.ndarray, digits: int) -> Any:
    return np.round(np.asarray(values, dtype=float), digits).tolist()
