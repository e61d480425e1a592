# SPDX-License-Identifier: Apache-2.0
"""What happened when, in each recording: heads found, and each person's yaw, pitch and gaze.

Needs no ground truth. Everything is plain numbers for report.json, thinned for long recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hpe_vlm_ros.recordings.records import OK, FrameRecord, Head

MOST_PEOPLE = 12  # of a recording: those seen the longest
MOST_BINS = 240  # of the strip of heads
MOST_POINTS = 600  # of a person's curves
LEAST_SPAN = 0.5  # seconds; who is seen for a shorter time is no person of the timeline
GAP_FRAMES = 2.5  # frame periods; a longer time without an answer is a gap

Span = list[float]
"""From and to, in seconds since the recording's first frame."""


def timelines(
    records: Sequence[FrameRecord], sequences: set[str], looking_angle: float = 15.0
) -> list[dict[str, Any]]:
    """A timeline for each recording, in order.

    records: with ids where people were followed. sequences: recordings whose frames follow each
    other in time; of others there is the strip of heads only, over the number of the picture.
    looking_angle: degrees between gaze and camera within which a head looks at it, where that was
    not judged for want of a camera_info.

    Each holds `id`, `unit` ("s" or "picture"), `length`, `bin` (width of a bin of `heads`, in
    units), `heads` (the mean number found in the frames of each bin, None without a frame),
    `people` (see `_person`) and `left_out` (people for whom there is no room).
    """
    by_name: dict[str, list[FrameRecord]] = {}
    for record in records:
        by_name.setdefault(record.recording, []).append(record)
    return [_timeline(n, rows, n in sequences, looking_angle) for n, rows in by_name.items()]


def _timeline(
    name: str, records: Sequence[FrameRecord], in_time: bool, looking_angle: float
) -> dict[str, Any]:
    start = min(record.time for record in records)  # stamps may be out of order
    times = [(r.time - start) / 1e9 if in_time else float(i) for i, r in enumerate(records)]
    length = max(0.0, *times) if in_time else float(len(records))
    period = _period(times)
    width = max(1.0, _nice(length / (MOST_BINS - 1)))
    tracks: dict[str, list[tuple[float, Head]]] = {}
    for time, record in zip(times, records, strict=True):
        for head in record.heads if in_time else ():
            if head.id and head.status == OK:
                tracks.setdefault(head.id, []).append((time, head))
    people = [_person(id, rows, period, looking_angle) for id, rows in tracks.items()]
    people = [person for person in people if person["to"] - person["from"] >= LEAST_SPAN]
    longest = sorted(people, key=lambda person: -person["seen"])[:MOST_PEOPLE]
    return {
        "id": name,
        "unit": "s" if in_time else "picture",
        "length": round(length, 3),
        "bin": width,
        "heads": _strip(times, records, width),
        "people": sorted(longest, key=lambda person: (person["from"], person["id"])),
        "left_out": len(people) - len(longest),
    }


def _period(times: Sequence[float]) -> float:
    """Seconds between two frames, the median."""
    steps = sorted(b - a for a, b in zip(times, times[1:], strict=False) if b > a)
    return steps[len(steps) // 2] if steps else 1.0


def _nice(width: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... from `width` on."""
    step = 1.0
    while step < width:
        # from 2, 20, ... to 5, 50, ... by 2.5; the other two steps double
        step *= 2.5 if str(step)[0] == "2" else 2.0
    return step


def _strip(
    times: Sequence[float], records: Sequence[FrameRecord], width: float
) -> list[float | None]:
    count = int(max(times) // width) + 1
    heads, frames = [0] * count, [0] * count
    for time, record in zip(times, records, strict=True):
        place = int(time // width)
        if record.error is None:
            heads[place] += sum(head.status == OK for head in record.heads)
            frames[place] += 1
    return [round(h / n, 3) if n else None for h, n in zip(heads, frames, strict=True)]


def _person(
    id: str, rows: Sequence[tuple[float, Head]], period: float, looking_angle: float
) -> dict[str, Any]:
    """`from`, `to`: first and last answer. `seen`: seconds between those without gaps. `looking`,
    `gaps`: spans. `points`: [time, yaw, pitch] in seconds and degrees."""
    rows = sorted(rows, key=lambda row: row[0])
    times = [time for time, _ in rows]
    longest = GAP_FRAMES * period
    gaps = [[a, b] for a, b in zip(times, times[1:], strict=False) if b - a > longest]
    looking = spans(((time, _looks(head, looking_angle)) for time, head in rows), longest)
    known = [(t, h.yaw, h.pitch) for t, h in rows if h.yaw is not None and h.pitch is not None]
    return {
        "id": id,
        "from": round(times[0], 3),
        "to": round(times[-1], 3),
        "seen": round(times[-1] - times[0] - sum(b - a for a, b in gaps), 3),
        "looking": [_rounded(span) for span in looking],
        "gaps": [_rounded(span) for span in gaps],
        "points": [[round(t, 3), round(y, 1), round(p, 1)] for t, y, p in _thinned(known)],
    }


def _looks(head: Head, looking_angle: float) -> bool:
    if head.looks_score is not None or head.looking is None:
        return head.looks
    return head.looking <= looking_angle


def spans(values: Iterable[tuple[float, bool]], longest: float) -> list[Span]:
    """Spans [begin, end] in seconds over which a value holds, of (time, value) in order: from the
    first time it does to the first at which it does not. Ends before a step longer than
    `longest`."""
    found: list[Span] = []
    begun = before = None
    for time, value in values:
        if begun is not None and before is not None and time - before > longest:
            found.append([begun, before])
            begun = None
        if value and begun is None:
            begun = time
        elif not value and begun is not None:
            found.append([begun, time])
            begun = None
        before = time
    if begun is not None and before is not None:
        found.append([begun, before])
    return found


def _thinned(rows: Sequence[Any]) -> Sequence[Any]:
    """Every so-many-th row, so that `MOST_POINTS` are left at most."""
    return rows[:: -(-len(rows) // MOST_POINTS) or 1]


def _rounded(span: Sequence[float]) -> Span:
    return [round(value, 3) for value in span]
