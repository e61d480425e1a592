# SPDX-License-Identifier: Apache-2.0
"""Scores of cases small enough to work out by hand."""

import json
import math

import numpy as np
import pytest

from hpe_vlm_ros.boxes import match_boxes
from hpe_vlm_ros.evaluation.metrics import (
    Heads,
    Rules,
    by_size,
    by_yaw,
    end_to_end,
    format_table,
    given_boxes,
    heads,
    merge,
    score,
)
from hpe_vlm_ros.geometry import rotation_from_angles

Triple = tuple[float, float, float]


def square(x: float, y: float, side: float = 40) -> list[float]:
    return [x, y, x + side, y + side]


def some(
    boxes: list[list[float]], angles: list[Triple], visible: list[float] | None = None
) -> Heads:
    return heads(boxes, [rotation_from_angles(*a) for a in angles], visible=visible)


NONE = some([], [])


def test_matching_takes_the_best_pairs_and_each_box_once() -> None:
    true = [square(0, 0), square(100, 0)]
    predicted = [square(8, 0), square(2, 0), square(300, 0), square(101, 0)]
    assert match_boxes(predicted, true).tolist() == [[3, 1], [1, 0]]
    assert match_boxes(predicted, true, iou=0.93).tolist() == [[3, 1]]
    assert match_boxes([], true).shape == match_boxes(predicted, []).shape == (0, 2)


def test_an_overlap_of_exactly_the_threshold_is_a_hit() -> None:
    assert len(match_boxes([[0, 0, 2, 1]], [[0, 0, 1, 1]], iou=0.5)) == 1


def test_recall_precision_and_errors() -> None:
    true = some(
        [square(0, 0), square(100, 0), square(200, 0)], [(0, 0, 0), (170, 10, 0), (5, 5, 5)]
    )
    predicted = some(
        [square(100, 2), square(2, 0), square(400, 0)], [(-178, 10, 6), (9, -3, 0), (0, 0, 0)]
    )
    result = score(end_to_end(predicted, true))
    assert (result.heads, result.found, result.false_alarms) == (3, 2, 1)
    assert result.recall == result.precision == pytest.approx(2 / 3)
    assert result.mae_front == pytest.approx((9 + 3 + 0) / 3)
    assert result.mae_back == pytest.approx((12 + 0 + 6) / 3)
    assert result.mae == pytest.approx((4 + 6) / 2)


def test_geodesic_mean_and_median() -> None:
    boxes = [square(100 * i, 0) for i in range(3)]
    result = score(
        end_to_end(some(boxes, [(3, 0, 0), (0, 6, 0), (0, 0, 60)]), some(boxes, [(0, 0, 0)] * 3))
    )
    assert result.geodesic_median == pytest.approx(6)
    assert result.geodesic_mean == pytest.approx(23)


def test_small_and_hidden_heads_are_neither_hit_nor_miss() -> None:
    true = some(
        [square(0, 0), square(100, 0, 31), square(200, 0)], [(0, 0, 0)] * 3, visible=[1, 1, 0.19]
    )
    nothing = score(end_to_end(NONE, true))
    assert (nothing.heads, nothing.found, nothing.ignored, nothing.recall) == (1, 0, 2, 0)
    assert math.isnan(nothing.precision)
    everything = score(end_to_end(true, true))
    assert (everything.recall, everything.precision, everything.false_alarms) == (1, 1, 0)


def test_what_lies_mostly_within_an_ignored_head_is_no_false_alarm() -> None:
    true = some([square(0, 0, 100)], [(0, 0, 0)], visible=[0.1])
    inside, half_out, beside = square(10, 10, 20), square(85, 0, 40), square(200, 0)
    predicted = some([inside, half_out, beside], [(0, 0, 0)] * 3)
    assert end_to_end(predicted, true).false_alarms == 2


def test_a_second_box_on_one_head_is_a_false_alarm() -> None:
    true = some([square(0, 0)], [(0, 0, 0)])
    assert end_to_end(some([square(0, 0), square(1, 0)], [(0, 0, 0)] * 2), true).false_alarms == 1


def test_a_head_that_counts_is_matched_before_one_that_does_not() -> None:
    true = some([square(0, 0), square(4, 0)], [(0, 0, 0)] * 2, visible=[1, 0])
    result = end_to_end(some([square(3, 0)], [(0, 0, 0)]), true)
    assert (result.found.tolist(), result.false_alarms) == ([True], 0)


def test_size_is_measured_at_the_models_input() -> None:
    true = some([square(0, 0, 60)], [(0, 0, 0)])
    assert score(end_to_end(NONE, true, scale=(0.5, 0.5))).heads == 0
    records = end_to_end(NONE, true, scale=(0.5, 0.75))
    assert records.size == pytest.approx([math.sqrt(30 * 45)])


def test_rules_can_be_changed() -> None:
    true = some([square(0, 0, 10)], [(0, 0, 0)])
    assert score(end_to_end(true, true, rules=Rules(min_size=5))).found == 1
    shifted = some([square(1, 0, 10)], [(0, 0, 0)])
    assert score(end_to_end(shifted, true, rules=Rules(min_size=5, iou=0.9))).found == 0


def test_heads_without_a_triple_count_in_geodesic_error_only() -> None:
    true = some([square(0, 0), square(100, 0)], [(0, 0, 0), (0, 0, 170)])
    predicted = some([square(0, 0), square(100, 0)], [(6, 0, 0), (0, 0, 90 - 1e-3)])
    result = score(end_to_end(predicted, true))
    assert (result.found, result.without_triple) == (2, 1)
    assert result.mae == pytest.approx(2)
    assert result.geodesic_mean == pytest.approx((6 + 80) / 2, abs=1e-2)
    assert [row.heads for _, row in by_yaw(end_to_end(predicted, true))] == [1, 0, 0, 1]


def test_answers_about_true_boxes() -> None:
    true = some(
        [square(0, 0), square(100, 0), square(200, 0, 9)], [(0, 0, 0), (90, 0, 0), (0, 0, 0)]
    )
    rotations = np.stack([rotation_from_angles(3, 0, 0), np.full((3, 3), np.nan), np.eye(3)])
    predicted = heads(true.boxes, rotations, angles=[(3, 0, 0), (math.nan,) * 3, (0, 0, 0)])
    result = score(given_boxes(predicted, true))
    assert (result.heads, result.found, result.ignored) == (2, 1, 1)
    assert result.recall == 0.5 and math.isnan(result.precision)
    assert result.mae == pytest.approx(1) and math.isnan(result.mae_back)


def test_angles_are_scored_as_answered() -> None:
    true = some([square(0, 0)], [(0, 0, 0)])
    odd = heads(true.boxes, [rotation_from_angles(180, 180, 180)], angles=[(180, 180, 180)])
    result = score(given_boxes(odd, true))
    assert result.mae == 180 and result.geodesic_mean == pytest.approx(0, abs=1e-6)


def test_front_and_back_and_the_bins() -> None:
    yaws = [0, 59, -60, 89, 90, -120, 121, 180]
    true = some([square(100 * i, 0) for i in range(8)], [(y, 0, 0) for y in yaws])
    predicted = some([square(100 * i, 0) for i in range(8)], [(y + 3, 0, 0) for y in yaws])
    records = end_to_end(predicted, true)
    assert [(n, row.heads) for n, row in by_yaw(records)] == [
        ("front", 2), ("side", 4), ("back", 2), ("no triple", 0),
    ]  # fmt: skip
    front = dict(by_yaw(records))["front"]
    assert front.mae == pytest.approx(1) and math.isnan(front.precision)


def test_bins_of_size_leave_out_empty_ones() -> None:
    sides = [20, 32, 47, 64, 300]
    true = some([square(400 * i, 0, s) for i, s in enumerate(sides)], [(0, 0, 0)] * 5)
    rows = by_size(end_to_end(true, true, rules=Rules(min_size=0)))
    assert [(name, row.heads) for name, row in rows] == [
        ("< 32", 1), ("32-48", 2), ("64-96", 1), (">= 128", 1),
    ]  # fmt: skip


def test_merging_images_scores_all_their_heads() -> None:
    one, two = some([square(0, 0)], [(0, 0, 0)]), some([square(0, 0)] * 0, [])
    parts = [end_to_end(one, one), end_to_end(NONE, one), end_to_end(one, two)]
    result = score(merge(parts))
    assert (result.heads, result.found, result.false_alarms) == (2, 1, 1)
    assert merge([*parts, given_boxes(one, one)]).false_alarms is None
    with pytest.raises(ValueError, match="at least one image"):
        merge([])


def test_nothing_scores_nothing() -> None:
    result = score(end_to_end(NONE, NONE))
    assert result.heads == 0 and math.isnan(result.recall) and math.isnan(result.geodesic_median)
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["mae"] is None


def test_table_for_people() -> None:
    one = some([square(0, 0)], [(0, 0, 0)])
    lines = format_table("yaw", by_yaw(end_to_end(one, one))).splitlines()
    assert len(lines) == 5 and len({len(line) for line in lines}) == 1
    assert lines[0].split()[:3] == ["yaw", "heads", "recall"]
    assert lines[1].split() == ["front", "1", "1.000", "-", "0.0", "0.0", "-", "0.0"]


def test_mismatched_inputs_are_refused() -> None:
    one = some([square(0, 0)], [(0, 0, 0)])
    with pytest.raises(ValueError, match="0 answers about 1 heads"):
        given_boxes(NONE, one)
    with pytest.raises(ValueError, match="1 boxes with 0 rotations"):
        heads([square(0, 0)], [])


def test_a_head_of_unknown_pose_is_a_box_only() -> None:
    unknown = np.full((3, 3), np.nan)
    rotations = [rotation_from_angles(0, 0, 0), unknown]
    true = heads([square(0, 0), square(100, 0)], rotations)
    predicted = some([square(0, 0), square(100, 0)], [(9, 0, 0), (50, 0, 0)])
    for records in (end_to_end(predicted, true), given_boxes(predicted, true)):
        result = score(records)
        assert (result.heads, result.found, result.without_triple) == (2, 2, 0)
        assert (result.recall, result.mae) == (1, pytest.approx(3))
        assert result.geodesic_median == result.geodesic_mean == pytest.approx(9)
