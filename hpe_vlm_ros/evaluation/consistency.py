# SPDX-License-Identifier: Apache-2.0
"""What can be said without ground truth: jitter on still heads, track breaks, coverage.

Heads of neighbouring frames are linked by their boxes alone, so ids given by a tracker play no
part. None of this says whether a pose is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hpe_vlm_ros.boxes import match_boxes
from hpe_vlm_ros.geometry import box_iou, geodesic_degrees
from hpe_vlm_ros.recordings.records import FrameRecord, Head

from .bootstrap import Measure, Quantile, Ratio

LINK = 0.3  # overlap from which boxes of neighbouring frames are one head's
STILL = 0.03  # of the box's side, by which the box of a still head moves at most
LINK_TIME = 1.0  # seconds between frames over which heads are linked at all
RETURN_TIME = 2.0  # seconds within which a lost head that is back counts as a break
MARGIN = 0.02  # of the picture, at its border: a head lost there may have left


@dataclass
class _Lost:
    """A head that was there and is not: its last box, and when."""

    head: Head
    time: int


@dataclass
class _Tally:
    """Sums of one frame. turns: degrees by which still heads turned since the frame before."""

    heads: int = 0
    breaks: int = 0
    turns: tuple[float, ...] = ()
    moves: tuple[float, ...] = ()


def consistency(records: Sequence[FrameRecord], sequences: set[str]) -> dict[str, Measure]:
    """Measures over `records`, of which only recordings in `sequences` have a course of time."""
    tallies: list[_Tally] = [_Tally(heads=len(record.heads)) for record in records]
    for name in sorted(sequences):
        places = [i for i, r in enumerate(records) if r.recording == name and r.error is None]
        _follow([records[i] for i in places], [tallies[i] for i in places])
    ones = np.array([record.error is None for record in records], dtype=float)
    detected = np.array([tally.heads > 0 for tally in tallies], dtype=float)
    heads = np.array([tally.heads for tally in tallies], dtype=float)
    breaks = np.array([tally.breaks for tally in tallies], dtype=float)
    named: dict[str, Measure] = {
        "frames_with_heads": Ratio(detected * ones, ones),
        "heads_per_frame": Ratio(heads * ones, ones),
    }
    if sequences:
        frame = np.repeat(np.arange(len(records)), [len(t.turns) for t in tallies])
        turns = np.array([turn for tally in tallies for turn in tally.turns])
        moves = np.array([move for tally in tallies for move in tally.moves])
        named |= {
            "jitter_median": Quantile(turns, frame, 0.5),
            "jitter_p90": Quantile(turns, frame, 0.9),
            "box_jitter_median": Quantile(moves, frame, 0.5),
            "breaks_per_100_heads": Ratio(100 * breaks, heads * ones),
        }
    return named


def _follow(records: Sequence[FrameRecord], tallies: Sequence[_Tally]) -> None:
    """Links heads from frame to frame of one recording, and notes turns and breaks."""
    lost: list[_Lost] = []
    before: FrameRecord | None = None
    for record, tally in zip(records, tallies, strict=True):
        lost = [gone for gone in lost if abs(record.time - gone.time) <= RETURN_TIME * 1e9]
        near = before is not None and abs(record.time - before.time) <= LINK_TIME * 1e9
        old = before.heads if near and before is not None else ()
        pairs = match_boxes(_boxes(old), _boxes(record.heads), LINK).tolist()
        still = [(old[i], record.heads[j]) for i, j in pairs if _still(old[i], record.heads[j])]
        tally.turns = tuple(float(geodesic_degrees(a.matrix, b.matrix)) for a, b in still)
        tally.moves = tuple(_move(a, b) for a, b in still)
        known = {j for _, j in pairs}
        newcomers = [head for j, head in enumerate(record.heads) if j not in known]
        tally.breaks = _returned(newcomers, lost)
        gone = {i for i, _ in pairs}
        lost += [
            _Lost(head, record.time)
            for i, head in enumerate(old)
            if i not in gone and before is not None and not _at_border(head, before)
        ]
        before = record


def _returned(newcomers: Iterable[Head], lost: list[_Lost]) -> int:
    """How many lost heads are back, each taken off the list."""
    count = 0
    for head in newcomers:
        overlaps = box_iou([head.box], _boxes([gone.head for gone in lost]))[0]
        if len(overlaps) and overlaps.max() >= LINK:
            lost.pop(int(overlaps.argmax()))
            count += 1
    return count


def _boxes(heads: Sequence[Head]) -> list[tuple[float, ...]]:
    return [head.box for head in heads]


def _move(a: Head, b: Head) -> float:
    """How far the box's edges moved at most, as a share of its longer side."""
    side = max(a.box[2] - a.box[0], a.box[3] - a.box[1], 1e-9)
    return max(abs(p - q) for p, q in zip(a.box, b.box, strict=True)) / side


def _still(a: Head, b: Head) -> bool:
    """Whether the box's middle stays where it is; its size may jitter."""
    side = max(a.box[2] - a.box[0], a.box[3] - a.box[1], 1e-9)
    middles = [((h.box[0] + h.box[2]) / 2, (h.box[1] + h.box[3]) / 2) for h in (a, b)]
    return max(abs(p - q) for p, q in zip(*middles, strict=True)) <= STILL * side


def _at_border(head: Head, frame: FrameRecord) -> bool:
    x, y = MARGIN * frame.width, MARGIN * frame.height
    x0, y0, x1, y1 = head.box
    return x0 <= x or y0 <= y or x1 >= frame.width - x or y1 >= frame.height - y
