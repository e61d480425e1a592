# SPDX-License-Identifier: Apache-2.0
"""What is answered, about whom, and what is refused and how."""

from dataclasses import replace

import numpy as np
import pytest

from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.people.gestures.events import Gesture
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.people.queries import QUESTIONS, Refused, answer, direction, understands

SIZE = (320, 240)
CAMERA, SHAPE = CameraIntrinsics(300.0, 300.0, 160.0, 120.0), HeadShape(0.3, (0.0, 0.0, -0.09))


def people(*heads, frames=1):
    """(x, side, yaw) each."""
    estimates = [
        HeadEstimate(
            (x - s / 2, 120 - s / 2, x + s / 2, 120 + s / 2),
            yaw,
            0.0,
            0.0,
            rotation_from_angles(yaw, 0, 0),
            0.9,
        )
        for x, s, yaw in heads
    ]
    crowd = People()
    for k in range(frames):
        found = crowd.see(k * 10**8, estimates, View(SIZE, CAMERA, SHAPE))
    return found


# Far on the left and looks aside; near in the middle and looks here; on the right, turned away.
THREE = people((50, 20, -90), (160, 60, 0), (280, 30, 180), frames=3)


def test_an_id_may_be_named_with_its_prefix_and_without():
    heads = people((50, 20, -90), (280, 30, 180), frames=3)
    named = [
        replace(person, head=replace(person.head, id=name))
        for person, name in zip(heads, ("R1_h0001", "R1_h0011"), strict=True)
    ]
    for words in ("r1_h0001", "the person R1_h0001", "h0001"):
        assert answer(f"Where is {words}?", named, SIZE).people == (named[0],)
    with pytest.raises(Refused):
        answer("Where is r2_h0001?", named, SIZE)


@pytest.mark.parametrize(
    ("question", "words", "about"),
    [
        ("How many people are there?", "3 people are in the image.", [0, 1, 2]),
        ("how many people", "3 people", [0, 1, 2]),
        ("How many people are looking at you?", "One person is looking", [1]),
        ("Who is looking at the robot?", "h0002", [1]),
        ("Where is the nearest person?", "h0002 is in the middle, 1.4 m", [1]),
        ("Where is the person on the left?", "h0001 is on the left, 4", [0]),
        ("Where is the farthest person looking?", "to the image's right", [0]),
        ("Where is h0003 looking?", "away from the camera", [2]),
        ("Where is the person looking at the robot?", "in the middle", [1]),
        ("Where is the person in [[125,458,187,541]] looking?", "h0001 is looking", [0]),
        ("  WHERE  IS the person in the middle LOOKING ? ", "looking at the robot", [1]),
    ],
)
def test_answers(question, words, about):
    reply = answer(question, THREE, SIZE)
    assert words in reply.text, reply.text
    assert list(reply.people) == [THREE[i] for i in about]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the user holding?", "cannot be answered; ask How many people are there?"),
        ("Where is the person?", "3 people are 'the person'"),
        ("Where is the person in the red hat?", "'the person in the red hat' is not understood"),
        ("Where is h0009?", "nobody is 'h0009', of 3"),
        ("Where is the person in [[900,900,999,999]] looking?", "no head is in"),
        ("", "cannot be answered"),
    ],
)
def test_refusals_say_why_and_what_can_be_asked(question, words):
    with pytest.raises(Refused, match=".+") as caught:
        answer(question, THREE, SIZE)
    assert words in str(caught.value)


def test_nobody():
    assert answer("How many people are there?", [], SIZE).text == "Nobody is in the image."
    assert answer("Who is looking at me?", [], SIZE).people == ()
    with pytest.raises(Refused, match="nobody is in the image"):
        answer("Where is the nearest person?", [], SIZE)


def test_heads_without_an_id_are_named_by_their_box():
    (person,) = people((160, 60, 0))
    assert "[[406,375,593,625]]" in answer("Where is the person?", [person], SIZE).text


def test_every_documented_question_is_understood():
    for question in QUESTIONS:
        assert understands(question.replace("<description>", "the nearest person")), question
    assert not understands("Tell me a story")


@pytest.mark.parametrize(
    ("yaw", "pitch", "words"),
    [
        (90, 0, "to the image's left"),
        (-90, 0, "to the image's right"),
        (180, 0, "away from the camera"),
        (0, 60, "up and towards"),
        (0, -60, "down"),
        (-135, 0, "to the image's right and away from the camera"),
    ],
)
def test_directions(yaw, pitch, words):
    (person,) = people((160, 60, 0))
    turned = HeadEstimate(person.box, yaw, pitch, 0, rotation_from_angles(yaw, pitch, 0), 1.0)
    crowd = People()
    (person,) = crowd.see(0, [turned], View(SIZE))
    assert words in direction(person)
    assert np.isfinite(person.rotation).all()


def nodding(**fields):
    person = THREE[1]
    gesture = Gesture(person.head.id, "nod", 10**9, 24 * 10**8, 0.9, 8.0, -1, 2.0, **fields)
    return [THREE[0], replace(person, gestures=(gesture,), gestures_known=True), THREE[2]]


@pytest.mark.parametrize(
    ("question", "ended", "words"),
    [
        ("Did h0002 nod?", True, "Yes, h0002 did: nod (8 degrees, 1.4 s)."),
        ("did the nearest person nod the head", True, "Yes, h0002"),
        ("Did h0002 shake the head?", True, "No, h0002 did not"),
        ("Did the person in the middle look down?", True, "No, h0002"),
        ("What did h0002 do?", False, "h0002: nod (8 degrees, going on)."),
    ],
)
def test_gestures_are_told(question, ended, words):
    heads = nodding(ended=ended)
    reply = answer(question, heads, SIZE)
    assert reply.text.startswith(words)
    assert reply.people == (heads[1],)


def test_gestures_that_nobody_asks_for_are_refused():
    with pytest.raises(Refused, match="parameter gestures"):
        answer("Did h0001 nod?", nodding(), SIZE)
    with pytest.raises(Refused, match="cannot be answered"):
        answer("Did h0002 jump?", nodding(), SIZE)


def test_facing_is_a_word_with_its_probability():
    said = [answer(f"Which way is h000{n} facing?", THREE, SIZE).text for n in (1, 2, 3)]
    assert "away" in said[2] and "the front, with probability" in said[1]
    assert "right" in said[0] or "extreme" in said[0]
