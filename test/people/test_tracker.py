# SPDX-License-Identifier: Apache-2.0
"""Ids, gaps, jumps of time, and what is said of heads that were not found."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpe_vlm_ros.geometry import geodesic_degrees, rotation_from_angles
from hpe_vlm_ros.people.tracking import Ids, LateFrame, Observation, Settings, Status, Tracker
from hpe_vlm_ros.people.tracking.assignment import generalised_iou, pairs

SECOND = 10**9
START = 1_700_000_000 * SECOND
FRONT = rotation_from_angles(0, 0, 0)


def head(x, y=100.0, size=40.0, yaw=0.0, score=0.9):
    box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
    return Observation(box, rotation_from_angles(yaw, 0, 0), score)


def at(seconds):
    return START + int(seconds * SECOND)


def ids(heads):
    return [h.id for h in heads]


def born(tracker, *heads, frames=3, since=0.0):
    """The time of the last of `frames` images that show these heads, 0.1 s apart."""
    for k in range(frames):
        tracker.update(at(since + 0.1 * k), heads)
    return since + 0.1 * (frames - 1)


def test_an_id_comes_after_enough_images():
    tracker = Tracker()
    found = [ids(tracker.update(at(0.1 * k), [head(100), head(300)])) for k in range(4)]
    assert found == [["", ""], ["", ""], ["h0001", "h0002"], ["h0001", "h0002"]]


def test_heads_are_listed_from_left_to_right():
    tracker = Tracker()
    time = born(tracker, head(300), head(100))
    assert ids(tracker.update(at(time + 0.1), [head(300), head(100)])) == ["h0002", "h0001"]


def test_a_single_false_alarm_leaves_no_trace():
    tracker = Tracker()
    tracker.update(at(0), [head(100)])
    assert tracker.update(at(0.1), []) == []
    assert tracker.update(at(0.2), []) == []
    assert ids(tracker.update(at(0.3), [head(100)])) == [""]
    born(tracker, head(400), since=0.4)
    assert ids(tracker.predict(at(0.6))) == ["h0001"], "the false alarm took a number"


def test_a_gap_is_bridged_by_flagged_poses_of_growing_uncertainty():
    tracker = Tracker(settings=Settings(timeout=2.0, stale_after=1.0))
    for k in range(5):  # walks to the right at 100 px/s
        tracked = tracker.update(at(0.1 * k), [head(100 + 10 * k)])[0]
    gap = [tracker.update(at(0.4 + 0.2 * k), [])[0] for k in range(1, 10)]
    assert tracked.status is Status.OK and tracked.unseen == 0
    assert [g.status for g in gap] == [Status.PREDICTED] * 5 + [Status.STALE] * 4
    assert {g.id for g in gap} == {tracked.id}
    unsure = [np.trace(g.rotation_covariance) for g in [tracked, *gap]]
    assert unsure == sorted(unsure) and unsure[-1] > 2 * unsure[0]
    assert gap[0].box[0] > tracked.box[0], "it was walking to the right"
    assert [g.unseen for g in gap] == pytest.approx([0.2 * k for k in range(1, 10)])
    back = tracker.update(at(2.35), [head(150)])[0]
    assert back.id == tracked.id and back.status is Status.OK


def test_after_the_timeout_the_id_is_gone_for_good():
    tracker = Tracker(settings=Settings(timeout=1.0))
    time = born(tracker, head(100))
    assert tracker.update(at(time + 1.1), []) == []
    born(tracker, head(100), since=time + 1.2)
    assert ids(tracker.predict(at(time + 1.4))) == ["h0002"]


def test_two_who_cross_keep_their_ids_by_where_they_go_and_look():
    tracker = Tracker()
    for k in range(41):
        x = 100 + 5.0 * k
        there, back = head(x, 100, yaw=-70), head(300 - (x - 100), 110, yaw=70)
        found = tracker.update(at(0.1 * k), [there, back] if k % 2 else [back, there])
    assert ids(found) == ["h0002", "h0001"] or ids(found) == ["h0001", "h0002"]
    first = {h.id: h for h in found}
    yaws = {i: float(geodesic_degrees(h.rotation, FRONT)) for i, h in first.items()}
    assert all(abs(y - 70) < 15 for y in yaws.values()), "the poses have been mixed"
    right = max(found, key=lambda h: h.box[0])
    np.testing.assert_allclose(right.rotation, there.rotation, atol=0.2)


def test_assignment_is_the_best_as_a_whole_not_greedy():
    cost = np.array([[0.1, 0.2], [0.15, 0.9]])
    assert pairs(cost, np.ones((2, 2), bool)) == [(0, 1), (1, 0)]
    assert pairs(cost, np.array([[True, True], [False, True]])) == [(0, 0), (1, 1)]
    assert pairs(np.zeros((0, 3)), np.zeros((0, 3), bool)) == []


def test_assignment_equals_trying_every_permutation():
    generator = np.random.default_rng(0)
    for _ in range(20):
        cost = generator.random((4, 4))
        best = min(
            sum(cost[i, p] for i, p in enumerate(order))
            for order in itertools.permutations(range(4))
        )
        assert sum(cost[p] for p in pairs(cost, np.ones((4, 4), bool))) == pytest.approx(best)


def test_generalised_overlap_by_hand():
    a = [(0, 0, 2, 2)]
    b = [(0, 0, 2, 2), (1, 0, 3, 2), (4, 0, 6, 2)]
    np.testing.assert_allclose(generalised_iou(a, b), [[1.0, 1 / 3, -1 / 3]])


def test_no_head_jumps_across_the_image():
    tracker = Tracker()
    time = born(tracker, head(100))
    found = tracker.update(at(time + 0.1), [head(600)])
    assert [(h.id, h.status) for h in found] == [("h0001", Status.PREDICTED), ("", Status.OK)]


def test_a_second_box_of_a_known_head_is_no_second_head():
    tracker = Tracker()
    time = born(tracker, head(100))
    assert len(tracker.update(at(time + 0.1), [head(100), head(104, 102)])) == 1


def test_an_unsure_detection_carries_a_head_on_but_starts_none():
    tracker = Tracker()
    time = born(tracker, head(100))
    found = tracker.update(at(time + 0.1), [head(102, score=0.01), head(300, score=0.01)])
    assert [(h.id, h.status) for h in found] == [("h0001", Status.OK), ("", Status.OK)]
    found = tracker.update(at(time + 0.2), [head(150, score=0.01)])  # too far for one so unsure
    assert [(h.id, h.status) for h in found] == [("h0001", Status.PREDICTED), ("", Status.OK)]
    born(tracker, head(300, score=0.01), since=time + 0.3)
    assert ids(tracker.predict(at(time + 0.5))) == ["h0001"]


def test_a_late_image_is_refused_and_changes_nothing():
    tracker = Tracker()
    time = born(tracker, head(100))
    before = tracker.predict(at(time + 0.1))[0]
    for late in (time - 0.05, time):
        with pytest.raises(LateFrame, match="before that of the image"):
            tracker.update(at(late), [head(500)])
    after = tracker.predict(at(time + 0.1))[0]
    assert after.box == before.box and after.id == before.id


@pytest.mark.parametrize("back", [1000.0, 3.0])
def test_a_jump_back_in_time_begins_anew_with_new_ids(back):
    tracker = Tracker()
    time = born(tracker, head(100), since=back)
    assert ids(tracker.update(at(time - back), [head(100)])) == [""]
    born(tracker, head(100), since=time - back + 0.1)
    assert ids(tracker.predict(at(time - back + 0.3))) == ["h0002"]


def test_a_short_bag_in_a_loop_begins_anew_as_well():
    tracker = Tracker(settings=Settings(timeout=5.0))
    born(tracker, head(100), since=1.0, frames=10)
    late = 0
    for k in range(8):
        try:
            tracker.update(at(0.1 * k), [head(100)])
        except LateFrame:
            late += 1
    assert late == 4 and ids(tracker.predict(at(1.0))) == ["h0002"]


def test_poses_are_those_of_the_stamp_however_uneven():
    """A head turning at a steady 40 deg/s, seen at odd times: the error does not depend on dt."""
    generator = np.random.default_rng(3)
    tracker, time, errors = Tracker(), 0.0, []
    for _ in range(60):
        time += generator.choice([0.05, 0.1, 0.4])
        yaw = 40 * time
        found = tracker.update(at(time), [head(200, yaw=yaw)])
        errors.append(float(geodesic_degrees(found[0].rotation, rotation_from_angles(yaw, 0, 0))))
    assert max(errors[20:]) < 16


def turned_by(yaw, covariance):
    """Degrees that one answer, turned by `yaw` and as sure as it says, turns a frontal head."""
    tracker = Tracker()
    time = born(tracker, head(100))
    answer = replace(head(100, yaw=yaw), rotation_covariance=covariance)
    return float(geodesic_degrees(tracker.update(at(time + 0.1), [answer])[0].rotation, FRONT))


@settings(max_examples=25, deadline=None)
@given(st.floats(3.0, 80.0), st.floats(2.0, 20.0), st.floats(1.5, 4.0))
def test_a_sharp_answer_moves_the_pose_more_than_a_vague_one(yaw, degrees, times):
    sharp = np.eye(3) * np.radians(degrees) ** 2
    moved, less = turned_by(yaw, sharp), turned_by(yaw, times**2 * sharp)
    assert less + 0.005 * yaw < moved < yaw


def test_an_answer_counts_about_each_axis_as_sure_as_it_is_there():
    """Yaw is a turn about the optical y axis: only that part of the covariance matters to it."""
    sharp, vague = np.radians(3) ** 2, np.radians(30) ** 2
    about_y = turned_by(20, np.diag([vague, sharp, vague]))
    others = turned_by(20, np.diag([sharp, vague, sharp]))
    assert about_y == pytest.approx(turned_by(20, sharp * np.eye(3)), abs=0.01)
    assert others == pytest.approx(turned_by(20, vague * np.eye(3)), abs=0.01)
    assert about_y > 2 * others


def test_an_invalid_answer_moves_the_box_and_keeps_the_pose():
    tracker = Tracker()
    time = born(tracker, head(100, yaw=30))
    broken = Observation(head(104).box, None, 0.8)
    found = tracker.update(at(time + 0.1), [broken])[0]
    assert found.status is Status.INVALID_ANSWER and found.id == "h0001"
    np.testing.assert_allclose(found.rotation, rotation_from_angles(30, 0, 0), atol=1e-6)
    fresh = Tracker().update(at(0), [broken])[0]
    assert fresh.rotation is None and np.isnan(fresh.rotation_covariance).all()


@pytest.mark.parametrize(("away", "name"), [(0.8, "h0001"), (3.0, "h0002")])
def test_who_walks_out_of_the_image_is_not_shown_but_known_when_back_in_time(away, name):
    tracker, size = Tracker(settings=Settings(timeout=2.0)), (320, 240)
    for k in range(5):
        tracker.update(at(0.1 * k), [head(240 + 15 * k)], size=size)
    shown = [bool(tracker.update(at(0.5 + 0.1 * k), [], size=size)) for k in range(4)]
    assert shown[0] and not shown[-1] and tracker.predict(at(0.9)) == []
    for k in range(4, round(10 * away)):
        assert tracker.update(at(0.5 + 0.1 * k), [], size=size) == []
    for k in range(5):
        back = tracker.update(at(0.5 + away + 0.1 * k), [head(300 - 10 * k)], size=size)
    assert ids(back) == [name]


def test_one_source_of_ids_for_several_cameras():
    source = Ids()
    left, right = Tracker(ids=source), Tracker(ids=source)
    born(left, head(100))
    born(right, head(100))
    assert ids(left.predict(at(0.3))) + ids(right.predict(at(0.3))) == ["h0001", "h0002"]


@pytest.mark.parametrize(
    "wrong", [{"timeout": 0.0}, {"turn_speed": float("nan")}, {"pose_weight": 1.5}]
)
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_settings_change_between_images():
    tracker = Tracker()
    time = born(tracker, head(100))
    tracker.settings = Settings(timeout=0.05)
    assert tracker.update(at(time + 0.1), []) == []
