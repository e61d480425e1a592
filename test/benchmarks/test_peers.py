# SPDX-License-Identifier: Apache-2.0
"""Peers on scenes: what boxes and landmarks of faces become, and rows that are not run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.peers import __main__ as peers
from benchmarks.peers import contenders as peers_contenders
from benchmarks.peers import scenes as peers_scenes
from benchmarks.peers.faces import Alignment, Growth, fit_growth, landmark_boxes, owners, within
from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import geodesic_degrees, rotation_from_angles
from training.data.sample import Head, Sample
from training.labelling.networks import whenet

RNG = np.random.default_rng(0)


def head(*box: float) -> Head:
    return Head(np.array(box), np.eye(3))


def test_faces_belong_to_the_nearest_head_around_them() -> None:
    near, far, elsewhere = head(0, 0, 40, 40), head(0, 0, 100, 100), head(200, 0, 240, 40)
    faces = np.array([[10, 10, 30, 30], [60, 60, 80, 80], [150, 0, 160, 10]], dtype=float)
    found = owners(faces, [far, near, elsewhere])
    assert [(i, h is near, h is far) for i, h in found] == [(0, True, False), (1, False, True)]


def test_boxes_grow_as_fitted() -> None:
    face, true = np.array([100.0, 100, 140, 150]), np.array([90.0, 60, 150, 160])
    grow = Growth.fit([(face, true), (face * 2, true * 2), (face, true * 5)])  # one outlier
    assert grow(face[None] * 3)[0] == pytest.approx(true * 3)
    nothing = Growth.fit([])
    assert nothing(face[None])[0] == pytest.approx(face)


def test_growth_is_learnt_through_a_detector(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((120, 160, 3), np.uint8))
    sample = Sample(tmp_path / "a.png", 160, 120, None, [head(30, 10, 90, 90)])
    faces = np.array([[40.0, 30, 80, 80]])
    assert fit_growth(lambda image: faces, [sample])(faces)[0] == pytest.approx([30, 10, 90, 90])


def test_alignment_finds_the_turn_whatever_the_place_and_size() -> None:
    shape = RNG.normal(size=(468, 3))
    turns = rotation_from_angles(*RNG.uniform(-60, 60, (3, 20)))

    def seen(turn: np.ndarray) -> np.ndarray:
        return RNG.uniform(20, 80) * shape @ turn.T + RNG.uniform(0, 500, 3)

    align = Alignment.fit([(seen(turn), turn) for turn in turns[:5]])
    found = np.stack([align(seen(turn)) for turn in turns[5:]])
    assert geodesic_degrees(found, turns[5:]).max() < 1e-4
    with pytest.raises(ValueError, match="no face was found"):
        Alignment.fit([])


def test_boxes_around_landmarks() -> None:
    faces = [[[3.0, 9.0, 1.0], [5.0, 4.0, 0.0]], [[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]]]
    assert landmark_boxes(faces).tolist() == [[3, 4, 5, 9], [1, 1, 2, 2]]
    assert landmark_boxes([]).shape == (0, 4)


def test_boxes_end_at_the_border() -> None:
    boxes = np.array([[-5.0, -9, 50, 130], [10, 20, 30, 40]])
    assert within(boxes, (120, 40)).tolist() == [[0, 0, 40, 120], [10, 20, 30, 40]]
    assert within(np.zeros((0, 4)), (120, 40)).shape == (0, 4)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Three grey scenes with a head each, seen from the front, the side and behind."""
    lines = []
    for i, yaw in enumerate((0.0, 90.0, 170.0)):
        name = f"{i}.png"
        cv2.imwrite(str(tmp_path / name), np.full((96, 128, 3), 128, np.uint8))
        turn = rotation_from_angles(yaw, 0.0, 0.0).tolist()
        heads = [{"box": [20, 10, 90, 90], "rotation": turn, "visible": 1.0}]
        record = {"image": name, "width": 128, "height": 96, "focal": 100.0, "heads": heads}
        lines.append(json.dumps(record))
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    return tmp_path


MESH = """
import sys, json
for line in sys.stdin:
    print(json.dumps({"ms": 5.0, "faces": FACES}), flush=True)
"""


def test_a_table_with_rows_that_ran_and_rows_that_say_why_not(
    scenes: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    points = (np.array([[40, 30, 0], [70, 30, 3], [55, 75, -4], [50, 50, 9]]) * 1.0).tolist()
    (tmp_path / "mesh.py").write_text(MESH.replace("FACES", repr([points])))
    monkeypatch.setattr(peers_contenders, "__file__", str(tmp_path / "contenders.py"))
    (tmp_path / "mesh.py").rename(tmp_path / "face_mesh.py")
    monkeypatch.setattr(whenet, "find_weights", lambda: tmp_path / "absent.h5")
    options = ["--images", "2", "--fit-images", "1", "--scenes", str(scenes)]
    options += ["--model", str(tiny_model), "--mediapipe", sys.executable]
    assert peers.main(options) == 0
    out = capsys.readouterr().out
    rows = json.loads(out.splitlines()[-1])["rows"]
    assert rows["ours"]["all"]["heads"] == 2
    mesh = rows["mediapipe face mesh"]
    assert mesh["all"]["recall"] == 1 and mesh["ms"] >= 5
    # the mean shape is that of one scene, so each other scene is off by the turn between them
    assert mesh["all"]["geodesic_median"] > 60
    assert mesh["both"]["heads"] <= 2
    assert "give --yunet" in rows["YuNet + WHENet"]["not_run"]
    assert "absent.h5" in rows["Haar + WHENet"]["not_run"]
    assert "not run  give --yunet" in out


def test_a_mesh_that_dies_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "face_mesh.py").write_text("raise ImportError('no mediapipe here')")
    monkeypatch.setattr(peers_contenders, "__file__", str(tmp_path / "contenders.py"))
    with pytest.raises(RuntimeError, match="no mediapipe here"):
        peers_contenders.mediapipe(sys.executable, [Sample(tmp_path / "a.png", 9, 9, None)])


def test_heads_that_both_found() -> None:
    def records(found: list[bool], errors: list[float]) -> metrics.Records:
        one, turn = np.ones(3), np.zeros(3)
        return metrics.Records(one, turn, np.array(found), np.ones((3, 3)), np.array(errors))

    theirs = records([True, True, False], [4.0, 8.0, np.nan])
    ours = records([False, True, True], [np.nan, 6.0, 90.0])
    assert peers_scenes.shared(theirs, ours) == {"heads": 1, "theirs": 8.0, "ours": 6.0}
    nothing = records([False] * 3, [np.nan] * 3)
    assert peers_scenes.shared(nothing, ours) == {"heads": 0, "theirs": None, "ours": None}


def test_haar_comes_with_opencv_and_finds_no_face_in_grey() -> None:
    from benchmarks.peers.faces import haar

    assert haar()(np.full((96, 128, 3), 128, np.uint8)).shape == (0, 4)
