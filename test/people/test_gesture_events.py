# SPDX-License-Identifier: Apache-2.0
"""Windows of poses, the rule, and events that begin and end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import BOX, MOTIONS, local, nod, played, stamps, tracked

from hpe_vlm_ros.geometry import rotation_from_angles, rotation_from_vector, rotation_vector
from hpe_vlm_ros.people.gestures.events import LEAST_SWING, Hysteresis
from hpe_vlm_ros.people.gestures.reader import GestureReader
from hpe_vlm_ros.people.gestures.window import LENGTH, PoseWindow
from hpe_vlm_ros.people.tracking import Status
from hpe_vlm_ros.tasks.gesture import LABELS


def likely(label, sure):
    out = np.full(6, (1 - sure) / 5)
    out[LABELS.index(label)] = sure
    return out


def still(_time):
    return 0.0, 0.0, 0.0


CAMERAS = {"10 Hz": (10.0, 0.0), "60 Hz": (60.0, 0.0), "30 Hz": (30.0, 0.1), "jitter": (10.0, 0.25)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1.8, 1.8), min_size=3, max_size=3))
def test_rotation_vectors_undo_turns(vector):
    assert np.allclose(rotation_vector(rotation_from_vector(vector)[None])[0], vector, atol=1e-6)


@pytest.mark.parametrize("axis", [(1.0, 0, 0), (0, 1.0, 0), (0.6, 0, 0.8)])
def test_half_a_turn_has_a_vector(axis):
    turn = 2 * np.outer(axis, axis) - np.eye(3)
    (vector,) = rotation_vector(turn[None])
    assert np.linalg.norm(vector) == pytest.approx(np.pi)
    assert abs(vector @ np.array(axis)) == pytest.approx(np.pi)


@pytest.mark.parametrize(("axis", "name"), [(0, "yaw"), (1, "pitch"), (2, "roll")])
@pytest.mark.parametrize("facing", [0.0, 80.0, -120.0])
def test_a_window_is_told_about_the_heads_own_axes(axis, name, facing):
    window = PoseWindow()
    for time in stamps(10.0, 3.0):
        angles = [0.0, 0.0, 0.0]
        angles[axis] = 10.0 * time
        turned = rotation_from_angles(facing, 0, 0) @ local(*angles)
        window.add(round(time * 1e9), turned, BOX)
    samples = window.samples()
    assert samples.shape == (20, 5)
    assert np.allclose(samples.mean(0), 0, atol=1e-9)
    assert samples[15, axis] - samples[5, axis] == pytest.approx(10.0, abs=0.1)
    others = np.delete(samples, axis, axis=1)
    assert np.abs(others).max() < 0.1


def test_the_box_is_told_in_its_own_heights():
    window = PoseWindow()
    for time in stamps(10.0, 3.0):
        x, y = 20 * time, -5 * time
        window.add(round(time * 1e9), np.eye(3), (100 + x, 100 + y, 140 + x, 150 + y))
    samples = window.samples()
    assert samples[15, 3] - samples[5, 3] == pytest.approx(0.4, abs=1e-6)
    assert samples[15, 4] - samples[5, 4] == pytest.approx(-0.1, abs=1e-6)


def test_the_window_keeps_two_seconds_and_no_more():
    window = PoseWindow()
    for time in stamps(30.0, 20.0):
        window.add(round(time * 1e9), np.eye(3), BOX)
    assert len(window) <= 30 * (LENGTH + 0.15) + 2


def test_a_young_window_says_nothing():
    window = PoseWindow()
    for time in stamps(10.0, 1.8):
        window.add(round(time * 1e9), np.eye(3), BOX)
        assert window.samples() is None


@pytest.mark.parametrize(
    ("rate", "least", "known"),
    [(5.0, 6.0, False), (6.0, 6.0, True), (5.0, 4.0, True), (10.0, 6.0, True)],
)
def test_too_few_images_a_second_say_nothing(rate, least, known):
    window = PoseWindow()
    for time in stamps(rate, 4.0):
        window.add(round(time * 1e9), np.eye(3), BOX)
    assert (window.samples(least) is not None) is known


def test_a_gap_says_nothing_until_it_has_passed():
    window, when = PoseWindow(), []
    for time in stamps(10.0, 8.0):
        if 3.0 < time < 3.55:
            continue
        window.add(round(time * 1e9), np.eye(3), BOX)
        if window.samples() is None:
            when.append(time)
    assert min(t for t in when if t > 2.0) == pytest.approx(3.6, abs=0.06)
    assert max(when) == pytest.approx(5.5, abs=0.25)


def test_time_that_jumps_back_starts_anew():
    window = PoseWindow()
    for time in stamps(10.0, 4.0):
        window.add(round(time * 1e9), np.eye(3), BOX)
    window.add(10**9, np.eye(3), BOX)
    assert len(window) == 1
    assert window.samples() is None


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("name", MOTIONS)
def test_cameras_of_other_rates_tell_the_same_gesture(name, camera):
    rate, jitter = CAMERAS[camera]
    events = played(GestureReader(), MOTIONS[name], stamps(rate, jitter=jitter))
    assert [(g.name, g.ended) for g in events] == [(name, False), (name, True)]
    assert events[0].start / 1e9 == pytest.approx(3.2, abs=0.45)


def test_a_slow_camera_says_nothing_unless_it_may():
    assert played(GestureReader(), nod, stamps(5.0)) == []
    reader = GestureReader()
    reader.least_rate = 4.0
    events = played(reader, lambda time: nod(time, speed=1.2), stamps(5.0))
    assert {g.name for g in events} == {"nod"}


def test_still_heads_and_slow_turns_do_nothing():
    rng = np.random.default_rng(3)
    noisy = lambda time: tuple(rng.normal(0, 1.5, 3))  # noqa: E731
    assert played(GestureReader(), noisy, stamps(10.0, 30.0)) == []
    assert played(GestureReader(), lambda time: (6.0 * time, 0.0, 0.0), stamps(10.0, 12.0)) == []


def test_a_photograph_that_is_moved_does_nothing():
    def box(time):
        shift = 12 * np.sin(2 * np.pi * 1.3 * time)
        return (100 + shift, 100 + shift, 140 + shift, 150 + shift)

    swing = lambda time: (7 * np.sin(2 * np.pi * 1.3 * time),) * 2 + (0.0,)  # noqa: E731
    assert played(GestureReader(), swing, stamps(10.0), box=box) == []


def test_amplitude_direction_and_cycles():
    first, last = played(GestureReader(), nod, stamps(30.0))
    assert (first.direction, last.direction) == (-1, -1)  # down first
    assert last.amplitude == pytest.approx(9.0, abs=2.0)
    assert last.cycles == pytest.approx(3.0, abs=1.0)
    assert last.end / 1e9 == pytest.approx(5.0, abs=0.5)
    turned = played(GestureReader(), MOTIONS["turn"], stamps(10.0))[-1]
    assert turned.amplitude == pytest.approx(40.0, abs=6.0)
    assert turned.direction == 1
    assert turned.cycles == 0


def test_a_track_that_ends_ends_its_gesture():
    reader = GestureReader()
    times = stamps(10.0, 4.5)
    assert [g.ended for g in played(reader, nod, times)] == [False]
    ended = reader.see(round(4.5e9), [])
    assert [(g.id, g.name, g.ended) for g in ended] == [("h0001", "nod", True)]
    assert reader.of("h0001") == tuple(ended)
    assert reader.see(round(20e9), []) == []
    assert reader.of("h0001") == ()


def test_another_id_carries_nothing_over():
    reader = GestureReader()
    played(reader, nod, stamps(10.0, 4.2))
    events = []
    for time in stamps(10.0, 3.0) + 4.2:
        events += reader.see(round(time * 1e9), [tracked(local(*nod(time)), id="h0002")])
    assert [(g.id, g.ended) for g in events] == [("h0001", True)]
    assert not reader.of("h0002")


def test_heads_without_an_id_have_no_gestures():
    assert played(GestureReader(), nod, stamps(10.0), id="") == []


def test_a_jump_of_time_ends_what_goes_on():
    reader = GestureReader()
    played(reader, nod, stamps(10.0, 4.5))
    assert [g.ended for g in reader.forget()] == [True]
    assert reader.of("h0001") == ()


def test_images_without_the_head_are_a_gap():
    reader = GestureReader()
    events = []
    for time in stamps(10.0, 7.0):
        lost = 3.3 < time < 4.0
        events += reader.see(round(time * 1e9), [tracked(None if lost else local(*nod(time)))])
    assert all(g.end / 1e9 < 4.1 for g in events)
    assert not any(not g.ended for g in events[-1:])


def test_an_invalid_answer_is_no_pose():
    reader = GestureReader()
    for time in stamps(10.0, 4.0):
        reader.see(round(time * 1e9), [tracked(np.eye(3))])
    head = tracked(np.eye(3), status=Status.INVALID_ANSWER)
    object.__setattr__(head.observed, "rotation", None)
    assert reader.see(round(4.0e9), [head]) == []
    assert reader.known("h0001")


SWINGING = np.tile(5.0 * np.sin(np.arange(20.0))[:, None], (1, 5))  # of all values alike


def test_hysteresis():
    window = SWINGING
    one = Hysteresis("h0001")
    tenth = 10**8
    assert one.update(0, likely("nod", 0.65), window) == []
    (began,) = one.update(2 * tenth, likely("nod", 0.7), window)
    assert (began.start, began.end, began.score) == (0, 2 * tenth, 0.7)
    assert one.update(4 * tenth, likely("none", 0.9), window) == []  # less than 0.3 s is joined
    assert one.update(5 * tenth, likely("nod", 0.65), window) == []
    assert one.update(7 * tenth, likely("none", 0.9), window) == []
    (ended,) = one.update(9 * tenth, likely("none", 0.9), window)
    assert (ended.name, ended.end, ended.ended) == ("nod", 5 * tenth, True)


def test_an_answer_that_is_sure_begins_at_once_and_another_kind_ends_the_first():
    window = SWINGING
    one = Hysteresis("h0001")
    (began,) = one.update(0, likely("turn", 0.97), window)
    assert began.name == "turn"
    told = one.update(10**8, likely("shake", 0.97), window)
    assert [(g.name, g.ended) for g in told] == [("turn", True), ("shake", False)]
    told = one.update(2 * 10**8, None, None)
    assert [(g.name, g.ended) for g in told] == [("shake", True)]


def test_a_swing_of_a_degree_or_two_is_taken_for_noise():
    """However sure the answer is; what turns a head once is told all the same."""
    small = SWINGING * (0.9 * LEAST_SWING / 5.0)
    for name in ("nod", "shake"):
        assert Hysteresis("h0001").update(0, likely(name, 0.99), small) == []
    assert Hysteresis("h0001").update(0, likely("tilt", 0.99), small)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*LABELS, ""]), st.floats(0.2, 1.0)), max_size=40))
def test_events_come_in_pairs_whatever_is_said(answers):
    one, events = Hysteresis("h0001"), []
    for index, (label, sure) in enumerate(answers):
        heard = likely(label, sure) if label else None
        events += one.update(index * 10**8, heard, SWINGING if label else None)
    events += one.end()
    assert [g.ended for g in events] == [False, True] * (len(events) // 2)
    for began, ended in zip(events[::2], events[1::2], strict=True):
        assert began.name == ended.name != "none"
        assert began.start == ended.start <= ended.end
    ends = [g.end for g in events if g.ended]
    starts = [g.start for g in events if not g.ended]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
