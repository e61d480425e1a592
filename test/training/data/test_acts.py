# SPDX-License-Identifier: Apache-2.0
"""What bodies do, by bodies drawn by hand: each limb where the name of the act wants it."""

from __future__ import annotations

import numpy as np
import pytest

from hpe_vlm_ros.skeleton import KEYPOINTS
from hpe_vlm_ros.tasks import act, yes_no
from training.data.acts import arms_of, facts_of, posture_of

STANDING = {  # pixels, from the front: the person's left is the picture's right
    "nose": (100, 40), "left eye": (104, 36), "right eye": (96, 36), "left ear": (108, 38),
    "right ear": (92, 38), "left shoulder": (120, 60), "right shoulder": (80, 60),
    "left elbow": (126, 92), "right elbow": (74, 92), "left wrist": (128, 120),
    "right wrist": (72, 120), "left hip": (110, 114), "right hip": (90, 114),
    "left knee": (111, 160), "right knee": (89, 160), "left ankle": (112, 206),
    "right ankle": (88, 206),
}  # fmt: skip
SITTING = {"left knee": (114, 126), "right knee": (86, 126), "left ankle": (114, 168),
           "right ankle": (86, 168)}  # fmt: skip
ARMS = {
    "arms down": {},
    "left hand raised": {"left elbow": (148, 56), "left wrist": (150, 26)},
    "right hand raised": {"right elbow": (52, 56), "right wrist": (50, 26)},
    "both hands raised": {"left elbow": (148, 56), "left wrist": (150, 26),
                          "right elbow": (52, 56), "right wrist": (50, 26)},
    "arms crossed": {"left elbow": (124, 90), "left wrist": (88, 88), "right elbow": (76, 90),
                     "right wrist": (112, 86)},
    "hand at the face": {"left elbow": (124, 80), "left wrist": (108, 56)},
}  # fmt: skip


def body(**moved):
    """A standing body, seen whole, with some keypoints elsewhere (None: covered)."""
    places = STANDING | {name.replace("_", " "): place for name, place in moved.items()}
    rows = []
    for name in KEYPOINTS:
        x, y = places[name] or STANDING[name]
        rows.append([x, y, 1 if places[name] is None else 2])
    return np.array(rows, float)


def posed(arms, seated=False):
    moved = ARMS[arms] | (SITTING if seated else {})
    return body(**{name.replace(" ", "_"): place for name, place in moved.items()})


@pytest.mark.parametrize("label", act.LABELS)
def test_every_act_is_told(label):
    posture, arms = label.split(", ")
    points = posed(arms, posture == "sitting")
    assert (posture_of(points), arms_of(points)) == (posture, arms)
    facts = facts_of(points)
    assert facts[posture] and not facts["sitting" if posture == "standing" else "standing"]
    assert set(facts) <= set(yes_no.STATEMENTS)
    held = {name for name in facts if name in act.ARMS and facts[name]}
    expected = {arms} - {"arms down"}
    if arms == "both hands raised":
        expected |= {"left hand raised", "right hand raised"}
    assert held == expected


@pytest.mark.parametrize("arms", ARMS)
def test_the_mirror_image_swaps_left_and_right(arms):
    points = posed(arms)
    order = [KEYPOINTS.index(_other(name)) for name in KEYPOINTS]
    mirrored = points[order] * [-1, 1, 1] + [200, 0, 0]
    assert arms_of(mirrored) == _other(arms)


def _other(name):
    swap = {"left": "right", "right": "left"}
    return " ".join(swap.get(word, word) for word in name.split())


def test_size_and_place_do_not_matter():
    for scale in (0.2, 7.0):
        points = posed("arms crossed") * [scale, scale, 1] + [-300, 90, 0]
        assert facts_of(points) == facts_of(posed("arms crossed"))


def test_what_a_rule_needs_must_be_seen():
    assert "left hand raised" not in facts_of(body(left_wrist=None))
    assert facts_of(body(left_wrist=None))["right hand raised"] is False
    covered = facts_of(body(left_knee=None, right_knee=None))
    assert not {"standing", "sitting", "knees bent"} & set(covered)
    assert posture_of(body(left_knee=None)) == "standing"  # the other leg tells
    assert facts_of(np.zeros((17, 3))) == {}


def test_between_two_acts_nothing_is_told():
    level = body(left_elbow=(150, 62), left_wrist=(175, 58))  # stretched out to the side
    assert "left hand raised" not in facts_of(level) and arms_of(level) is None
    low_stool = {"left_knee": (114, 140), "right_knee": (86, 140)}
    low_stool |= {"left_ankle": (114, 180), "right_ankle": (86, 180)}
    assert posture_of(body(**low_stool)) is None
    near_face = body(left_elbow=(138, 85), left_wrist=(136, 52))
    assert "hand at the face" not in facts_of(near_face)


def test_bent_knees_show_from_the_side_alone():
    bent = body(left_knee=(140, 150), left_ankle=(112, 190))
    assert facts_of(bent)["knees bent"] is True
    assert facts_of(body())["knees bent"] is False
    towards_us = posed("arms down", seated=True)  # thighs point at the camera
    assert "knees bent" not in facts_of(towards_us)
