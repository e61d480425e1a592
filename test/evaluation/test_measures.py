# SPDX-License-Identifier: Apache-2.0
"""Measures against numbers that are known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import chi2, rankdata

from hpe_vlm_ros.evaluation.bootstrap import Area, Blocks, Quantile, Ratio, blocks, roc, value
from hpe_vlm_ros.evaluation.calibration import reliability, surprise, within_sigma
from hpe_vlm_ros.evaluation.consistency import consistency
from hpe_vlm_ros.evaluation.measures import by_people, by_side, by_size, by_visible, by_yaw, totals
from hpe_vlm_ros.evaluation.metrics import Rules, end_to_end, score
from hpe_vlm_ros.evaluation.scored import as_heads, scored
from hpe_vlm_ros.geometry import angles_from_rotation, rotation_from_angles, rotation_vector
from hpe_vlm_ros.recordings.records import FrameRecord, Head, looking, rounded
from hpe_vlm_ros.recordings.truth import Truth

RULES = Rules(min_size=20)
SIZE = 100  # of the pictures and of the model's input alike


def head(x: float, yaw: float = 0.0, size: float = 30.0, **fields) -> Head:
    rotation = rotation_from_angles(yaw, 10, 0)
    box = (x, 10.0, x + size, 10.0 + size)
    return Head(box, yaw, 10.0, 0.0, rounded(rotation, 9), score=0.5, **fields)


def frame(number: int, *heads: Head, **fields) -> FrameRecord:
    stamp = 10**9 + number * 10**8
    return FrameRecord("r", number, stamp, stamp, "", "f", SIZE, SIZE, heads, **fields)


def table_of(*pairs: tuple[list[Head], list[Head]]):
    """Scores of (found, true) for each frame."""
    records = [frame(n, *found) for n, (found, _) in enumerate(pairs)]
    truth = Truth({("r", n): tuple(true) for n, (_, true) in enumerate(pairs)})
    return scored(records, truth, SIZE, RULES)


def values(named) -> dict[str, float]:
    return {n: float(m.estimates(np.ones((1, _frames(m))))[0]) for n, m in named.items()}


def _frames(measure) -> int:
    return (
        len(measure.over) if isinstance(measure, Ratio) else int(measure.frame.max(initial=0)) + 1
    )


def test_detection_and_errors_of_a_small_case():
    table = table_of(
        ([head(0, 10), head(50, 170)], [head(0, 13), head(51, -170)]),  # 3 and 20 degrees off
        ([head(0, 90), head(60, 0)], [head(0, 80), head(30, 0)]),  # 10 off, a miss, a false alarm
        ([], [head(0, 0, size=8)]),  # too small to count
    )
    found = values(totals(table, 15))
    assert found["recall"] == 3 / 4 and found["precision"] == 3 / 4
    assert found["mae_yaw"] == pytest.approx(11) and found["mae_pitch"] == pytest.approx(0)
    assert found["mae"] == pytest.approx(11 / 3)
    assert found["mae_front"] == pytest.approx((1 + 10 / 3) / 2)
    assert found["mae_back"] == pytest.approx(20 / 3)
    # An independent library says how far the rotations lie apart.
    apart = [
        np.degrees((_scipy(a).inv() * _scipy(b)).magnitude())
        for a, b in ((10, 13), (170, -170), (90, 80))
    ]
    assert found["geodesic_mean"] == pytest.approx(np.mean(apart), abs=1e-4)
    assert found["geodesic_median"] == pytest.approx(np.median(apart), abs=1e-4)


@given(st.lists(st.floats(-180, 180), min_size=1, max_size=6))
def test_front_and_back_mean_the_same_in_replay_and_in_training(yaws):
    """|yaw| below 90 and the rest; 75 and 100 degrees are where a third party might differ."""
    true = [head(15 * n, yaw, size=10) for n, yaw in enumerate([*yaws, 75.0, 100.0])]
    found = [head(15 * n, h.yaw + 1 + n, size=10) for n, h in enumerate(true)]
    rules = Rules(min_size=1)
    records = [frame(0, *found)]
    table = scored(records, Truth({("r", 0): tuple(true)}), SIZE, rules)
    theirs = score(end_to_end(as_heads(found), as_heads(true), rules=rules))
    mine = values(totals(table, 15))
    assert mine["mae_front"] == pytest.approx(theirs.mae_front)
    assert mine["mae_back"] == pytest.approx(theirs.mae_back)
    errors = [((1 + n) / 3, abs(h.yaw) < 90) for n, h in enumerate(true)]
    assert mine["mae_front"] == pytest.approx(np.mean([e for e, front in errors if front]))


def _scipy(yaw: float) -> Rotation:
    return Rotation.from_euler("XYZ", [-10, yaw, 0], degrees=True)


def test_breakdowns_put_each_head_where_it_belongs():
    table = table_of(
        ([head(0, 10), head(50, 170)], [head(0, 13), head(51, -170, visible=0.5)]),
        ([head(0, 90)], [head(0, 80), head(50, 0, size=18), head(70, 0, visible=0.1)]),
    )
    sides = {name: values(row) for name, row in by_side(table)}
    assert [sides[n]["recall"] for n in ("front", "side", "back")] == [1, 1, 1]
    yaws = dict(by_yaw(table))
    assert {n: r["recall"].count for n, r in yaws.items() if r["recall"].count} == {
        "0-30°": 1, "60-90°": 1, "150-180°": 1
    }  # fmt: skip
    assert values(yaws["90-120°"])["precision"] == 1  # by the answer's yaw
    sizes = dict(by_size(table))
    assert values(sizes["16-32 px"])["recall"] == 3 / 4  # the small one has a row as well
    seen = dict(by_visible(table))
    assert {n: r["recall"].count for n, r in seen.items()} == {"< 0.2": 1, "0.4-0.6": 1, ">= 1": 2}
    people = {n: r["recall"].count for n, r in by_people(table) if r["recall"].count}
    assert people == {"1": 1, "2": 2}


def test_frames_without_labels_or_pixels_are_not_scored():
    records = [frame(0, head(0)), frame(1, head(0)), frame(2, error="broken")]
    table = scored(records, Truth({("r", 1): (), ("r", 2): (head(0),)}), SIZE, RULES)
    assert table.frames == [("r", 1)] and len(table.alarm_frame) == 1 and not len(table.counts)


def test_heads_without_a_triple_count_in_the_geodesic_error_only():
    upside = Rotation.from_euler("z", 180, degrees=True).as_matrix()
    assert angles_from_rotation(upside) is None
    true = replace(head(0), rotation=rounded(upside, 9), yaw=None, pitch=None, roll=None)
    table = table_of(([head(0)], [true]))
    found = totals(table, 15)
    assert found["mae"].count == 0 and found["geodesic_mean"].count == 1
    assert dict(by_yaw(table))["no triple"]["recall"].count == 1


def test_rotation_vectors_agree_with_scipy():
    rotations = Rotation.random(200, rng=np.random.default_rng(0)).as_matrix()
    half_turns = Rotation.from_rotvec(np.pi * np.eye(3)).as_matrix()
    for matrix in [*rotations, *half_turns, np.eye(3)]:
        vector = rotation_vector(matrix)
        np.testing.assert_allclose(Rotation.from_rotvec(vector).as_matrix(), matrix, atol=1e-6)


def test_quantiles_and_areas_agree_with_numpy_and_ranks():
    rng = np.random.default_rng(1)
    data, frames = rng.normal(size=101), np.arange(101)
    once = np.ones((1, 101))
    assert Quantile(data, frames, 0.5).estimates(once)[0] == np.median(data)
    for share in (0.5, 0.9):
        weights = rng.integers(0, 4, (1, 101)).astype(float)
        repeated = np.repeat(data, weights[0].astype(int))
        found = Quantile(data, frames, share).estimates(weights)[0]
        assert found == np.quantile(repeated, share, method="averaged_inverted_cdf")
    score, positive = np.round(data, 1), rng.random(101) < 0.3
    ranks, count = rankdata(score), positive.sum()
    mann_whitney = (ranks[positive].sum() - count * (count + 1) / 2) / (count * (101 - count))
    assert Area(score, positive, frames).estimates(once)[0] == pytest.approx(mann_whitney)
    assert Area(score, positive, frames).count == min(sum(positive), sum(~positive))
    alarm, hit = roc(score, positive, np.ones(101))
    assert (alarm[0], hit[0], alarm[-1], hit[-1]) == (0, 0, 1, 1)


def test_intervals_cover_the_truth_and_grow_when_frames_come_in_blocks():
    rng = np.random.default_rng(2)
    covered, widths = 0, []
    for _ in range(60):
        data = rng.normal(3.0, 1.0, 80)
        found = value(Ratio(data, np.ones(80)), Blocks(np.arange(80), 80).weights())
        covered += found.low <= 3.0 <= found.high
        widths.append(found.high - found.low)
    assert covered >= 51  # 95 % of 60 is 57; below 51 it would be one chance in a thousand
    assert np.mean(widths) == pytest.approx(2 * 1.96 / math.sqrt(80), rel=0.1)
    alike = np.repeat(rng.normal(size=16), 5)  # every value five times: only 16 are worth anything
    single = value(Ratio(alike, np.ones(80)), Blocks(np.arange(80), 80).weights())
    block = value(Ratio(alike, np.ones(80)), Blocks(np.arange(80) // 5, 16).weights())
    assert block.high - block.low > 1.6 * (single.high - single.low)
    assert value(Ratio(alike[:4], np.ones(4)), Blocks(np.arange(4), 4).weights()).low is None


def test_blocks_are_of_time_in_sequences_and_of_one_picture_elsewhere():
    frames = [frame(n) for n in range(6)]
    assert blocks(frames, {"r"}, 0.2).of_frame.tolist() == [0, 0, 1, 1, 2, 2]
    assert blocks(frames, set(), 0.2).count == 6


def test_an_honest_covariance_is_called_honest_and_a_bold_one_bold():
    rng = np.random.default_rng(3)
    shape = np.array([[0.04, 0.01, 0.0], [0.01, 0.02, 0.005], [0.0, 0.005, 0.03]])
    turns = rng.multivariate_normal(np.zeros(3), shape, 4000)
    stated = np.broadcast_to(shape, (4000, 3, 3))
    assert within_sigma(turns, stated, 1).mean() == pytest.approx(0.6827, abs=0.02)
    assert within_sigma(turns, stated, 2).mean() == pytest.approx(0.9545, abs=0.01)
    share, found = reliability(surprise(turns, stated))
    np.testing.assert_allclose(found, share, atol=0.03)
    _, bold = reliability(surprise(turns, stated / 4))
    assert (bold[2:-1] < share[2:-1] - 0.05).all()
    distance = turns[0] @ np.linalg.inv(shape) @ turns[0]
    assert surprise(turns[:1], stated[:1])[0] == pytest.approx(chi2.cdf(distance, 3))
    assert np.isnan(surprise(turns[:1], np.full((1, 3, 3), np.nan)))[0]


def test_looking_is_the_angle_to_the_ray_not_to_the_image_plane():
    middle, side = (40.0, 40, 60, 60), (80.0, 40, 100, 60)
    straight = rotation_from_angles(0, 0, 0)
    assert looking(straight, middle, 100, 100) == pytest.approx(0)
    angle = math.degrees(math.atan(0.4))  # of the ray, for a focal length of one image width
    assert looking(straight, side, 100, 100) == pytest.approx(angle, abs=1e-3)
    assert looking(rotation_from_angles(angle, 0, 0), side, 100, 100) == pytest.approx(0, abs=1e-3)
    assert looking(straight, side, 100, 100, position=(0, 0, 2)) == pytest.approx(0)


def test_looking_curve_ranks_those_who_look_first():
    angles = [2, 5, 9, 30, 50, 80]
    true = [replace(head(0, yaw), pitch=0.0, rotation=rounded(rotation_from_angles(yaw, 0, 0), 9),
                    position=(0, 0, 1)) for yaw in angles]  # fmt: skip
    found = [replace(h, looking=float(a)) for h, a in zip(true, angles, strict=True)]
    table = table_of(*[([f], [t]) for f, t in zip(found, true, strict=True)])
    assert values(totals(table, 15))["looking_auc"] == 1
    mixed = [
        replace(h, looking=float(a)) for h, a in zip(true, [2, 40, 9, 30, 50, 80], strict=True)
    ]
    table = table_of(*[([f], [t]) for f, t in zip(mixed, true, strict=True)])
    assert values(totals(table, 15))["looking_auc"] == pytest.approx(8 / 9)


def test_jitter_breaks_and_coverage_without_truth():
    still = [frame(n, head(30, yaw=(-1) ** n * 2.0)) for n in range(10)]
    found = values(consistency(still, {"r"}))
    assert found["jitter_median"] == pytest.approx(4, abs=0.1)
    assert found["frames_with_heads"] == 1 and found["breaks_per_100_heads"] == 0
    gap = [frame(n, *([] if n in (4, 5) else [head(30)])) for n in range(10)]
    found = values(consistency(gap, {"r"}))
    assert found["frames_with_heads"] == 0.8 and found["breaks_per_100_heads"] == 100 / 8
    gone = [frame(n, *([] if n in (4, 5) else [head(70)])) for n in range(10)]  # at the border
    assert values(consistency(gone, {"r"}))["breaks_per_100_heads"] == 0
    moving = [frame(n, head(5 * n, yaw=8.0 * n)) for n in range(10)]
    assert consistency(moving, {"r"})["jitter_median"].count == 0
    assert "jitter_median" not in consistency(still, set())
