# SPDX-License-Identifier: Apache-2.0
"""What `--gestures` adds to a replay: a section of the report, and a column of heads.csv."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from painted import START, STEP, camera_info, paint, png, write_bag

from hpe_vlm_ros.recordings.bags import CAMERA_INFO, COMPRESSED
from hpe_vlm_ros.replay.__main__ import main

FRAMES = 70  # at 10 Hz
SHAKEN = (3.0, 5.1)  # seconds


pytestmark = pytest.mark.usefixtures("painted_perceiver")


def recorded(folder: Path, swing: float) -> Path:
    """A bag of one head that shakes by so many degrees to each side for two seconds."""
    messages = [("/cam/camera_info", START, CAMERA_INFO, camera_info(START))]
    for number in range(FRAMES):
        time, stamp = number / 10, START + number * STEP
        inside = SHAKEN[0] <= time <= SHAKEN[1]
        yaw = round(swing * math.sin(2 * math.pi * 1.43 * (time - SHAKEN[0]))) * inside
        picture = png(paint([(60, 30, 100, 80, yaw, 0)]), stamp)
        messages.append(("/cam/image/compressed", stamp + 1000, COMPRESSED, picture))
    return write_bag(folder / "bag", messages)


def replayed(bag: Path, out: Path, *options: str):
    """Report, page and rows of heads.csv of a run without a result bag."""
    assert main(["run", str(bag), "--out", str(out), "--no-bag", "--quiet", *options]) == 0
    with (out / "heads.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return json.loads((out / "report.json").read_text()), (out / "report.html").read_text(), rows


def test_gestures_have_a_section_and_a_column(tmp_path):
    bag = recorded(tmp_path, 16.0)
    report, page, rows = replayed(bag, tmp_path / "run", "--gestures")
    told = report["run"]["gestures"]
    (event,) = told["events"]
    assert told["judge"].startswith("signals-")  # of the model that the run names
    assert (event["gesture"], event["id"]) == ("shake", "h0001")
    start, end = (float(event[name]) - START / 1e9 for name in ("start", "end"))
    assert start == pytest.approx(SHAKEN[0], abs=0.5) and end == pytest.approx(SHAKEN[1], abs=0.5)
    assert event["amplitude"] == pytest.approx(16, abs=6) and 0.5 < event["score"] <= 1
    assert "<h2>Head gestures</h2>" in page and f"Told by {told['judge']}." in page
    assert f"<td>h0001</td><td>shake</td><td>{event['start']}</td>" in page
    named = [row["gesture"] for row in rows]
    assert named[0] == "" and set(named) == {"", "none", "shake"}
    shaking = [int(row["frame"]) / 10 for row in rows if row["gesture"] == "shake"]
    assert min(shaking) >= start - 0.1 and max(shaking) <= end + 0.1


def test_a_recording_without_gestures_says_so(tmp_path):
    bag = recorded(tmp_path, 0.0)
    report, page, rows = replayed(bag, tmp_path / "run", "--gestures")
    assert report["run"]["gestures"]["events"] == []
    assert "<h2>Head gestures</h2>" in page and "None was seen." in page
    assert {row["gesture"] for row in rows} == {"", "none"}
    report, page, rows = replayed(bag, tmp_path / "plain")
    assert "gestures" not in report["run"] and "Head gestures" not in page
    assert {row["gesture"] for row in rows} == {""}
