# SPDX-License-Identifier: Apache-2.0
"""Two runs over the same frames: paired differences, and how far their answers lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hpe_vlm_ros.boxes import match_boxes
from hpe_vlm_ros.geometry import geodesic_degrees
from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import FrameRecord
from hpe_vlm_ros.recordings.truth import Truth

from .bootstrap import LEAST, blocks, interval, tidy
from .consistency import consistency
from .measures import totals, unconstrained
from .report.tables import LABELS, number
from .scored import scored
from .summary import Scoring

Moment = tuple[str, int, int]


@dataclass(frozen=True)
class Run:
    """One of the two. name, model: for people. input_size: pixels, side of what the model sees.
    sequences: recordings whose frames follow each other. records: with all that follows from the
    answers. labels: its ground truth, None without any."""

    name: str
    model: str
    input_size: int
    sequences: set[str]
    records: Sequence[FrameRecord]
    labels: Truth | None

    @property
    def recordings(self) -> list[str]:
        return sorted({record.recording for record in self.records})

    @cached_property
    def frames(self) -> dict[Moment, FrameRecord]:
        """By recording, stamp, and place among those of the same stamp."""
        found: dict[Moment, FrameRecord] = {}
        for record in self.records:
            nth = 0
            moment = record.stamp or record.number
            while (record.recording, moment, nth) in found:
                nth += 1
            found[record.recording, moment, nth] = record
        return found


def compare(first: Run, second: Run, scoring: Scoring) -> dict[str, Any]:
    """Measures of both runs over the frames that both perceived, and their differences B - A.

    Frames are paired by recording and stamp (by number where there is none), so a live run pairs
    with an offline one. Both need the same ground truth for its measures. ReplayError when they
    have no frame in common.
    """
    pairs = [(first.frames[m], second.frames[m]) for m in first.frames if m in second.frames]
    if not pairs:
        raise ReplayError(
            f"{first.name} and {second.name} have no frame in common: recordings are "
            f"{', '.join(first.recordings)} and {', '.join(second.recordings)}"
        )
    ours = [pair[0] for pair in pairs]
    # B's frames under A's names, so that both are drawn alike and scored against one truth.
    theirs = [replace(y, recording=x.recording, number=x.number) for x, y in pairs]
    truth = _shared_truth(first, second, pairs)
    scores = _differences(ours, theirs, truth, first, scoring)
    return {
        "a": first.name,
        "b": second.name,
        "models": [first.model, second.model],
        "frames": {
            "both": len(pairs),
            "only_a": len(first.frames) - len(pairs),
            "only_b": len(second.frames) - len(pairs),
        },
        "labelled": 0 if truth is None else len(truth.heads),
        "apart": apart(ours, theirs),
        "scores": scores,
    }


def _shared_truth(
    first: Run, second: Run, pairs: Sequence[tuple[FrameRecord, FrameRecord]]
) -> Truth | None:
    """A's truth of the paired frames, if B's is the same there."""
    if first.labels is None or second.labels is None:
        return None
    heads = {}
    for x, y in pairs:
        mine, yours = first.labels.heads.get(x.key), second.labels.heads.get(y.key)
        if mine is not None and mine == yours:
            heads[x.key] = mine
    return Truth(heads, in_part=first.labels.in_part | second.labels.in_part) if heads else None


def _differences(
    ours: list[FrameRecord],
    theirs: list[FrameRecord],
    truth: Truth | None,
    first: Run,
    scoring: Scoring,
) -> dict[str, Any]:
    """Name to a, b, their difference, its interval, and what they are averaged over."""
    scores: dict[str, Any] = {}
    plain = [consistency(r, first.sequences) | unconstrained(r) for r in (ours, theirs)]
    parts: list[tuple[list[FrameRecord], list[Any]]] = [(ours, plain)]
    if truth is not None:
        readable = [x.key for x, y in zip(ours, theirs, strict=True) if not (x.error or y.error)]
        known = {key: truth.heads[key] for key in readable if key in truth.heads}
        size = first.input_size
        shared = replace(truth, heads=known)
        tables = [scored(r, shared, size, scoring.rules) for r in (ours, theirs)]
        frames = [record for record in ours if record.key in known]
        parts.append((frames, [totals(table, scoring.looking_angle) for table in tables]))
    for frames, (mine, yours) in parts:
        drawn = blocks(frames, first.sequences, scoring.block_seconds)
        weights = drawn.weights()
        for name in mine:
            scores[name] = _difference(mine[name], yours[name], weights)
    return scores


def _difference(mine: Any, yours: Any, weights: Any) -> dict[str, Any]:
    once = np.ones((1, weights.shape[1]))
    a, b = float(mine.estimates(once)[0]), float(yours.estimates(once)[0])
    low = high = None
    if np.isfinite(b - a) and min(mine.count, yours.count) >= LEAST:
        # the same draws for both: what is hard for both cancels out
        low, high = interval(yours.estimates(weights) - mine.estimates(weights))
    return {
        "a": tidy(a),
        "b": tidy(b),
        "delta": tidy(b - a),
        "low": low,
        "high": high,
        "n": min(mine.count, yours.count),
    }


def apart(ours: Sequence[FrameRecord], theirs: Sequence[FrameRecord]) -> dict[str, Any]:
    """How far the answers lie apart, truth or no truth: heads of the same place in both runs."""
    turns, moves, alone_a, alone_b = [], [], 0, 0
    for x, y in zip(ours, theirs, strict=True):
        # neither run is the truth, so both boxes may be off: a smaller overlap will do
        pairs = match_boxes([h.box for h in x.heads], [h.box for h in y.heads], 0.3)
        alone_a, alone_b = alone_a + len(x.heads) - len(pairs), alone_b + len(y.heads) - len(pairs)
        for i, j in pairs.tolist():
            turns.append(float(geodesic_degrees(x.heads[i].matrix, y.heads[j].matrix)))
            moves.append(float(np.abs(np.subtract(x.heads[i].box, y.heads[j].box)).max()))
    return {
        "heads_in_both": len(turns),
        "heads_only_a": alone_a,
        "heads_only_b": alone_b,
        "geodesic_median": tidy(float(np.median(turns))) if turns else None,
        "geodesic_max": tidy(max(turns)) if turns else None,
        "box_max": tidy(max(moves)) if moves else None,
    }


def values(found: dict[str, Any]) -> dict[str, float | None]:
    """For gates: NAME is B's value, delta_NAME the difference, with .low and .high."""
    named: dict[str, float | None] = {f"apart_{k}": v for k, v in found["apart"].items()}
    for name, cell in found["scores"].items():
        named |= {name: cell["b"], f"delta_{name}": cell["delta"]}
        named |= {f"delta_{name}.{limit}": cell[limit] for limit in ("low", "high")}
    return named


def comparison_table(found: dict[str, Any]) -> str:
    """For people; a star marks differences whose interval does not contain zero."""
    frames, far = found["frames"], found["apart"]
    lines = [
        f"A {found['a']}  ({found['models'][0]})",
        f"B {found['b']}  ({found['models'][1]})",
        f"{frames['both']} frames in both, {frames['only_a']} only in A, "
        f"{frames['only_b']} only in B; {found['labelled']} with ground truth",
        f"{far['heads_in_both']} heads in both, {far['heads_only_a']} only in A, "
        f"{far['heads_only_b']} only in B; between them {number(far['geodesic_median'], 'mae')} "
        f"(median), {number(far['geodesic_max'], 'mae')} (most)",
        "",
        f"{'':<44}{'A':>9}{'B':>9}{'B - A':>10}  95 % interval",
    ]
    for name, label in LABELS.items():
        cell = found["scores"].get(name)
        if cell is None or not cell["n"]:
            continue
        a, b, delta = (number(cell[key], name) for key in ("a", "b", "delta"))
        span, star = "", ""
        if cell["low"] is not None:
            span = f"{number(cell['low'], name)} to {number(cell['high'], name)}"
            star = " *" if cell["low"] > 0 or cell["high"] < 0 else ""
        lines.append(f"{label:<44}{a:>9}{b:>9}{delta:>10}  {span}{star}")
    return "\n".join(lines)
