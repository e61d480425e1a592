# SPDX-License-Identifier: Apache-2.0
"""Proposals for a set of photographs: `python -m training.labelling.review propose`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from ..data.json_lines import whole_lines
from .photo_folder import find_photos
from .proposals import Proposal, as_record, from_record, joined, of_faces

LARGE = 0.06  # share of the picture from which on a lone head makes it a portrait
CROWD = 40  # proposals above which a photograph is not reviewed whole


def propose(
    photos: Path,
    sets: list[str],
    teachers: dict[str, dict[str, Any]],
    finder: Callable[[np.ndarray], list[Proposal]],
    out: Path,
) -> None:
    """Append a line for every photograph of the sets to `out`; photographs there are left alone.

    A line: image (relative to `photos`), id (first digits of the file's sha256), sha256, width,
    height, proposals. Unreadable files are named and passed over.
    """
    done = {line["image"] for line in whole_lines(out)}
    names = [f"{name}/{p.as_posix()}" for name in sets for p in find_photos(photos / name)]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a") as file:
        for name in tqdm([name for name in names if name not in done], unit="photo"):
            image = cv2.imread(str(photos / name), cv2.IMREAD_COLOR)
            if image is None:
                tqdm.write(f"{photos / name}: not a readable picture, passed over")
                continue
            height, width = image.shape[:2]
            faces = of_faces(teachers.get(name, {}).get("faces", []), width, height)
            rgb = np.ascontiguousarray(image[..., ::-1])
            proposals = joined(faces, finder(rgb))
            digest = hashlib.sha256((photos / name).read_bytes()).hexdigest()
            record = {
                "image": name, "id": digest[:6], "sha256": digest, "width": width,
                "height": height, "proposals": [as_record(p) for p in proposals],
            }  # fmt: skip
            file.write(json.dumps(record) + "\n")
            file.flush()


def proposals_of(record: dict[str, Any]) -> list[Proposal]:
    """The proposals of a line, in the order of their numbers 1, 2, ..."""
    return [from_record(r) for r in record["proposals"]]


def is_portrait(record: dict[str, Any], doubt: float = 0.35) -> bool:
    """Whether a photograph is labelled whole by rule: one large sure face, and nothing else that
    anybody proposes with a score of `doubt` or more."""
    proposals = proposals_of(record)
    sure = [p for p in proposals if p.is_sure]
    if len(sure) != 1:
        return False
    x0, y0, x1, y1 = sure[0].box
    is_large = (x1 - x0) * (y1 - y0) >= LARGE * record["width"] * record["height"]
    others = [p for p in proposals if p is not sure[0] and p.score >= doubt]
    return is_large and not others
