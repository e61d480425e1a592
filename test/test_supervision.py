# SPDX-License-Identifier: Apache-2.0
"""Heads and people as supervision's Detections."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, Heads, to_supervision
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.people.tracking import Ids

ANGLE = st.floats(-80, 80)
HEAD = st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(5, 90), ANGLE, st.floats(0, 1))


def estimate(x: float, y: float, side: float, yaw: float, score: float) -> HeadEstimate:
    rotation = rotation_from_angles(yaw, 5.0, -3.0)
    return HeadEstimate((x, y, x + side, y + side), yaw, 5.0, -3.0, rotation, score)


@given(st.lists(HEAD, max_size=5))
def test_every_head_is_a_detection(values: list[tuple[float, ...]]) -> None:
    supervision = pytest.importorskip("supervision", reason="needs requirements-test.txt")
    heads = Heads(estimate(*row) for row in values)
    found = heads.to_supervision()
    assert isinstance(found, supervision.Detections) and len(found) == len(heads)
    assert found.xyxy.shape == (len(heads), 4) and found.tracker_id is None
    for index, head in enumerate(heads):
        assert found.xyxy[index] == pytest.approx(head.box, abs=1e-3)
        assert found.confidence[index] == pytest.approx(head.score)
        angles = [found.data[name][index] for name in ("yaw", "pitch", "roll")]
        assert angles == [head.yaw, head.pitch, head.roll]
    sure = found[found.confidence >= 0.5]  # as supervision's users filter
    assert list(sure.data["yaw"]) == [h.yaw for h in heads if np.float32(h.score) >= 0.5]
    assert set(sure.data["class_name"]) <= {"head"}


def test_people_bring_their_numbers() -> None:
    pytest.importorskip("supervision", reason="needs requirements-test.txt")
    ids = Ids()
    ids.prefix = "r2"
    people = People(ids)
    two = [estimate(10, 10, 50, 20.0, 0.9), estimate(200, 10, 50, -20.0, 0.9)]
    view = View((320, 240))
    tracked = [people.see(10**9 + k * 10**8, two, view) for k in range(6)]
    found = to_supervision(tracked[-1])
    assert [p.head.id for p in tracked[-1]] == ["r2_h0001", "r2_h0002"]
    assert found.tracker_id.tolist() == [1, 2]
    assert found.data["yaw"] == pytest.approx([20.0, -20.0], abs=1.0)
    people.tracking = False
    assert to_supervision(people.see(10**10, two, view)).tracker_id.tolist() == [-1, -1]


def test_without_supervision_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match="pip install supervision"):
        Heads().to_supervision()
