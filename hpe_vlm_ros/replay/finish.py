# SPDX-License-Identifier: Apache-2.0
"""From perceived frames to results: tables, a bag, the report; may be done again at any time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .bag_recording import BagRecording, open_bag
from .export import write_csv, write_parquet
from .files import open_pictures, open_video
from .frames import Recording, ReplayError
from .outbag import write_bag
from .page import html
from .placed import placed
from .recorded import entries, read_arrays
from .records import FrameRecord
from .store import Store, write_whole
from .summary import Scoring, summary
from .truth import Truth, joined, match
from .truth_files import read_truth


@dataclass(frozen=True)
class Wanted:
    """What to make of a run. truth: a file; truth_topic: of HeadPoseArray in the bags themselves;
    tolerance: ns. save_images: pictures may be written: copied into the bag, and drawn upon."""

    truth: Path | None = None
    truth_topic: str | None = None
    tolerance: int = 1_000_000
    track: bool = False
    parquet: bool = False
    bag: bool = True
    video: bool = False
    save_images: bool = False
    scoring: Scoring = field(default_factory=Scoring)


def find_truth(recordings: Sequence[Recording], wanted: Wanted) -> Truth | None:
    """The ground truth of these recordings; None when none is named. ReplayError when what is named
    does not fit: better known before the model has run for hours."""
    parts = []
    if wanted.truth is not None:
        read = read_truth(wanted.truth)
        parts.append(match(read, recordings, str(wanted.truth), wanted.tolerance))
    if wanted.truth_topic is not None:
        for recording in recordings:
            if isinstance(recording, BagRecording):
                arrays = read_arrays(Path(recording.path), wanted.truth_topic)
                name = f"{recording.path} {wanted.truth_topic}"
                found = entries(arrays, name)
                parts.append(match(found, [recording], name, wanted.tolerance))
    return joined(parts) if parts else None


def finish(
    store: Store, recordings: Sequence[Recording], truth: Truth | None, wanted: Wanted
) -> dict[str, Any]:
    """Writes all results of a run into its folder; the report."""
    run = store.details()
    records, notes = store.records(), list[str]()
    if not run["placed"]:
        records, notes = placed(records, run, wanted.scoring.looking_angle, wanted.track)
    run |= {"tracking": wanted.track, "notes": notes}
    folder = store.folder
    write_csv(folder / "heads.csv", records)
    if wanted.parquet:
        write_parquet(folder / "heads.parquet", records)
    if wanted.bag:
        _write_bags(folder / "result", recordings, records, run["model"], wanted.save_images)
    report = summary(records, truth, run, wanted.scoring)
    write_whole(folder / "report.json", json.dumps(report, indent=1, allow_nan=False) + "\n")
    write_whole(folder / "report.html", html(report))
    return report


def _write_bags(
    folder: Path,
    recordings: Sequence[Recording],
    records: Sequence[FrameRecord],
    model: str,
    save_images: bool,
) -> None:
    """One bag; of several recordings, one each in a folder."""
    for place, recording in enumerate(recordings):
        mine = [record for record in records if record.recording == recording.id]
        name = f"{place:03d}_{recording.id.strip('/').replace('/', '_').replace(':', '_')}"
        target = folder / name if len(recordings) > 1 else folder
        write_bag(target, mine, model, recording if save_images else None)


def recordings_of(store: Store) -> list[Recording]:
    """The recordings of a finished run, opened again; ReplayError when they have gone."""
    found: list[Recording] = []
    for entry in store.details()["recordings"]:
        path, name = Path(entry["path"]), entry["id"]
        if not path.exists():
            raise ReplayError(f"{path}: the recording of this run is no longer there")
        if entry["kind"] == "bag":
            found.append(open_bag(path, name, entry["topic"], entry["camera_info"] or None))
        elif entry["kind"] == "pictures":
            found.append(open_pictures(path, name))
        else:
            found.append(open_video(path, name))
    return found
