# SPDX-License-Identifier: Apache-2.0
"""Timelines of reports: who was seen when, gaps, gazes, and the strip of heads."""

from __future__ import annotations

import json
import math
from itertools import groupby, zip_longest
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.evaluation.report.plots import timeline_plots
from hpe_vlm_ros.evaluation.report.timeline_plot import _broken
from hpe_vlm_ros.evaluation.timeline import MOST_BINS, MOST_PEOPLE, MOST_POINTS, spans, timelines
from hpe_vlm_ros.recordings.records import FrameRecord, Head

BOX = (10.0, 10.0, 40.0, 50.0)


def head(id: str, yaw: float | None = 0.0, looks: bool = False, **more: Any) -> Head:
    fields: dict[str, Any] = {"pitch": 5.0, "roll": 0.0, "rotation": (1.0,) * 9, "looks_score": 0.5}
    return Head(BOX, yaw, **(fields | more), id=id, looks=looks)


def frame(number: int, seconds: float, *heads: Head, error: str | None = None) -> FrameRecord:
    stamp = 10**18 + round(seconds * 1e9)
    return FrameRecord("film", number, stamp, stamp, "", "cam", 100, 100, heads, error)


def film(*heads_of: tuple[Head, ...], rate: float = 10.0) -> list[FrameRecord]:
    return [frame(n, n / rate, *heads) for n, heads in enumerate(heads_of)]


def of(records: list[FrameRecord], in_time: bool = True) -> dict[str, Any]:
    (found,) = timelines(records, {"film"} if in_time else set())
    json.dumps(found, allow_nan=False)
    return found


def test_a_person_with_gap_and_gaze() -> None:
    """Twenty frames at 10 Hz: h1 in all but 6 to 9, looking in 2 to 4 and from 12 on."""
    looking = {2, 3, 4, *range(12, 20)}
    rows = [() if 6 <= n <= 9 else (head("h1", float(n), n in looking),) for n in range(20)]
    found = of(film(*rows))
    assert found["unit"] == "s" and found["length"] == pytest.approx(1.9)
    (person,) = found["people"]
    assert person["gaps"] == [[0.5, 1.0]] and person["from"] == 0 and person["to"] == 1.9
    assert person["seen"] == pytest.approx(1.4)
    assert person["looking"] == [[0.2, 0.5], [1.2, 1.9]]
    assert person["points"][3] == [0.3, 3.0, 5.0] and len(person["points"]) == 16
    assert found["bin"] == 1.0 and found["heads"] == [0.6, 1.0]


def test_predicted_heads_and_those_without_a_triple_are_no_answers() -> None:
    predicted = head("h1", status=1)
    rows = [(head("h1"),)] * 6 + [(predicted,)] * 6 + [(head("h1", None),)] * 6
    found = of(film(*rows))
    (person,) = found["people"]
    assert person["gaps"] == [[0.5, 1.2]]
    assert len(person["points"]) == 6  # no yaw, no point; but no gap either
    assert found["heads"] == [0.6, 0.75]


def test_without_a_judgement_the_angle_decides() -> None:
    """As of recordings without camera_info, whose positions and gazes are unknown."""
    rows = [(head("h1", looks_score=None, looking=angle),) for angle in (10, 14, 15, 16, 30, 9, 9)]
    assert of(film(*rows))["people"][0]["looking"] == [[0.0, 0.3], [0.5, 0.6]]


def test_the_longest_seen_are_shown_in_the_order_of_appearance() -> None:
    rows: list[tuple[Head, ...]] = []
    for number in range(60):
        ids = [f"h{k}" for k in range(15) if number >= 3 * k] + ["short"] * (number < 4)
        rows.append(tuple(map(head, ids)))
    found = of(film(*rows))
    assert [p["id"] for p in found["people"]] == [f"h{k}" for k in range(MOST_PEOPLE)]
    assert found["left_out"] == 15 - MOST_PEOPLE  # and nobody who was seen for 0.3 s


def test_pictures_that_follow_no_time_have_a_strip_alone() -> None:
    rows = [frame(0, 5.0, head("h1")), frame(1, 1.0), frame(2, 0.0, error="broken")]
    found = of(rows, in_time=False)
    assert found["unit"] == "picture" and found["people"] == []
    assert found["heads"] == [1.0, 0.0, None] and found["length"] == 3


def test_recordings_are_kept_apart() -> None:
    other = FrameRecord("other", 0, 0, 0, "", "", 1, 1, ())
    assert [t["id"] for t in timelines([*film(()), other], {"film"})] == ["film", "other"]
    assert timelines([], set()) == []


def test_long_recordings_are_thinned() -> None:
    rows = film(*[(head("h1"),)] * 5000, rate=1.0)
    found = of(rows)
    assert found["bin"] == 50.0 and len(found["heads"]) == 100 <= MOST_BINS
    assert 0.5 * MOST_POINTS < len(found["people"][0]["points"]) <= MOST_POINTS


STEPS = st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=30)


@given(STEPS)
def test_spans_hold_what_holds_and_nothing_else(steps: list[tuple[int, bool]]) -> None:
    """The same from the other end: rows cut at long steps, then grouped by their value."""
    runs: list[list[tuple[float, bool]]] = [[]]
    time = 0.0
    for step, value in steps:
        time += step
        if step > 10:
            runs.append([])
        runs[-1].append((time, value))
    expected = []
    for run in runs:
        groups = [list(rows) for _, rows in groupby(run, key=lambda row: row[1])]
        for group, after in zip_longest(groups, groups[1:]):
            if group and group[0][1]:
                expected.append([group[0][0], after[0][0] if after else group[-1][0]])
    assert spans((row for run in runs for row in run), longest=10.0) == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_the_strip_counts_every_head_once(frames: list[tuple[int, bool]]) -> None:
    rows = [
        frame(n, n / 4, *[head("")] * count, error="broken" if broken else None)
        for n, (count, broken) in enumerate(frames)
    ]
    strip = of(rows)["heads"]
    assert len(strip) == -(-len(frames) // 4)
    for second, mean in enumerate(strip):
        counts = [c for c, broken in frames[4 * second : 4 * second + 4] if not broken]
        assert mean is None if not counts else mean == pytest.approx(np.mean(counts), abs=1e-3)


def test_curves_break_over_gaps_and_where_angles_go_around() -> None:
    points = [[0.0, 170.0, 1.0], [0.1, -175.0, 1.0], [0.2, -170.0, 1.0], [0.9, -160.0, 1.0]]
    times, yaws = _broken(points, 1, [[0.2, 0.9]])
    assert [math.isnan(y) for y in yaws] == [False, True, False, False, True, False]
    assert times == [0.0, 0.1, 0.1, 0.2, 0.9, 0.9]
    assert len(_broken(points, 2, [])[0]) == 4


def test_every_timeline_gets_a_plot() -> None:
    pytest.importorskip("matplotlib")
    people = of(film(*[(head("h1", 170.0 - n), head("h2")) for n in range(20)]))
    nobody = of([frame(0, 0.0)], in_time=False)
    plots = timeline_plots({"timelines": [people, nobody]})
    assert len(plots) == 2 and all(p.startswith("data:image/svg+xml;base64,") for p in plots)
    assert plots == timeline_plots({"timelines": [people, nobody]})
