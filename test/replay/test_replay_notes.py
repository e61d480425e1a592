# SPDX-License-Identifier: Apache-2.0
"""What is amiss with recordings and truth is said on the console and in the report."""

from __future__ import annotations

import html
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from painted import (
    COMPRESSED,
    START,
    TYPES,
    answers,
    entries,
    header,
    heads_of,
    paint,
    truth_rows,
    write_bag,
)

from hpe_vlm_ros.evaluation.report.notes import of_run
from hpe_vlm_ros.replay.__main__ import main

COMPRESSED_TOPIC = "/cam/image/compressed"


pytestmark = pytest.mark.usefixtures("painted_perceiver")


def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The warnings of the console; all of them are in the page as well."""
    lines = capsys.readouterr().err.splitlines()
    page = html.unescape((folder / "report.html").read_text())
    warnings = [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]
    assert all(f"<p>{text}</p>" in page for text in warnings)
    return warnings


def run(*arguments: object) -> int:
    return main([*map(str, arguments), "--quiet"])


def test_frames_that_cannot_be_read_are_counted_with_their_reasons(tmp_path, capsys):
    messages = entries(6)
    for stamp in range(START + 10**9, START + 10**9 + 3):
        broken = TYPES.types[COMPRESSED](header(stamp), "jpeg", np.zeros(9, np.uint8))
        messages.append((COMPRESSED_TOPIC, stamp, COMPRESSED, broken))
    bag = write_bag(tmp_path / "bag", messages)
    assert run(bag, "--out", tmp_path / "out") == 0
    (note,) = told(tmp_path / "out", capsys)
    assert note.startswith("3 of 9 frames could not be read and are not scored: cannot decode")
    assert note.endswith("(3: frame 6, frame 7, frame 8)")
    assert main(["report", str(tmp_path / "out"), "--no-bag"]) == 0
    assert told(tmp_path / "out", capsys) == [note]


def test_pictures_are_named_beside_the_reason_that_they_share(tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(4):
        (folder / f"{n}.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "good.png"), cv2.cvtColor(paint(heads_of(0)), cv2.COLOR_RGB2BGR))
    assert run(folder, "--out", tmp_path / "out") == 0
    (note,) = told(tmp_path / "out", capsys)
    assert note.startswith("4 of 5 frames could not be read")
    assert note.endswith(" (4: 0.jpg, 1.jpg, 2.jpg, ...)") and str(folder) not in note


def test_of_many_reasons_the_first_are_told():
    reasons = [{"text": f"r{n}", "frames": 2, "such_as": [f"f{n}"]} for n in range(8)]
    frames = {"unreadable": 16, "perceived": 4, "reasons": reasons}
    (note,) = of_run({"run": {"notes": []}, "frames": frames, "truth": None})
    assert "16 of 20 frames" in note
    assert note.endswith("r4 (2: f4, ...); and 6 more") and "r5" not in note


def test_a_run_that_read_nothing_is_an_error(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert run(tmp_path / "a.jpg", "--out", tmp_path / "out") == 1
    assert "error: none of the 1 frames could be read: " in capsys.readouterr().err


def test_what_is_amiss_with_bag_truth_and_answers_is_told_once_each(tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", entries(6, info=False))
    (bag / "metadata.yaml").unlink()
    rows = truth_rows(6)
    rows[0]["heads"][0]["yaw"] = 999
    (tmp_path / "truth.json").write_text(json.dumps(rows))
    live = write_bag(tmp_path / "live", answers(6))
    (live / "metadata.yaml").write_text("")
    given = (bag, "--truth", tmp_path / "truth.json", "--answers", live)
    assert run(*given, "--out", tmp_path / "out") == 0
    bag_note, no_info, live_note, truth_note = told(tmp_path / "out", capsys)
    assert bag_note.startswith("bag: metadata.yaml is missing")
    assert no_info.startswith("bag: no camera_info")
    assert live_note.startswith("live: metadata.yaml cannot be used (it is empty)")
    assert truth_note.startswith("truth.json: 1 of 12 heads without a pose")
