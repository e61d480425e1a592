# SPDX-License-Identifier: Apache-2.0
"""Everything a report says, as one JSON object; only what is under `times` differs between runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hpe_vlm_ros.recordings.records import FrameRecord, Head
from hpe_vlm_ros.recordings.truth import Truth, seconds

from .bootstrap import FEWEST, Blocks, Measure, blocks, roc, tidy, value
from .calibration import NOMINAL, reliability, surprise
from .consistency import consistency
from .measures import BREAKDOWNS, totals, unconstrained
from .metrics import Rules
from .report.notes import EXAMPLES
from .scored import Scored, scored
from .timeline import timelines

SCHEMA = 1
WORST = 10
PERCENTILES = (50, 90, 95, 99)
CURVE = 100  # points of a ROC curve at most


@dataclass(frozen=True)
class Scoring:
    """How a run is scored. looking_angle: degrees within which a head looks at the camera.
    block_seconds: length of the bootstrap's blocks in recordings that have a course of time."""

    looking_angle: float = 15.0
    block_seconds: float = 5.0
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class Scores:
    """A run's measures over the same frames, and how to draw those frames anew."""

    measures: dict[str, Measure]
    frames: list[FrameRecord]
    blocks: Blocks


def summary(
    records: Sequence[FrameRecord],
    truth: Truth | None,
    run: dict[str, Any],
    scoring: Scoring = Scoring(),  # noqa: B008
    followed: Sequence[FrameRecord] | None = None,
) -> dict[str, Any]:
    """The report of a run. `run`: what its folder says of it, see `run.details`. `followed`: the
    records with ids, for the timelines of people, where `records` have none."""
    sequences = sequences_of(run)
    table = None if truth is None else scored(records, truth, run["input_size"], scoring.rules)
    parts = all_scores(records, table, sequences, scoring)
    values: dict[str, Any] = {}
    for part in parts:
        weights = part.blocks.weights()
        values |= {name: value(m, weights).as_json() for name, m in part.measures.items()}
    report = {
        "schema": SCHEMA,
        "run": {k: v for k, v in run.items() if k != "created"},
        "frames": _frames(records),
        "truth": None if truth is None or table is None else _truth(truth, table, scoring),
        "scores": values,
        "intervals": _intervals(parts[-1], scoring),
        "e_angle": _reasons(records),
        "tables": {} if table is None else _tables(table, parts[-1]),
        "geodesic_curve": None if table is None else _curve(table),
        "calibration": None if table is None else _calibration(table),
        "looking": None if table is None else _looking(table, scoring.looking_angle),
        "worst": [] if table is None else worst(table, records),
        "timelines": timelines(
            records if followed is None else followed, sequences, scoring.looking_angle
        ),
        "times": _times(records, run),
    }
    return report


def all_scores(
    records: Sequence[FrameRecord], table: Scored | None, sequences: set[str], scoring: Scoring
) -> list[Scores]:
    """Measures without truth over all frames; then, with truth, those over labelled frames."""
    everything = list(records)
    plain = consistency(everything, sequences) | unconstrained(everything)
    parts = [Scores(plain, everything, blocks(everything, sequences, scoring.block_seconds))]
    if table is not None:
        by_key = {record.key: record for record in records}
        frames = [by_key[key] for key in table.frames]
        whole = blocks(frames, sequences, scoring.block_seconds)
        parts.append(Scores(totals(table, scoring.looking_angle), frames, whole))
    return parts


def sequences_of(run: dict[str, Any]) -> set[str]:
    """Ids of the recordings in which frames follow each other in time."""
    return {entry["id"] for entry in run["recordings"] if entry["sequence"]}


def worst(
    table: Scored, records: Sequence[FrameRecord], count: int = WORST
) -> list[dict[str, Any]]:
    """The heads that count and were found, but turned the farthest from the truth."""
    by_key = {record.key: record for record in records}
    error = np.where(_posed(table), table.geodesic, -1.0)  # those without a pose come last
    cases = []
    for row in np.argsort(-error, kind="stable")[:count]:
        if error[row] < 0:
            break
        record = by_key[table.frames[table.frame[row]]]
        found = record.heads[table.answer[row]]
        cases.append(
            {
                "recording": record.recording,
                "frame": record.number,
                "image": record.name,
                "stamp": seconds(record.time),
                "geodesic": tidy(error[row]),
                "true": _pose(table.true_heads[row]),
                "found": _pose(found),
                "size": tidy(table.size[row]),
                "visible": table.true_heads[row].visible,
            }
        )
    return cases


def _pose(head: Head) -> dict[str, Any]:
    return {"box": list(head.box), "angles": [head.yaw, head.pitch, head.roll]}


def _frames(records: Sequence[FrameRecord]) -> dict[str, Any]:
    names: dict[str, list[str]] = {}
    for record in records:
        if record.error is not None:
            # The name of a picture is told once, beside the reason that it shares with others.
            reason = record.error.split(f"{record.name}: ", 1)[-1] if record.name else record.error
            names.setdefault(reason, []).append(record.name or f"frame {record.number}")
    unreadable = sum(map(len, names.values()))
    return {
        "perceived": len(records) - unreadable,
        "unreadable": unreadable,
        "reasons": [
            {"text": reason, "frames": len(found), "such_as": found[:EXAMPLES]}
            for reason, found in sorted(names.items(), key=lambda item: -len(item[1]))
        ],
        "heads": sum(len(record.heads) for record in records),
        "positions": sum(head.position is not None for r in records for head in r.heads),
    }


def _truth(truth: Truth, table: Scored, scoring: Scoring) -> dict[str, Any]:
    return {
        "notes": list(truth.notes),
        "labelled_frames": len(table.frames),
        "heads": len(table.counts),
        "counted": int(table.counts.sum()),
        "found": int((table.counts & table.found).sum()),
        "false_alarms": len(table.alarm_frame),
        "without_triple": int((table.counts & np.isnan(table.yaw)).sum()),
        "without_pose": sum(not head.rotation for head in table.true_heads),
        "rules": asdict(scoring.rules),
    }


def _intervals(part: Scores, scoring: Scoring) -> dict[str, Any]:
    count = part.blocks.count
    return {
        "blocks": count,
        "block_seconds": scoring.block_seconds,
        "reliable": count >= FEWEST,
    }


def _reasons(records: Sequence[FrameRecord]) -> dict[str, Any]:
    answers = [reason for record in records for reason in record.free or ()]
    return {"asked": len(answers), "reasons": dict(sorted(Counter(filter(None, answers)).items()))}


def _tables(table: Scored, part: Scores) -> dict[str, Any]:
    weights = part.blocks.weights()
    found = {}
    for name, (title, make) in BREAKDOWNS.items():
        rows = [
            {"name": row, **{k: value(m, weights).as_json() for k, m in measures.items()}}
            for row, measures in make(table)
        ]
        found[name] = {"title": title, "rows": [r for r in rows if _anything(r)]}
    return found


def _anything(row: dict[str, Any]) -> bool:
    return any(isinstance(cell, dict) and cell["n"] for cell in row.values())


def _posed(table: Scored) -> Any:
    """Which heads (N,) count, were found, and have a true pose to compare with."""
    return table.counts & table.found & np.isfinite(table.geodesic)


def _curve(table: Scored) -> list[float | None] | None:
    """Geodesic error below which 0, 2, 4 ... 100 % of the heads lie."""
    errors = table.geodesic[_posed(table)]
    return [tidy(v) for v in np.percentile(errors, range(0, 101, 2))] if len(errors) else None


def _calibration(table: Scored) -> dict[str, Any] | None:
    rows = table.counts & table.found
    values = surprise(table.turn[rows], table.covariance[rows])
    known = int(np.isfinite(values).sum())
    if not known:
        return None
    stated, found = reliability(values)
    return {
        "n": known,
        "nominal": {str(count): share for count, share in NOMINAL.items()},
        "stated": [tidy(v) for v in stated],
        "found": [tidy(v) for v in found],
    }


def _looking(table: Scored, angle: float) -> dict[str, Any] | None:
    rows = table.counts & table.found & np.isfinite(table.looks) & np.isfinite(table.looks_true)
    positive = table.looks_true[rows] <= angle
    if not positive.any() or positive.all():
        return None
    score = -table.looks[rows]
    alarm, hit = roc(score, positive, np.ones(len(score)))
    points = np.unique(np.linspace(0, len(hit) - 1, CURVE).astype(int))
    predicted = table.looks[rows] <= angle
    return {
        "angle": angle,
        "looking": int(positive.sum()),
        "not_looking": int((~positive).sum()),
        "hit": [tidy(v) for v in hit[points]],
        "false_alarm": [tidy(v) for v in alarm[points]],
        "at_angle": {
            "hit": tidy(float(predicted[positive].mean())),
            "false_alarm": tidy(float(predicted[~positive].mean())),
        },
    }


def _times(records: Sequence[FrameRecord], run: dict[str, Any]) -> dict[str, Any]:
    took = np.array([r.seconds for r in records if r.error is None and r.seconds > 0])
    times: dict[str, Any] = {"created": run.get("created")}
    if len(took):
        found = np.percentile(took * 1000, PERCENTILES)
        times |= {
            f"latency_p{p}_ms": round(float(v), 2) for p, v in zip(PERCENTILES, found, strict=True)
        }
        times["model_fps"] = round(float(len(took) / took.sum()), 3)
    return times
