# SPDX-License-Identifier: Apache-2.0
"""The ninety questions: chosen from scenes with known answers, and judged by rules."""

from __future__ import annotations

import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.rays import ray_rotation, ray_to
from hpe_vlm_ros.skeleton import KEYPOINTS
from training.data.sample import Head, Instruction, Sample
from training.data.telling import CONVERSATION, DESCRIPTION, KINDS, NOBODY, REASONING
from training.evaluation import twin

WIDTH, HEIGHT, FOCAL = 640, 480, 600.0
BODY = {  # about the middle of the head; the wrists are added
    "nose": (0, 0), "left shoulder": (20, 30), "right shoulder": (-20, 30), "left elbow": (26, 62),
    "right elbow": (-26, 62), "left hip": (10, 84), "right hip": (-10, 84),
    "left knee": (11, 130), "right knee": (-11, 130), "left ankle": (12, 176),
    "right ankle": (-12, 176),
}  # fmt: skip
WRISTS = {"down": (28, 90), "up": (50, -4)}


def person(column, yaw, raised, away):
    """Somebody who stands, the left hand raised or not, and looks `yaw` past the camera."""
    box = np.array([column - 20.0, 80, column + 20, 130])
    sample = Sample(None, WIDTH, HEIGHT, FOCAL)
    turn = ray_rotation(ray_to(sample.camera.matrix, box))
    places = BODY | {"right wrist": (-28, 90), "left wrist": WRISTS["up" if raised else "down"]}
    if raised:
        places |= {"left elbow": (48, 26)}
    points = np.array([(*places.get(name, (0, 0)), 2 * (name in places)) for name in KEYPOINTS])
    head = Head(box, turn @ rotation_from_angles(yaw, 0, 0))
    head.position = np.array([0.0, 0.0, away])
    head.keypoints = points + np.array([column, 105, 0]) * (points[:, 2:] > 0)
    return head


def scene(number=0, raised=True):
    heads = [person(150.0 + number, 0, raised, 1.5), person(420.0, 65, False, 2.5)]
    return Sample(None, WIDTH, HEIGHT, FOCAL, heads)


@pytest.fixture(scope="module")
def asked():
    return twin.questions([scene(number, number % 2 == 0) for number in range(40)])


def test_ninety_questions_of_three_kinds(asked):
    kinds = [instruction.kind for _, instruction in asked]
    assert len(asked) == 90 and {kinds.count(kind) for kind in KINDS} == {30}
    talk = [instruction.answer[0] for _, instruction in asked if instruction.kind == CONVERSATION]
    assert {letter: talk.count(letter) for letter in "YN["} == {"Y": 10, "N": 10, "[": 10}
    assert twin.questions([scene(n, n % 2 == 0) for n in range(40)])[7][1] == asked[7][1]
    with pytest.raises(ValueError, match="only 3 scenes of 30"):
        twin.questions([scene()] * 3)


def test_true_answers_are_right_and_silence_is_not(asked):
    truth = {
        (id(sample), instruction.question): instruction.answer for sample, instruction in asked
    }
    numbers = twin.judged(asked, lambda sample, question: truth[id(sample), question])
    assert numbers == {"questions": 90, "right": 1.0} | dict.fromkeys(KINDS, 1.0)
    numbers = twin.judged(asked, lambda sample, question: "I cannot tell.")
    # half of the scenes have nobody who asks for attention, and that is what no box means
    assert numbers[CONVERSATION] == numbers[DESCRIPTION] == 0 and numbers[REASONING] == 0.5


NAMES = ["[[203,166,265,270]]", "[[625,166,687,270]]"]
FIRST, SECOND = (f"The person inside the bounding box {name}" for name in NAMES)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (f"{FIRST} is standing, is looking at the camera and is nearest to the camera. {SECOND} is "
         "standing and is facing the left side of the image.", True),
        (f"{FIRST} is standing and is looking at the camera. {SECOND} is standing.", True),
        (f"{FIRST} is standing.", False),  # too little
        (f"{FIRST} is sitting, is looking at the camera and is nearest to the camera. {SECOND} is "
         "standing and is facing the left side of the image.", False),
        ("Two people are standing.", False),  # of nobody in particular
        (f"{FIRST.replace('203', '803').replace('265', '865')} is standing.", False),
    ],
)  # fmt: skip
def test_descriptions_say_enough_and_nothing_wrong(answer, right):
    assert twin.is_right(scene(), Instruction(DESCRIPTION, "", ""), answer) is right


@pytest.mark.parametrize(
    ("kind", "true", "answer", "right"),
    [
        (CONVERSATION, "Yes, the person is standing.", " yes!", True),
        (CONVERSATION, "Yes, the person is standing.", "No, the person is not.", False),
        (CONVERSATION, "No, the person is not standing.", "Not that I know.", False),
        (CONVERSATION, "[[100,100,200,200]]", "It is [[105,100,205,200]].", True),
        (CONVERSATION, "[[100,100,200,200]]", "[[300,100,400,200]]", False),
        (REASONING, f"{FIRST} may want attention: ...", f"{NAMES[0]} does.", True),
        (REASONING, f"{FIRST} may want attention: ...", f"{NAMES[0]} and {NAMES[1]}.", False),
        (REASONING, f"{FIRST} may want attention: ...", "Nobody.", False),
        (REASONING, NOBODY, f"{NAMES[0]}", False),
    ],
)
def test_rules_judge(kind, true, answer, right):
    assert twin.is_right(scene(), Instruction(kind, "", true), answer) is right
