# SPDX-License-Identifier: Apache-2.0
"""Two folders of runs, read for `evaluation.compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hpe_vlm_ros.evaluation.compare import Run, compare
from hpe_vlm_ros.evaluation.summary import Scoring, sequences_of
from hpe_vlm_ros.recordings.frames import ReplayError

from .postprocessing import postprocess
from .store import Store
from .truth_store import read_labels


def compare_runs(a: Path, b: Path, scoring: Scoring) -> dict[str, Any]:
    """As `evaluation.compare.compare`, of the runs in two folders; ReplayError where one of them
    holds no finished run."""
    return compare(_read(a, scoring), _read(b, scoring), scoring)


def _read(folder: Path, scoring: Scoring) -> Run:
    store = Store(folder)
    run = store.details()
    report = _report(folder / "report.json")
    records = store.records()
    if not run["placed"]:
        records, _ = postprocess(
            records, run, scoring.looking_angle, bool(report["run"]["tracking"])
        )
    labels = read_labels(folder)
    return Run(str(folder), run["model"], run["input_size"], sequences_of(run), records, labels)


def _report(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ReplayError(f"{path}: no report ({error}); finish the run with --resume") from error
