# SPDX-License-Identifier: Apache-2.0
"""Questions and answers in words, about scenes whose geometry was chosen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.rays import ray_rotation, ray_to
from training.data import telling
from training.data.labels import read_labels
from training.data.prompts import instruction_prompts
from training.data.sample import Head, Instruction, Sample

WIDTH, HEIGHT, FOCAL = 640, 480, 600.0
LEFT, RIGHT = np.array([100.0, 90, 160, 170]), np.array([400.0, 90, 460, 170])


def person(box, yaw=0.0, pitch=0.0, away=2.0, raised=None):
    """A head that is turned so relative to the camera's ray; raised: hands that certainly are."""
    sample = Sample(None, WIDTH, HEIGHT, FOCAL)
    turn = ray_rotation(ray_to(sample.camera.matrix, box))
    head = Head(np.asarray(box, float), turn @ rotation_from_angles(yaw, pitch, 0))
    head.position = np.array([0.0, 0.0, away])
    head.raised = raised
    return head


@pytest.fixture(autouse=True)
def bodies(monkeypatch):
    """Facts of bodies as the test chose them; how keypoints tell them is tested in test_acts."""
    own = telling._own_facts

    def facts(head, sample):
        raised = getattr(head, "raised", None)
        hands = {} if raised is None else {
            f"{side} hand raised": side in raised for side in ("left", "right")
        }  # fmt: skip
        if hands:
            hands["both hands raised"] = all(hands.values())
        return hands | own(head, sample)

    monkeypatch.setattr(telling, "_own_facts", facts)


def scene(*heads, **known):
    return Sample(None, WIDTH, HEIGHT, known.pop("focal", FOCAL), list(heads), **known)


def answers_of(sample, kind):
    return {one.question: one.answer for one in telling.instructions_of(sample) if one.kind == kind}


B0, B1 = "[[156,187,250,354]]", "[[625,187,718,354]]"


def test_yes_and_no_about_one_person():
    answers = answers_of(scene(person(LEFT, yaw=0, raised=("left",))), "conversation")
    name = f"the person inside the bounding box {B0}"
    assert (
        answers[f"Is {name} looking at the camera?"] == "Yes, the person is looking at the camera."
    )
    assert answers[f"Does {name} have the left hand raised?"] == (
        "Yes, the person has the left hand raised."
    )
    assert answers[f"Does {name} have the right hand raised?"] == (
        "No, the person does not have the right hand raised."
    )
    assert answers[f"Is {name} facing up?"] == "No, the person is not facing up."
    assert not [question for question in answers if question.startswith("Who")]


@pytest.mark.parametrize(
    ("yaw", "pitch", "true", "false"),
    [
        (70, 0, {"left"}, {"frontal", "right", "up", "looking"}),
        (-70, 0, {"right"}, {"left", "looking"}),
        (0, 50, {"up"}, {"down", "looking"}),
        (180, 0, {"extreme"}, {"left", "right", "looking"}),
        (44, 0, set(), {"right", "up", "looking"}),  # between frontal and left: neither is asked
        (15, 0, {"frontal"}, {"left"}),  # between looking at the camera and not
    ],
)
def test_facing_is_told_where_it_is_certain(yaw, pitch, true, false):
    middle = np.array([300.0, 200, 340, 280])
    (one,) = telling.people_of(scene(person(middle, yaw, pitch)))
    assert {name for name, holds in one.facts.items() if holds} == true
    assert false <= {name for name, holds in one.facts.items() if not holds}
    if yaw in (44, 15):
        assert ("looking" in one.facts) == (yaw == 44) and ("left" in one.facts) == (yaw == 15)


def test_which_one_of_two():
    answers = answers_of(
        scene(person(LEFT, 0, away=1.0), person(RIGHT, 60, away=2.0)), "conversation"
    )
    form = "? answer in [[x0,y0,x1,y1]] format."
    assert answers[f"Who is looking at the camera{form}"] == B0
    assert answers[f"Who is nearest to the camera{form}"] == B0
    assert answers[f"Who is the rightmost person{form}"] == B1
    assert answers[f"Who is facing the left side of the image{form}"] == B1
    near = answers_of(scene(person(LEFT, 0, away=1.9), person(RIGHT, 0, away=2.0)), "conversation")
    assert not [q for q in near if q.startswith("Who") and ("nearest" in q or "looking" in q)]


def test_a_picture_with_others_in_it_tells_nothing_of_all():
    hidden = person(RIGHT)
    hidden.visible = 0.2
    for sample in (scene(person(LEFT), person(RIGHT), all_heads=False),
                   scene(person(LEFT), hidden)):  # fmt: skip
        kinds = {one.kind for one in telling.instructions_of(sample)}
        assert kinds == {"conversation"}
        assert not [
            one for one in telling.instructions_of(sample) if one.question.startswith("Who")
        ]


def test_descriptions_go_from_left_to_right_in_a_fixed_order():
    heads = [person(RIGHT, 60, away=2.0), person(LEFT, 0, away=1.0, raised=("left", "right"))]
    assert answers_of(scene(*heads), "description") == {
        "What are the people in this image doing?": f"The person inside the bounding box {B0} has "
        "both hands raised, is looking at the camera and is nearest to the camera. The person "
        f"inside the bounding box {B1} is facing the left side of the image."
    }


def test_who_may_want_attention_and_why():
    question = "Who in this image may want attention, and why?"
    asks, turned = person(LEFT, 0, raised=("left",)), person(RIGHT, 60, raised=("right",))
    assert answers_of(scene(asks, turned), "reasoning")[question] == (
        f"The person inside the bounding box {B0} may want attention: the left hand is raised and "
        "the person is looking at the camera."
    )
    assert (
        answers_of(scene(person(LEFT, 0, raised=()), turned), "reasoning")[question]
        == telling.NOBODY
    )
    unknown = person(LEFT, 0)  # who looks at the camera, and whose hands nobody knows
    assert answers_of(scene(unknown, turned), "reasoning") == {}


def test_without_a_known_camera_nobody_is_said_to_look_at_it():
    (one,) = telling.people_of(scene(person(LEFT), focal=None))
    assert "looking" not in one.facts and "frontal" in one.facts


def test_conversations_are_drawn_evenly():
    instructions = [Instruction("conversation", f"q{k}", "Yes.") for k in range(20)]
    instructions += [
        Instruction("conversation", "n", "No."),
        Instruction("conversation", "w", "[[1]]"),
    ]
    instructions += [Instruction("reasoning", "r", "Nobody.")]
    drawn = telling.chosen(instructions, 4, np.random.default_rng(0))
    assert sorted(one.answer for one in drawn) == ["No.", "Nobody.", "Yes.", "Yes.", "[[1]]"]


def test_the_command_writes_labels_that_are_read_back(scenes, tmp_path, capsys):
    telling.main(scenes, tmp_path / "out", most=2)
    counts = json.loads(capsys.readouterr().out.splitlines()[-1])
    samples = read_labels(tmp_path / "out")
    assert counts["pictures"] == len(samples) > 0
    assert sum(len(sample.instructions) for sample in samples) == sum(
        counts[k] for k in telling.KINDS
    )
    assert all(sample.image_path.exists() for sample in samples)


class Words:
    """Enough of a tokenizer: a token a word, and every number 000..999 one of its own."""

    eos_token_id = 1

    def encode(self, text, add_special_tokens=False):
        return [2 + len(word) for word in text.split()]

    def convert_tokens_to_ids(self, tokens):
        return [2, 1001]  # as where every number is a token


def test_answers_are_learnt_as_text_with_their_numbers():
    instructions = [Instruction(kind, "Where is it", "There it is") for kind in ("a", "a", "b")]
    prompts = instruction_prompts(instructions, Words(), 2, np.random.default_rng(0))
    assert len(prompts) == 2 and prompts[0].kinds == [0] * 4
