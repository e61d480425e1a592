# SPDX-License-Identifier: Apache-2.0
"""Gestures scored as CCDb-HG does, on cases worked out by hand."""

import math

import numpy as np
import pytest

from hpe_vlm_ros.tasks.gesture import LABELS
from training.evaluation import senses
from training.evaluation.gesture_measures import (
    Event,
    FilmedPerson,
    delays,
    dice,
    event_f1,
    false_per_minute,
    frame_f1,
    mean_f1,
)

NONE, NOD, SHAKE = 0, LABELS.index("nod"), LABELS.index("shake")


def filmed(true=(), predicted=(), true_frames=(), predicted_frames=(), excused=(), seconds=10.0):
    count = max(len(true_frames), 2)
    times = np.linspace(0, seconds, count)
    empty = [0] * count
    frames = (np.array(list(f) or empty, int) for f in (true_frames, predicted_frames))
    return FilmedPerson(list(true), list(predicted), times, *frames, list(excused))


def test_dice_of_times():
    assert dice(Event("nod", 1, 3), Event("nod", 2, 4)) == pytest.approx(0.5)
    assert dice(Event("nod", 1, 2), Event("nod", 3, 4)) == 0
    assert dice(Event("nod", 1, 1), Event("nod", 1, 1)) == 0


def test_events():
    true = [Event("nod", 1, 2, 8.0), Event("nod", 5, 6, 3.0), Event("shake", 8, 9, 20.0)]
    events = [Event("nod", 1.2, 2.2, reported=1.8), Event("nod", 3.5, 4.5), Event("turn", 8, 9)]
    one = [filmed(true, events)]
    assert event_f1(one, "nod") == pytest.approx(0.5)  # one of two found, one of two right
    assert event_f1(one, "nod", least=6.0) == pytest.approx(2 / 3)  # the small one does not count
    assert event_f1(one, "shake") == 0
    assert math.isnan(event_f1(one, "tilt"))
    assert delays(one) == pytest.approx([0.8])
    assert mean_f1([0.5, float("nan"), 1.0]) == pytest.approx(0.75)


def test_a_small_event_that_is_found_is_no_false_one():
    one = [filmed([Event("nod", 1, 2, 3.0)], [Event("nod", 1, 2)])]
    assert math.isnan(event_f1(one, "nod", least=6.0))


def test_frames_near_a_border_are_not_scored():
    true = [NONE] * 10 + [NOD] * 10 + [NONE] * 10
    late = [NONE] * 12 + [NOD] * 10 + [NONE] * 8
    assert frame_f1([filmed(true_frames=true, predicted_frames=late)], "nod") == 1.0
    later = [NONE] * 15 + [NOD] * 10 + [NONE] * 5
    # scored: true frames 12..17, of which 15..17 are found; told 22..24 are wrong
    found = frame_f1([filmed(true_frames=true, predicted_frames=later)], "nod")
    assert found == pytest.approx(2 * 3 / (6 + 6))


def test_false_events_in_a_minute():
    events = [Event("nod", 1, 2), Event("turn", 4, 5), Event("shake", 7, 8)]
    one = [filmed([Event("shake", 7, 8)], events, seconds=30.0, excused=[False, True, False])]
    assert false_per_minute(one) == pytest.approx(2.0)
    assert false_per_minute(one, excuse=False) == pytest.approx(4.0)
    assert math.isnan(false_per_minute([]))


def test_balanced_f1_weighs_classes_alike():
    confusion = np.diag([100, 10, 10, 10, 10, 10])
    assert senses.balanced_f1(confusion) == pytest.approx(np.ones(6))
    confusion[0, 1] = 100  # half of the first class goes to the second
    scores = senses.balanced_f1(confusion)
    assert scores[0] == pytest.approx(2 / 3) and scores[1] == pytest.approx(0.8)


def test_true_events_are_runs_of_labels_with_their_amplitude():
    from hpe_vlm_ros.geometry import rotation_from_angles

    track = []
    for k in range(60):
        time = k / 10
        nods = 3.0 <= time < 4.5
        pitch = 8 * np.sin(2 * np.pi * 1.5 * (time - 3.0)) * nods
        gesture = "nod" if nods else "none"
        rotation = rotation_from_angles(0, pitch, 0).tolist()
        track.append((time, {"gesture": gesture, "rotation": rotation}))
    (event,) = senses.true_events(track)
    assert (event.name, event.start) == ("nod", 3.0)
    assert event.end == pytest.approx(4.5)
    assert event.amplitude == pytest.approx(8.0, abs=2.0)
    assert not senses.excusable(event, track)
    assert not senses.excusable(Event("turn", 3.0, 4.5), track)
    assert senses.excusable(Event("updown", 3.0, 4.5), track)
