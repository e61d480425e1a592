# SPDX-License-Identifier: Apache-2.0
"""What Foxglove draws beside a head: its id, its yaw and the gesture that goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from std_msgs.msg import Header

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.extras.annotations import convert
from hpe_vlm_ros.people.gestures.events import Gesture
from hpe_vlm_ros.people.people import People, Person, View

SIZE = (320, 240)


@pytest.fixture(scope="module")
def person() -> Person:
    """A head with an id, 20 degrees to the image's left."""
    head = HeadEstimate((100, 80, 140, 130), 20.0, 0.0, 0.0, rotation_from_angles(20, 0, 0), 0.9)
    people = People()
    for k in range(5):
        (tracked,) = people.see(k * 10**8, [head], View(SIZE))
    assert tracked.head.id and np.isfinite(tracked.rotation).all()
    return tracked


def made(name: str, ended: bool) -> Gesture:
    return Gesture("h0001", name, 10**9, 2 * 10**9, 0.9, 8.0, 1, 2.0, ended=ended)


@pytest.mark.parametrize(
    ("gestures", "text"),
    [
        ((), "h0001 20 deg"),
        ((made("nod", ended=False),), "h0001 20 deg nod"),
        ((made("updown", ended=False),), "h0001 20 deg up/down"),
        ((made("nod", ended=True), made("shake", ended=False)), "h0001 20 deg shake"),
        ((made("nod", ended=True),), "h0001 20 deg"),
    ],
)
def test_a_gesture_is_drawn_while_it_lasts(person, gestures, text):
    shown = Shown(
        "camera", Header(), SIZE, [replace(person, gestures=gestures, gestures_known=True)]
    )
    drawn = convert(shown)
    assert [one.text for one in drawn.texts] == [text]
    assert (drawn.texts[0].position.x, drawn.texts[0].position.y) == (100.0, 76.0)
