# SPDX-License-Identifier: Apache-2.0
"""What is said of a rendered person is read off the picture."""

import numpy as np
import pytest

from training.synthetic.people.appearance import NAMES, appearance_of, colour_names

HEAD = np.array([40.0, 10, 60, 30])
COLOURS = {
    "black": (20, 20, 25),
    "white": (240, 240, 235),
    "gray": (128, 128, 128),
    "red": (200, 20, 20),
    "orange": (240, 130, 10),
    "brown": (100, 60, 20),
    "yellow": (230, 220, 40),
    "green": (30, 140, 40),
    "blue": (40, 60, 200),
    "purple": (130, 40, 190),
    "pink": (240, 140, 150),
}


@pytest.mark.parametrize("name", NAMES)
def test_colours_have_their_usual_names(name):
    pixels = np.array([COLOURS[name]], np.uint8)
    assert NAMES[colour_names(pixels)[0]] == name


def scene(chest):
    """A person in the middle: head 10..30, body 30..90, whose chest shows `chest`."""
    image, owners = np.full((100, 100, 3), 90, np.uint8), np.zeros((100, 100), np.uint8)
    owners[10:30, 40:60], owners[30:90, 30:70] = 2, 1
    image[30:90, 30:70] = chest
    return image, owners


def test_body_box_top_and_what_is_worn():
    image, owners = scene(COLOURS["green"])
    worn = {"body": "body", "cover": "hood", "glasses": "round", "shoes": "boots"}
    seen = appearance_of(image, owners, 1, HEAD, worn.items())
    assert seen.pop("area") == np.isin(owners, (1, 2)).sum()
    assert seen == {"body": [30, 10, 70, 90], "top": "green", "wears": ["glasses", "hood"]}


@pytest.mark.parametrize(
    ("garments", "words"),
    [
        ([("cover", "mask"), ("cover", "beanie")], ["hat", "mask"]),
        ([("hair", "beard"), ("hair", "short02")], ["beard"]),
        ([("cover", "cap"), ("cover", "respirator"), ("glasses", "discs")],
         ["cap", "glasses", "mask"]),
        ([("hat", "fedora01"), ("hair", "stubble")], ["hat"]),
        ([("cover", "turban"), ("hair", "fullbeard")], ["beard", "hat"]),
        ([("cover", "headscarf")], ["hood"]),
        ([("body", "skin"), ("hair", "bob01")], []),
    ],
)  # fmt: skip
def test_what_is_worn_has_its_name(garments, words):
    image, owners = scene(0)
    assert appearance_of(image, owners, 1, HEAD, garments)["wears"] == words


def test_a_top_of_many_colours_has_no_name():
    image, owners = scene(COLOURS["green"])
    image[::2] = COLOURS["red"]
    assert appearance_of(image, owners, 1, HEAD, [])["top"] is None


def test_a_hidden_person_has_no_body():
    image, owners = scene(0)
    assert appearance_of(image, np.zeros_like(owners), 1, HEAD, []) == {
        "body": None, "area": 0, "top": None, "wears": []
    }  # fmt: skip
