# SPDX-License-Identifier: Apache-2.0
"""Rerun recordings of replay and predict, read back with rerun itself."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from painted import Load, Painted, heads_of, paint

from hpe_vlm_ros import __main__ as shell
from hpe_vlm_ros.drawing import NOSE_COLOUR
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.recordings.rerun_file import axes
from hpe_vlm_ros.replay import work
from hpe_vlm_ros.replay.__main__ import main

FRAMES = 12


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows by entity: what was logged, and `image` and `image_time` where it was."""
    chunk = pytest.importorskip("rerun.chunk", reason="needs requirements-test.txt")
    found: dict[str, list[dict[str, Any]]] = {}
    for part in chunk.RrdReader(path).stream():
        rows = part.to_record_batch().to_pylist()
        found.setdefault(str(part.entity_path), []).extend(rows)
    return {
        entity: sorted(rows, key=lambda r: r.get("image") or 0) for entity, rows in found.items()
    }


@pytest.fixture(autouse=True)
def painted_perceiver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "Loader", lambda *_: Load())
    monkeypatch.setattr(HeadPerceiver, "load", lambda *_, **__: Painted())


def test_replay_writes_angles_of_people_on_the_images_time(bag: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "run", tmp_path / "a.rrd"
    options = ["--frames", str(FRAMES), "--track", "--no-bag", "--quiet", "--rerun", str(file)]
    assert main([str(bag), "--out", str(out), *options]) == 0
    found = read(file)
    assert "/camera/image" not in found  # nobody is shown without --save-images
    table = list(csv.DictReader((out / "heads.csv").open()))
    for id in {row["id"] for row in table if row["id"]}:
        rows = [row for row in table if row["id"] == id]
        for angle in ("yaw", "pitch", "roll"):
            told = found[f"/camera/people/{id}/{angle}"]
            assert [r["image"] for r in told] == [int(row["frame"]) for row in rows]
            values = [r["Scalars:scalars"][0] for r in told]
            assert values == pytest.approx([float(row[angle]) for row in rows], abs=1e-3)
            seconds = [f"{r['image_time'].value / 1e9:.3f}" for r in told]
            assert seconds == [f"{float(row['stamp']):.3f}" for row in rows]
    boxes = found["/camera/image/boxes"]
    assert len(boxes) == FRAMES
    first = [row for row in table if row["frame"] == "0"]
    half = [
        [(float(r["x1"]) - float(r["x0"])) / 2, (float(r["y1"]) - float(r["y0"])) / 2]
        for r in first
    ]
    assert np.allclose(boxes[0]["Boxes2D:half_sizes"], half)


def test_images_are_written_where_they_may_be(bag: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.rrd"
    options = ["--frames", "3", "--no-bag", "--quiet", "--save-images", "--rerun", str(file)]
    assert main([str(bag), "--out", str(tmp_path / "run"), *options]) == 0
    images = read(file)["/camera/image"]
    assert [row["image"] for row in images] == [0, 1, 2]
    blob = np.asarray(images[1]["EncodedImage:blob"][0], np.uint8)
    rgb = cv2.cvtColor(cv2.imdecode(blob, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(rgb.astype(int) - paint(heads_of(1))).mean() < 5


def test_predict_writes_image_boxes_and_axes(tmp_path: Path, capsys) -> None:
    for number in (0, 6):  # the second shows nobody
        bgr = cv2.cvtColor(paint(heads_of(number)), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(tmp_path / f"{number}.png"), bgr)
    images = [str(tmp_path / "0.png"), str(tmp_path / "6.png")]
    assert shell.main(["predict", *images, "--rerun", str(tmp_path / "p.rrd")]) == 0
    heads = json.loads(capsys.readouterr().out.splitlines()[0])["heads"]
    found = read(tmp_path / "p.rrd")
    assert [row["image"] for row in found["/camera/image"]] == [0, 1]
    yaws = [found[f"/camera/people/{n}/yaw"][0]["Scalars:scalars"][0] for n in (1, 2)]
    assert yaws == pytest.approx([head["yaw"] for head in heads], abs=0.1)
    assert "image_time" not in found["/camera/image"][0]  # files have no stamps
    assert [len(row["Arrows2D:vectors"]) for row in found["/camera/image/axes"]] == [6, 0]
    assert found["/camera/people/2"][0]["Clear:is_recursive"] == [True]  # gone in the second


def test_axes_are_those_of_the_drawing() -> None:
    """A head that looks to the image's left by 90 degrees: its nose points to -x."""
    painted = Painted()(paint([(20, 20, 60, 70, 90, 0)]))
    starts, vectors, colours = axes(painted)
    nose = colours.index(NOSE_COLOUR)
    assert np.allclose(starts, [40, 45])
    assert np.allclose(vectors[nose], [-0.5 * 50 * 1.7, 0], atol=1e-6)


def test_bad_requests_say_what_to_do(
    bag: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = [str(bag), "--out", str(tmp_path / "run"), "--rerun"]
    assert main([*run, str(tmp_path / "a.mp4")]) == 1
    assert "a.mp4: a file for the Rerun viewer is called .rrd" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert main([*run, str(tmp_path / "a.rrd")]) == 1
    assert "pip install rerun-sdk" in capsys.readouterr().err
    assert shell.main(["predict", "a.png", "--rerun", "a.rrd"]) == 1
    assert "pip install rerun-sdk" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
