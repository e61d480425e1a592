# SPDX-License-Identifier: Apache-2.0
"""Reader for rendered scenes: a folder made by `python -m training.synthetic.render`.

The same JSON lines hold weak labels (`weak_labels`), where the rotation of a head and the focal
length may be null and `all_heads` false.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .sample import Head, Sample


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


def _scene(record: dict, folder: Path) -> Sample:
    heads = [
        Head(
            box=np.asarray(head["box"], dtype=float),
            rotation=_rotation(head["rotation"]),
            visible=float(head["visible"]),
            position=np.asarray(head["position"], dtype=float) if "position" in head else None,
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
        all_heads=bool(record.get("all_heads", True)),
    )


def _rotation(rows: list[list[float]] | None) -> np.ndarray | None:
    return None if rows is None else np.asarray(rows, dtype=float).reshape(3, 3)
