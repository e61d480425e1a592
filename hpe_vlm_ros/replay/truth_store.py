# SPDX-License-Identifier: Apache-2.0
"""The ground truth that a run was scored with, kept in its folder for comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import head_from
from hpe_vlm_ros.recordings.truth import Key, Truth
from hpe_vlm_ros.recordings.writing import write_whole

LABELS = "truth.jsonl"


def keep_labels(folder: Path, truth: Truth | None) -> None:
    """Writes it, or takes away what an earlier report kept."""
    if truth is None:
        (folder / LABELS).unlink(missing_ok=True)
        return
    lines = [
        json.dumps(
            {
                "recording": name,
                "frame": number,
                "heads": [asdict(head) for head in heads],
                "in_part": (name, number) in truth.in_part,
            }
        )
        for (name, number), heads in sorted(truth.heads.items())
    ]
    write_whole(folder / LABELS, "".join(f"{line}\n" for line in lines))


def read_labels(folder: Path) -> Truth | None:
    """What `keep_labels` wrote; None when the run had no ground truth."""
    path = folder / LABELS
    if not path.is_file():
        return None
    heads, in_part = {}, set[Key]()
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            key = str(entry["recording"]), int(entry["frame"])
            heads[key] = tuple(head_from(head) for head in entry["heads"])
            in_part |= {key} if entry.get("in_part") else set()
    except (ValueError, KeyError, TypeError) as error:
        raise ReplayError(f"{path}: broken ({error}); `replay report` writes it anew") from error
    return Truth(heads, in_part=frozenset(in_part))
