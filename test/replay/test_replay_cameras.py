# SPDX-License-Identifier: Apache-2.0
"""Calibrations of every kind in a bag, and cameras that are mounted sideways."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from painted import (
    CAMERA_INFO,
    COMPRESSED,
    HEIGHT,
    START,
    STEP,
    TYPES,
    WIDTH,
    Load,
    camera_info,
    heads_of,
    paint,
    png,
    write_bag,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from hpe_vlm_ros.recordings.sources import open_sources
from hpe_vlm_ros.replay import __main__ as command
from hpe_vlm_ros.replay import work
from hpe_vlm_ros.replay.postprocessing import postprocess


def with_info(folder, topic="/cam/image/compressed", turned=0, count=3, **fields):
    """A bag of a camera whose camera_info has these fields."""
    roi = TYPES.types["sensor_msgs/msg/RegionOfInterest"]
    if "roi" in fields:
        fields["roi"] = roi(*fields["roi"], False)
    info = replace(camera_info(START, 80.0), **fields)
    messages: list[tuple[str, int, str, Any]] = [("/cam/camera_info", START, CAMERA_INFO, info)]
    for number in range(count):
        stamp = START + number * STEP
        image = np.ascontiguousarray(np.rot90(paint(heads_of(number)), turned // 90))
        messages.append((topic, stamp + 1000, COMPRESSED, png(image, stamp)))
    return write_bag(folder, messages)


@pytest.fixture
def placed_heads(perceive):
    """All heads of a bag as they are reported, and notes about them."""

    def run(bag, **settings):
        store = perceive(bag, out=f"{bag.name}_run", **settings)
        records, notes = postprocess(store.records(), store.details(), 15.0, False)
        return [head for record in records for head in record.heads], notes

    return run


def numbers(heads, *names):
    """Positions, boxes or angles of heads, NaN where there is none."""
    rows = ([getattr(head, name) for name in names] for head in heads)
    flat = (np.ravel(np.array(row, dtype=float)) for row in rows)
    return np.stack(list(flat))


K = np.array([160.0, 0, 240, 0, 160, 220, 0, 0, 1])  # twice as fine, 80 and 100 pixels cut off


def test_what_camera_info_says_of_the_picture_changes_no_result(placed_heads, tmp_path):
    plain, _ = placed_heads(with_info(tmp_path / "plain"))
    assert np.isfinite(numbers(plain, "position")).all()
    p = np.array([80.0, 0, 80, -9.0, 0, 80, 60, 0, 0, 0, 1, 0])
    same = {
        "cut": {"k": K, "binning_x": 2, "binning_y": 2, "roi": (80, 100, 240, 320)},
        "cut_as_published": {
            "k": K,
            "binning_x": 2,
            "binning_y": 2,
            "roi": (80, 100, HEIGHT, WIDTH),
        },
        "shrunk": {
            "width": 2 * WIDTH,
            "height": 2 * HEIGHT,
            "k": np.array([160.0, 0, 160, 0, 160, 120, 0, 0, 1]),
        },
        "only_p": {"k": np.zeros(9), "p": p},
        "rectified": {
            "k": np.array([61.0, 0, 80, 0, 61, 60, 0, 0, 1]),
            "d": np.array([-0.3, 0.1, 0, 0, 0]),
            "p": p,
            "topic": "/cam/image_rect/compressed",
        },
    }
    for name, fields in same.items():
        rows, notes = placed_heads(with_info(tmp_path / name, **fields))
        for field in ("position", "rotation", "box"):
            np.testing.assert_allclose(numbers(rows, field), numbers(plain, field), atol=1e-4)
        assert not notes, name
    said, _ = placed_heads(
        with_info(tmp_path / "said", **same["rectified"] | {"topic": "/cam/image/compressed"}),
        rectified="true",
    )
    np.testing.assert_allclose(numbers(said, "position"), numbers(plain, "position"), atol=1e-4)


def test_a_lens_is_undone(placed_heads, tmp_path):
    plain, _ = placed_heads(with_info(tmp_path / "plain"))
    bent, _ = placed_heads(
        with_info(tmp_path / "bent", distortion_model="equidistant", d=np.zeros(4))
    )
    # 50 pixels to the left are atan(50 / 80) = 32.0 degrees, or 50 / 80 rad = 35.8 of a fisheye
    turned = numbers(bent, "yaw") - numbers(plain, "yaw")
    assert turned[0] == pytest.approx(32.0 - 35.8, abs=0.6)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"k": np.zeros(9)}, "camera_info has focal lengths 0 and 0"),
        ({"width": 100, "height": 100}, "camera_info is for 100x100 pixels, the image has 160x120"),
        ({"distortion_model": "omni", "d": np.ones(2)}, "'omni' with 2 coefficients"),
    ],
)
def test_camera_info_that_is_amiss_is_said(fields, words, tmp_path, monkeypatch, capsys):
    bag = with_info(tmp_path / "bag", **fields)
    monkeypatch.setattr(work, "Loader", lambda *_: Load())
    assert command.main([str(bag), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    output = [s for s in capsys.readouterr().err.splitlines() if s.startswith("warning")]
    before, after = output  # of the work
    assert before.startswith("warning: bag: camera_info") and words in before
    assert after.startswith("warning: bag: 3 frames: camera_info") and words in after
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert len(report["run"]["notes"]) == 1 and words in report["run"]["notes"][0]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert words.replace("'", "&#39;") in page


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_camera_that_is_mounted_otherwise(degrees, placed_heads, tmp_path, perceive):
    """The same people in the same places, but for the frame, which lies on its side."""
    plain, _ = placed_heads(with_info(tmp_path / "plain"))
    size = {} if degrees == 180 else {"width": HEIGHT, "height": WIDTH}
    middle = (80, 60) if degrees == 180 else (60, 80)
    k = np.array([80.0, 0, middle[0], 0, 80, middle[1], 0, 0, 1])
    bag = with_info(tmp_path / "turned", turned=degrees, k=k, **size)
    rows, _ = placed_heads(bag, rotate=degrees)
    assert len(rows) == len(plain)
    turn = {90: [[0, 1], [-1, 0]], 180: [[-1, 0], [0, -1]], 270: [[0, -1], [1, 0]]}[degrees]
    expected = numbers(plain, "position")
    expected[:, :2] = expected[:, :2] @ np.transpose(turn)
    by_place = [np.lexsort(np.round(v, 3).T) for v in (expected, numbers(rows, "position"))]
    found = numbers(rows, "position")[by_place[1]]
    np.testing.assert_allclose(found, expected[by_place[0]], atol=1e-4)
    record = next(iter(perceive(bag, out="boxes", rotate=degrees).records()))
    width, height = (WIDTH, HEIGHT) if degrees == 180 else (HEIGHT, WIDTH)
    assert (record.width, record.height) == (width, height)
    boxes = numbers(rows, "box")
    assert (boxes >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    image = cv2.cvtColor(np.rot90(paint(heads_of(0)), degrees // 90).copy(), cv2.COLOR_RGB2HSV)
    for x0, y0, x1, y1 in boxes[:2].astype(int):
        assert len(np.unique(image[y0:y1, x0:x1].reshape(-1, 3), axis=0)) == 1


def test_the_command_line_names_both(tmp_path, monkeypatch):
    bag = with_info(tmp_path / "bag")
    monkeypatch.setattr(work, "Loader", lambda *_: Load())
    given = [str(bag), "--out", str(tmp_path / "run"), "--quiet", "--no-bag"]
    assert command.main([*given, "--rotate", "180", "--rectified", "false"]) == 0
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert run["settings"]["rotate"] == 180 and run["settings"]["rectified"] == "false"
    with pytest.raises(SystemExit):
        command.main([*given, "--rotate", "45"])


def test_a_camera_info_that_cannot_be_read_is_said(tmp_path):
    bag = tmp_path / "bag"
    with Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in (("/cam/camera_info", CAMERA_INFO), ("/cam/image", COMPRESSED)):
            connection = writer.add_connection(topic, kind, typestore=TYPES)
            image = TYPES.serialize_cdr(png(paint(heads_of(0)), START), COMPRESSED)
            writer.write(connection, START, image if kind == COMPRESSED else image[:40])
    (recording,) = open_sources([str(bag)])
    assert recording.camera(recording.frames[0]) is None
    assert any("no camera_info on /cam/camera_info can be read" in n for n in recording.notes)
