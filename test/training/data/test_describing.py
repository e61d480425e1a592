# SPDX-License-Identifier: Apache-2.0
"""Descriptions fit exactly one person, also in mirrored pictures."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.answers import referring_prompt
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer
from training.data.augment import mirrored
from training.data.describing import describe
from training.data.sample import Appearance, Head

PLACES = ("on the left", "in the middle", "on the right")
FRONT, BACK, SIDE = (rotation_from_angles(yaw, 0, 0) for yaw in (0.0, 180.0, 90.0))


def person(x, top=None, wears=(), height=40.0, turn=SIDE):
    box = np.array([x - height / 2, 50, x + height / 2, 50 + height])
    return Head(box, turn, appearance=Appearance(box + [0, 0, 0, 100], top, frozenset(wears)))


def descriptions(heads, width=300):
    return {
        sentence.removeprefix("the person "): tuple(expression.box)
        for expression in describe(heads, width)
        for sentence in expression.sentences
    }


def test_each_kind_of_trait_singles_out():
    left = person(40, "red", ["glasses"], turn=FRONT)
    right = person(260, "blue", ["hat"], height=80, turn=BACK)
    words = descriptions([left, right])
    for text in ("in the red shirt", "with glasses", "on the left", "facing the camera"):
        assert words[text] == tuple(left.appearance.body), text
    for text in ("in the blue shirt", "with a hat", "nearest to the camera", "turned away"):
        assert words[text] == tuple(right.appearance.body), text


def test_what_fits_two_is_said_only_together_with_more():
    words = descriptions([person(40, "red"), person(250, "red"), person(270, "blue")])
    assert "in the red shirt" not in words and "on the right" not in words
    assert words["in the red shirt on the right"] == tuple(person(250).appearance.body)


def test_an_unknown_colour_could_be_any():
    words = descriptions([person(40, "red"), person(260, None)])
    assert "in the red shirt" not in words
    assert "in the red shirt on the left" in words


def test_nobody_described_nothing_said():
    assert describe([], 300) == []
    assert describe([Head(np.array([0.0, 0, 9, 9]), FRONT)], 300) == []


def test_who_is_out_of_the_picture_is_not_asked_for():
    gone = person(300, "blue")
    body = np.array([300.0, 50, 300, 190])  # cut off by the border
    gone.appearance = replace(gone.appearance, body=body)
    words = descriptions([person(40, "red"), gone])
    assert "in the red shirt" in words and "in the blue shirt" not in words


def test_some_pairs_of_traits_are_kept_for_the_test():
    colours, places = ("black", "white", "gray", "red", "orange", "green", "blue"), (40, 150, 260)
    taught, withheld = set(), set()
    for first in colours:
        for second in set(colours) - {first}:
            for x in places:
                others = [person(at, first) for at in places if at != x]
                heads = [person(x, first), person(x, second), *others]
                for sentences, kept in ((taught, False), (withheld, True)):
                    found = describe(heads, 300, withheld=kept)
                    sentences.update(s for e in found for s in e.sentences)
    assert not taught & withheld
    pairs = {f"the person in the {c} shirt {p}" for c in colours for p in PLACES}
    assert pairs <= taught | withheld
    assert 0.1 < len(pairs & withheld) / len(pairs) < 0.4


def test_a_mirror_swaps_left_and_right():
    heads = [person(40, "red"), person(260, "blue")]
    _, swapped = mirrored(np.zeros((200, 300, 3), np.uint8), heads)
    words = descriptions(swapped)
    x0, _, x1, _ = words["in the red shirt on the right"]
    assert (x0 + x1) / 2 == pytest.approx(260)


people = st.builds(
    person,
    st.floats(0, 300),
    st.sampled_from([None, "red", "blue", "black"]),
    st.sets(st.sampled_from(["glasses", "hat", "mask", "beard", "cap", "helmet", "hood"])),
    st.floats(10, 120),
    st.sampled_from([FRONT, BACK, SIDE]),
)


@given(st.lists(people, max_size=5))
def test_the_vocabulary_has_every_word_and_no_two_people_one_description(heads):
    tokenizer = build_tokenizer()
    expressions = describe(heads, 300)
    sentences = [sentence for e in expressions for sentence in e.sentences]
    assert len(sentences) == len(set(sentences))
    for sentence in sentences:
        assert tokenizer.unk_token_id not in tokenizer.encode(referring_prompt(sentence))
