# SPDX-License-Identifier: Apache-2.0
"""Peers on photographs: what each adapter makes of faces, and the rows of the table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.peers import __main__ as peers
from benchmarks.peers import contenders as peers_contenders
from benchmarks.peers import photos as peers_photos
from hpe_vlm_ros.geometry import angles_from_rotation, geodesic_degrees, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from training.data.readers.landmarks import HEAD_AXES
from training.evaluation import photo_measures as measures
from training.labelling.faces import FIVE_POINTS, SIZES_AWAY, Face

SIZE = (240, 320)  # height, width
IMAGE = np.full((*SIZE, 3), 128, np.uint8)
LEFT, RIGHT = (0, 0, 160, 240), (160, 0, 320, 240)
HEAD, OTHER, SIDE = (40, 30, 100, 110), (150, 20, 210, 100), (230, 60, 300, 150)


def face(turn: np.ndarray, middle: tuple[float, float] = (240, 90), size: float = 60) -> Face:
    """YuNet's answer about a head that is turned so relative to the ray it is seen along."""
    away = SIZES_AWAY * 14  # centimetres: faces are about 14 wide and high
    points = FIVE_POINTS @ HEAD_AXES @ turn.T + [0, 0, away]
    projected = points[:, :2] / points[:, 2:] * SIZES_AWAY * size
    centre = np.array(middle)
    box = np.concatenate([centre - size / 2, centre + size / 2])
    return Face(box, centre + projected - projected.mean(axis=0), 0.8)


def relative(head: HeadEstimate) -> np.ndarray:
    found = measures.relative_angles(head, SIZE)
    assert found is not None
    return found


def test_rotations_are_put_on_the_ray_that_measures_take_off_again() -> None:
    angles = np.array([[30.0, -10, 5], [-170, 20, 0]])
    boxes = np.array([HEAD, SIDE], dtype=float)
    turns = rotation_from_angles(*angles.T)
    found = peers_contenders.estimates(boxes, turns, [0.5, 0.7], SIZE)
    assert [h.box for h in found] == [HEAD, SIDE] and [h.score for h in found] == [0.5, 0.7]
    assert np.array([relative(h) for h in found]) == pytest.approx(angles, abs=1e-6)
    for head, turn in zip(found, turns, strict=True):  # the camera's frame is another one
        assert (head.yaw, head.pitch, head.roll) == pytest.approx(
            angles_from_rotation(head.rotation)
        )
        assert geodesic_degrees(head.rotation, turn) > 5
    assert peers_contenders.estimates(np.zeros((0, 4)), [], [], SIZE) == []


def test_faces_grow_to_heads_and_are_posed_within_the_picture() -> None:
    at_border = face(np.eye(3), middle=(290, 20))
    asked: list[np.ndarray] = []

    def pose(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        asked.append(boxes)
        return rotation_from_angles(*np.tile([[20.0], [5], [-8]], len(boxes)))

    peer = peers_contenders.detector_and_regressor(
        lambda image: peers_contenders.head_boxes([at_border]), pose
    )
    (head,), ms = peer(Path("unused"), IMAGE)
    assert at_border.head_box()[1] < 0 and at_border.head_box()[2] > SIZE[1]
    assert head.box == tuple(np.clip(at_border.head_box(), 0, [320, 240, 320, 240]))
    assert asked[0].tolist() == [list(head.box)]
    assert head.score == 0.8 and relative(head) == pytest.approx([20, 5, -8], abs=1e-6)
    assert ms >= 0
    nobody = peers_contenders.detector_and_regressor(
        lambda image: peers_contenders.head_boxes([]), pose
    )
    assert nobody(Path("unused"), IMAGE)[0] == []


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, -10, 5), (-40, 15, -20)])
def test_five_landmarks_tell_the_turn_relative_to_the_ray(angles: tuple[float, ...]) -> None:
    seen = face(rotation_from_angles(*angles))
    peer = peers_contenders.five_landmarks(lambda image: [seen])
    (head,), _ = peer(Path("unused"), IMAGE)
    assert head.box == pytest.approx(seen.head_box()) and head.score == 0.8
    # the landmarks' mean stands on the ray, not the tip of the nose
    assert relative(head) == pytest.approx(angles, abs=1)


def answers(*heads: tuple[Any, float]) -> list[HeadEstimate]:
    """Boxes and yaws."""
    boxes = np.array([box for box, _ in heads], dtype=float).reshape(-1, 4)
    turns = [rotation_from_angles(yaw, 0.0, 0.0) for _, yaw in heads]
    return peers_contenders.estimates(boxes, turns, np.ones(len(heads)), SIZE)


def labelled(box: Any, facing: str, yaw: float | None = None) -> dict[str, Any]:
    known = {} if yaw is None else {"angles": [yaw, 0.0, 0.0], "spread": [2.0, 2.0, 2.0]}
    return {"box": list(box), "facing": facing, "source": "face" if known else "eye"} | known


LABELS = [
    {"image": "people/a.png", "width": 320, "height": 240, "whole": True, "ignore": [],
     "heads": [labelled(HEAD, "F", 0.0), labelled(OTHER, "FL", 40.0), labelled(SIDE, "B")]},
    {"image": "rooms/b.png", "width": 320, "height": 240, "whole": True, "heads": []},
]  # fmt: skip


def test_a_row_tells_views_and_the_faces_that_both_found_apart() -> None:
    said = [(answers((HEAD, 6.0), (OTHER, 40.0)), 8.0), (answers((OTHER, 0.0)), 2.0)]
    mine = [(answers((HEAD, 12.0), (SIDE, 180.0)), 30.0), ([], 20.0)]
    theirs, ours = (peers_photos.compare(LABELS, found, 320) for found in (said, mine))
    row = peers_photos.scored(theirs, [ms for _, ms in said], ours)
    assert (row["recall_face"], row["recall_profile"], row["recall_back"]) == (1.0, None, 0.0)
    assert row["recall"] == pytest.approx(2 / 3, abs=1e-4) and row["precision"] == 1.0
    assert row["false_per_empty"] == 1.0 and (row["ms"], row["ms_people"]) == (5.0, 8.0)
    assert row["faces"] == 2 and row["teacher_mae"] == pytest.approx(1.0)
    both = row["both"]
    assert both["theirs"]["faces"] == both["ours"]["faces"] == 1
    assert both["theirs"]["teacher_mae"] == pytest.approx(2.0)
    assert both["ours"]["teacher_mae"] == pytest.approx(4.0)
    own = peers_photos.scored(ours, [30.0, 20.0], ours)
    assert (own["recall_face"], own["recall_back"]) == (0.5, 1.0)
    text = peers_photos.table({"theirs": row, "absent": {"not_run": "give --yunet"}})
    assert "2.00 4.00" in text and "not run  give --yunet" in text


MESH = """
import sys, json
for line in sys.stdin:
    print(json.dumps({"ms": 5.0, "faces": [FACE] if "people" in line else []}), flush=True)
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs, their labels, and judged photographs of which one is held out."""
    for name in ("people/a.png", "rooms/b.png", "people/judged.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), IMAGE)
    large = LABELS[0] | {"heads": [labelled(LEFT, "F", 0.0), labelled(RIGHT, "B")]}
    lines = "".join(json.dumps(row) + "\n" for row in (large, LABELS[1]))
    (tmp_path / "labels.jsonl").write_text(lines)
    base = {"width": 320, "height": 240, "whole": True}
    rows = [
        base | {"image": "judged.png", "heads": [labelled(LEFT, "F", 0.0), labelled(RIGHT, "B")]},
        base | {"image": "held_out.png", "heads": [labelled(HEAD, "F", 0.0)]},
        base | {"image": "no_pose.png", "heads": [labelled(HEAD, "F")]},
    ]
    (tmp_path / "judged").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "judged" / "set.jsonl").write_text(lines)
    (tmp_path / "held_out.txt").write_text("held_out.png\n")
    monkeypatch.setattr(peers_photos, "JUDGED", tmp_path / "judged")
    monkeypatch.setattr(peers_photos, "JUDGED_BELOW", "people")
    monkeypatch.setattr(peers_photos, "HELD_OUT", tmp_path / "held_out.txt")
    return tmp_path


def test_peers_are_fitted_on_judged_photographs_outside_the_test_set(photos: Path) -> None:
    (sample,) = peers_photos.fit_samples(photos, 10)
    assert sample.image_path == photos / "people" / "judged.png"
    known, unknown = sample.heads
    assert known.rotation is not None and unknown.rotation is None
    (estimate,) = answers((LEFT, 0.0))
    assert known.rotation == pytest.approx(estimate.rotation)
    (photos / "people" / "judged.png").unlink()
    with pytest.raises(FileNotFoundError, match="judged.png"):
        peers_photos.fit_samples(photos, 10)


def test_a_run_on_photographs_alone(
    photos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    points = [[50.0, 50, 0], [90, 50, 3], [70, 75, -4], [70, 90, 9]]
    (photos / "face_mesh.py").write_text(MESH.replace("FACE", repr(points)))
    monkeypatch.setattr(peers_contenders, "__file__", str(photos / "contenders.py"))
    options = ["--images", "0", "--photos", str(photos), "--model", str(tiny_model)]
    options += ["--photo-labels", str(photos / "labels.jsonl"), "--mediapipe", sys.executable]
    assert peers.main(options) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    part = result["photos"]
    assert "rows" not in result and (part["pictures"], part["empty"]) == (2, 1)
    assert part["heads"] == {"face": 1, "profile": 0, "back": 1}
    assert part["rows"]["ours"]["heads"] == 2
    mesh = part["rows"]["mediapipe face mesh"]
    # the landmarks lie as on the photograph that was fitted on, so box and pose are exact
    assert (mesh["recall_face"], mesh["recall_back"], mesh["precision"]) == (1.0, 0.0, 1.0)
    assert mesh["teacher_mae"] == pytest.approx(0, abs=0.01) and mesh["ms"] >= 5
    assert part["rows"]["YuNet + WHENet"]["not_run"] == "give --yunet"
    (photos / "labels.jsonl").write_text("")
    with pytest.raises(ValueError, match="no labels of photographs"):
        peers.main(options)


@pytest.mark.parametrize("wrong", [["--images", "0"], ["--photo-every", "0"]])
def test_wrong_numbers_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        peers.main(wrong)
