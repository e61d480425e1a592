# SPDX-License-Identifier: Apache-2.0
"""From perceived frames to results: tables, a bag, the report; may be done again at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpe_vlm_ros.evaluation.report.page import html
from hpe_vlm_ros.evaluation.report.pictures import worst_pictures, write_video
from hpe_vlm_ros.evaluation.summary import Scoring, summary
from hpe_vlm_ros.people.gestures.events import Gesture
from hpe_vlm_ros.people.gestures.reader import Judge as GestureJudge
from hpe_vlm_ros.recordings.bag_recording import BagRecording, open_bag
from hpe_vlm_ros.recordings.folders import open_pictures
from hpe_vlm_ros.recordings.frames import Recording, ReplayError, named_note
from hpe_vlm_ros.recordings.recorded_heads import entries, read_arrays
from hpe_vlm_ros.recordings.records import FrameRecord
from hpe_vlm_ros.recordings.rerun_file import write_rerun
from hpe_vlm_ros.recordings.result_bag import write_bag
from hpe_vlm_ros.recordings.tables import write_csv, write_parquet
from hpe_vlm_ros.recordings.truth import Truth, joined, match, seconds
from hpe_vlm_ros.recordings.truth_files import read_truth
from hpe_vlm_ros.recordings.videos import open_video
from hpe_vlm_ros.recordings.writing import write_whole

from .postprocessing import postprocess
from .store import Store
from .truth_store import keep_labels


@dataclass(frozen=True)
class Wanted:
    """What to make of a run. truth: a file; truth_topic: of HeadPoseArray in the bags themselves;
    tolerance: ns. rerun: a .rrd file. save_images: pictures may be written: copied into the bag and
    the .rrd file, and drawn upon."""

    truth: Path | None = None
    truth_topic: str | None = None
    tolerance: int = 1_000_000
    track: bool = False
    judge: GestureJudge | None = None
    parquet: bool = False
    bag: bool = True
    video: bool = False
    rerun: Path | None = None
    save_images: bool = False
    scoring: Scoring = field(default_factory=Scoring)


def find_truth(recordings: Sequence[Recording], wanted: Wanted) -> Truth | None:
    """The ground truth of these recordings; None when none is named. ReplayError when what is named
    does not fit: better known before the model has run for hours."""
    parts = []
    if wanted.truth is not None:
        read, remarks = read_truth(wanted.truth)
        found = match(read, recordings, str(wanted.truth), wanted.tolerance)
        parts.append(replace(found, notes=(*remarks, *found.notes)))
    if wanted.truth_topic is not None:
        for recording in recordings:
            if isinstance(recording, BagRecording):
                arrays, notes = read_arrays(Path(recording.path), wanted.truth_topic)
                name = f"{recording.path} {wanted.truth_topic}"
                found = match(entries(arrays, name), [recording], name, wanted.tolerance)
                new = tuple(named_note(recording.id, n) for n in notes if n not in recording.notes)
                parts.append(replace(found, notes=new + found.notes))
    return joined(parts) if parts else None


def write_results(
    store: Store, recordings: Sequence[Recording], truth: Truth | None, wanted: Wanted
) -> dict[str, Any]:
    """Writes all results of a run into its folder; the report."""
    run = store.details()
    records, notes = store.records(), list[str]()
    followed, gestures = records, list[tuple[str, Gesture]]()
    # a live node's answers bear places and ids already
    if not run["placed"]:
        answered, angle, judge = records, wanted.scoring.looking_angle, wanted.judge
        records, notes = postprocess(answered, run, angle, wanted.track, judge, gestures)
        followed = records if wanted.track else postprocess(answered, run, angle, True)[0]
    named = wanted.truth_topic if wanted.truth is None else str(wanted.truth)
    run |= {"tracking": wanted.track, "truth": named, "notes": [*run.get("notes", ()), *notes]}
    if wanted.judge is not None:
        run["gestures"] = gesture_report(gestures, wanted.judge.name)
    folder = store.folder
    write_csv(folder / "heads.csv", records)
    if wanted.parquet:
        write_parquet(folder / "heads.parquet", records)
    if wanted.bag:
        _write_bags(folder / "result", recordings, records, run["model"], wanted.save_images)
    keep_labels(folder, truth)
    report = summary(records, truth, run, wanted.scoring, followed)
    write_whole(folder / "report.json", json.dumps(report, indent=1, allow_nan=False) + "\n")
    pictures = worst_pictures(report["worst"], recordings) if wanted.save_images else []
    write_whole(folder / "report.html", html(report, pictures))
    if wanted.rerun is not None:
        write_rerun(wanted.rerun, recordings, followed, wanted.save_images)
    if wanted.video:
        for recording, mine, name in _by_recording(recordings, records):
            write_video(folder / f"{name}.mp4", recording, mine)
    return report


def gesture_report(gestures: Sequence[tuple[str, Gesture]], judge: str) -> dict[str, Any]:
    """What a report says of gestures; times in seconds, amplitudes in degrees."""
    return {
        "judge": judge,
        "events": [
            {
                "recording": recording,
                "id": gesture.id,
                "gesture": gesture.name,
                "start": seconds(gesture.start),
                "end": seconds(gesture.end),
                "amplitude": round(gesture.amplitude, 1),
                "direction": gesture.direction,
                "cycles": gesture.cycles,
                "score": round(gesture.score, 3),
            }
            for recording, gesture in sorted(gestures, key=lambda one: (one[0], one[1].start))
        ],
    }


def _write_bags(
    folder: Path,
    recordings: Sequence[Recording],
    records: Sequence[FrameRecord],
    model: str,
    save_images: bool,
) -> None:
    """One bag; of several recordings, one each in a folder."""
    for recording, mine, name in _by_recording(recordings, records):
        target = folder / name if len(recordings) > 1 else folder
        write_bag(target, mine, model, recording if save_images else None)


def _by_recording(
    recordings: Sequence[Recording], records: Sequence[FrameRecord]
) -> Iterator[tuple[Recording, list[FrameRecord], str]]:
    """Each recording with its frames and a name for its files."""
    for place, recording in enumerate(recordings):
        mine = [record for record in records if record.recording == recording.id]
        yield recording, mine, f"{place:03d}_{re.sub(r'[^A-Za-z0-9.-]+', '_', recording.id)}"


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
