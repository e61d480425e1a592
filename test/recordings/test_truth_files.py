# SPDX-License-Identifier: Apache-2.0
"""Ground truth as people's files have it: labels that mean "none", spreadsheets, radians."""

from __future__ import annotations

import json
import logging
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted import entries, opened, write_bag

from hpe_vlm_ros.evaluation.measures import totals
from hpe_vlm_ros.evaluation.metrics import Rules
from hpe_vlm_ros.evaluation.scored import scored
from hpe_vlm_ros.evaluation.summary import Scoring, summary
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.labels import labelled_angles, look_like_radians
from hpe_vlm_ros.recordings.folders import Pictures
from hpe_vlm_ros.recordings.frames import FrameInfo, ReplayError
from hpe_vlm_ros.recordings.records import FrameRecord, Head, rounded
from hpe_vlm_ros.recordings.truth import Entry, Truth, match
from hpe_vlm_ros.recordings.truth_files import read_truth
from hpe_vlm_ros.replay.results import Wanted, find_truth
from hpe_vlm_ros.replay.truth_store import keep_labels, read_labels
from training.data.readers.common import Report
from training.data.readers.directmhp import read_directmhp

GOOD = [5.0, -30.0, 3.0]  # pitch, yaw, roll
BOX = [10.0, 20.0, 30.0, 40.0]
NONE = [
    [999, 999, 999], [-999, -999, -999], [0, 999, 0], [95, 0, 0], [0, 0, -90], [0, 180.5, 0],
    [math.nan] * 3, [0, math.inf, 0], [], [1, 2], [1, 2, 3, 4], None, "unknown", ["a", "b", "c"],
]  # fmt: skip
"""Triples that stand for no pose."""
NO_BOX = [
    [10, 20, 0, 40],
    [10, 20, -5, 40],
    [math.nan] * 4,
    [1, 2, 3],
    None,
    "none",
    [10, 20, 1e400, 4],
]


def coco(folder: Path, heads: list[tuple[object, object]]) -> Path:
    """A file of two pictures; the heads are of the first."""
    notes = [
        {"id": 70 + n, "image_id": 1, "bbox": box, "euler_angles": triple}
        for n, (box, triple) in enumerate(heads)
    ]
    images = [{"id": n, "file_name": f"{n}.png", "width": 80, "height": 90} for n in (1, 2)]
    path = folder / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": notes}))
    return path


@pytest.mark.parametrize("triple", NONE)
def test_a_head_without_a_pose_is_named_and_keeps_its_box(tmp_path, triple):
    path = coco(tmp_path, [(BOX, GOOD), (BOX, triple)])
    (first, second), (note,) = read_truth(path)
    known, unknown = first.heads
    assert known.angles == (-30, 5, 3) and second.heads == ()
    assert unknown.box == known.box == (10, 20, 40, 60)
    assert unknown.rotation == () and unknown.yaw is None
    assert note.startswith("coco.json: 1 of 2 heads without a pose") and "annotation 71" in note


@pytest.mark.parametrize("box", NO_BOX)
def test_a_head_without_a_box_is_named_and_left_out(tmp_path, box):
    (first, second), (note,) = read_truth(coco(tmp_path, [(box, GOOD), (BOX, GOOD)]))
    assert len(first.heads) == 1 and first.in_part and not second.in_part
    assert note.startswith("coco.json: 1 of 2 heads left out") and "annotation 70" in note


@pytest.mark.parametrize("note", [7, None, [], {}, {"image_id": [1], "bbox": BOX}, {"id": 3}])
def test_an_annotation_of_no_kind_is_counted(tmp_path, note):
    path = coco(tmp_path, [(BOX, GOOD)])
    content = json.loads(path.read_text())
    content["annotations"].append(note)
    content["annotations"].append({"id": 5, "image_id": 99, "bbox": BOX, "euler_angles": GOOD})
    path.write_text(json.dumps(content))
    (first, _), notes = read_truth(path)
    assert len(first.heads) == 1
    assert "left out" in notes[0] and "1 annotations are of images that it does not" in notes[1]


def test_a_file_of_which_nothing_can_be_used_is_refused(tmp_path):
    with pytest.raises(ReplayError, match="annotation 71: box|annotation 70: yaw 999"):
        read_truth(coco(tmp_path, [(BOX, [999] * 3), (NO_BOX[0], GOOD)]))


angle = st.one_of(st.floats(-200, 200), st.sampled_from([999.0, -999.0, math.nan, 90.0, -180.0]))


@given(st.lists(st.tuples(angle, angle, angle), min_size=1, max_size=5))
def test_training_and_replay_take_the_same_triples(tmp_path_factory, triples):
    folder = tmp_path_factory.mktemp("both")
    path = coco(folder, [(BOX, GOOD), *((BOX, list(triple)) for triple in triples)])
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(folder / name), np.zeros((90, 80, 3), np.uint8))
    (sample,) = read_directmhp(path, folder)
    first = read_truth(path)[0][0]
    mine = [head.matrix for head in first.heads if head.rotation]
    assert len(mine) == len(sample.heads)
    for ours, theirs in zip(mine, sample.heads, strict=True):
        np.testing.assert_allclose(ours, theirs.rotation, atol=1e-6)


@given(angle, angle, angle)
def test_a_triple_is_valid_within_the_ranges_of_the_conventions(yaw, pitch, roll):
    valid = -180 <= yaw <= 180 and -90 < pitch < 90 and -90 < roll < 90
    if valid:
        assert labelled_angles(yaw, pitch, roll) == (yaw, pitch, roll)
    else:
        with pytest.raises(ValueError, match="degrees"):
            labelled_angles(yaw, pitch, roll)


def test_radians_are_asked_about_in_both_readers(tmp_path, caplog):
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((90, 80, 3), np.uint8))
    path = coco(tmp_path, [(BOX, np.radians(GOOD).tolist()), (BOX, [0.2, 3.1, -0.4])])
    assert any("give them in degrees" in note for note in read_truth(path)[1])
    report = Report()
    with caplog.at_level(logging.WARNING):
        read_directmhp(path, tmp_path, report)
    assert "give degrees" in str(report) and "give degrees" in caplog.text
    coco(tmp_path, [(BOX, np.radians(GOOD).tolist()), (BOX, [0.2, 3.2, -0.4])])
    assert read_truth(path)[1] == []


@given(st.lists(st.tuples(*[st.floats(-math.pi, math.pi)] * 3), max_size=4))
def test_what_looks_like_radians(triples):
    assert look_like_radians(triples) == any(a for triple in triples for a in triple)
    assert not look_like_radians([*triples, (3.2, 0, 0)])


def head(x: float, yaw: float | None, **fields: object) -> Head:
    rotation = () if yaw is None else rounded(rotation_from_angles(yaw, 0, 0), 9)
    angles = (None, None, None) if yaw is None else (yaw, 0.0, 0.0)
    return Head((x, 10.0, x + 40, 50.0), *angles, rotation, **fields)


def test_a_head_of_unknown_pose_counts_for_recall_and_precision_only(tmp_path):
    """20 degrees off on one head; the answer about the other one tells nothing."""
    record = FrameRecord(
        "r", 0, 10**9, 10**9, "", "f", 200, 100,
        (head(0, 30.0, covariance=(0.1, 0, 0, 0, 0.1, 0, 0, 0, 0.1)), head(100, 170.0)),
    )  # fmt: skip
    truth = Truth({("r", 0): (head(0, 50.0), head(100, None, visible=0.9))})
    table = scored([record], truth, 200, Rules(min_size=10))
    found = {name: m.estimates(np.ones((1, 1)))[0] for name, m in totals(table, 15).items()}
    assert found["recall"] == found["precision"] == 1
    assert found["mae_yaw"] == pytest.approx(20) and found["geodesic_mean"] == pytest.approx(20)
    assert found["geodesic_median"] == found["geodesic_p90"] == pytest.approx(20)
    run = {"recordings": [{"id": "r", "sequence": False}], "input_size": 200}
    report = summary([record], truth, run, Scoring(rules=Rules(min_size=10)))
    json.dumps(report, allow_nan=False)
    assert len(report["worst"]) == 1 and report["truth"]["without_pose"] == 1
    keep_labels(tmp_path, truth)
    assert read_labels(tmp_path).heads == truth.heads  # equal, so that runs can be compared


def test_an_answer_about_a_head_that_could_not_be_read_is_no_false_alarm(tmp_path):
    record = FrameRecord(
        "r", 0, 1, 1, "", "f", 200, 100, (head(0, 30.0), head(100, 170.0))
    )  # fmt: skip
    for in_part, precision in ((False, 0.5), (True, 1.0)):
        truth = Truth({("r", 0): (head(0, 30.0),)}, (), frozenset({("r", 0)} if in_part else ()))
        keep_labels(tmp_path, truth)
        assert read_labels(tmp_path) == truth
        table = scored([record], truth, 200, Rules(min_size=10))
        assert totals(table, 15)["precision"].estimates(np.ones((1, 1)))[0] == precision


ROWS = [
    "image,x0,y0,x1,y1,yaw,pitch,roll",
    "a.png,1.5,2,33,44,-30,5,3",
    "b.png,1,2,33,44,120.25,-5,0",
]


def csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "truth.csv"
    path.write_bytes(text.encode(encoding))
    return path


SPREADSHEETS = {
    "as it should be": ("\n".join(ROWS), "utf-8"),
    "semicolons": ("\n".join(ROWS).replace(",", ";"), "utf-8"),
    "semicolons and decimal commas": (
        "\n".join(ROWS).replace(",", ";").replace("1.5", "1,5").replace("120.25", "120,25"),
        "utf-8",
    ),
    "tabs": ("\n".join(ROWS).replace(",", "\t"), "utf-8"),
    "spaces": ("\n".join(ROWS).replace(",", " , "), "utf-8"),
    "capitals": ("\n".join([ROWS[0].upper(), *ROWS[1:]]), "utf-8"),
    "quotes": ("\n".join('"' + row.replace(",", '","') + '"' for row in ROWS), "utf-8"),
    "byte order mark": ("\r\n".join(ROWS), "utf-8-sig"),
    "UTF-16": ("\r\n".join(ROWS), "utf-16"),
    "blank lines": ("\n\n".join(ROWS) + "\n,,,,,,,\n", "utf-8"),
    "Windows' paths": ("\n".join(ROWS).replace("\na.", "\nC:\\data\\a."), "utf-8"),
    "paths": ("\n".join(ROWS).replace("\na.", "\n./x/a."), "utf-8"),
}


@pytest.mark.parametrize("name", SPREADSHEETS)
def test_tables_as_spreadsheets_write_them(tmp_path, name):
    folder = Pictures(
        "p", "p", tuple(FrameInfo(i, 0, i + 1, name=f"{n}.png") for i, n in enumerate("ab"))
    )
    truth = find_truth([folder], Wanted(truth=csv(tmp_path, *SPREADSHEETS[name])))
    assert truth.notes == ()
    first, second = (truth.heads["p", n][0] for n in range(2))
    assert first.box == (1.5, 2, 33, 44) and first.angles == (-30, 5, 3)
    assert second.angles == (120.25, -5, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,nan,nan,nan,nan,nan,nan,nan", "line 4: box.*must be four numbers"),
        ("a.png,1,2,33,44,999,999,999", "line 4: yaw 999"),
        ("a.png,1,2,33,44,,,", "line 4: 'yaw' is missing"),
        ("a.png,33,2,1,44,0,0,0", "line 4: box.*x0 < x1"),
    ],
)
def test_a_bad_row_is_named_and_costs_itself(tmp_path, row, said):
    read, (note,) = read_truth(csv(tmp_path, "\n".join([*ROWS, row])))
    assert sum(bool(h.rotation) for entry in read for h in entry.heads) == 2
    assert [entry.in_part for entry in read] == [False, False, "box" in said]
    assert re.search(said, note)


def test_places_and_shares_that_are_no_numbers(tmp_path):
    """A place of NaN is none; a share of NaN would let the head not count without a word."""
    header = f"{ROWS[0]},visible,x,y,z\n"
    rows = f"{ROWS[1]},0.5,nan,nan,nan\n{ROWS[1]},nan,0,0,1\n{ROWS[1]},1,0,0,1\n"
    read, (note,) = read_truth(csv(tmp_path, header + rows))
    assert [h.position for entry in read for h in entry.heads] == [None, (0, 0, 1)]
    assert "1 of 3 heads left out" in note and "line 3: visible nan must be a share" in note


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("3.0", 3), ("3e0", 3), ("3.5", None)])
def test_numbers_of_frames_may_be_written_as_tables_do(tmp_path, text, number):
    path = csv(tmp_path, f"frame,x0,y0,x1,y1,yaw,pitch,roll\n{text},1,2,33,44,0,9,0")
    if number is None:
        with pytest.raises(ReplayError, match="'3.5' is no whole number"):
            read_truth(path)
    else:
        assert read_truth(path)[0][0].number == number


def test_frames_that_are_counted_from_one_are_asked_about(tmp_path):
    recording = opened(write_bag(tmp_path / "bag", entries(4)))
    truth = match([Entry((), number=n) for n in range(1, 5)], [recording], "x.csv")
    assert "count frames from 1" in truth.notes[1]
    truth = match([Entry((), number=n) for n in range(4)], [recording], "x.csv")
    assert truth.notes == ()
