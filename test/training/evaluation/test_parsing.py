# SPDX-License-Identifier: Apache-2.0
"""Reading answers loosely and strictly."""

import pytest

from hpe_vlm_ros.answers import format_boxes
from training.evaluation.parsing import (
    loose_angles,
    loose_boxes,
    referred_box,
    strict_angles,
    strict_boxes,
)

BOX = (1, 2, 30, 40)


@pytest.mark.parametrize(
    ("text", "loose", "strict"),
    [
        ("The head orientation angles are {072,354,002}.", (72, -6, 2), (72, -6, 2)),
        ("the angle is {11, 211, 312, 71, 21}", (11, -149, -48), None),
        ("{001, 359, 002]]", (1, -1, 2), (1, -1, 2)),
        ("{12, 45, 78, 90]]", (12, 45, 78), None),
        ("{361,180,360}", (1, 180, 0), None),
        ("{072,354", None, None),
        ("a person of head", None, None),
        ("", None, None),
    ],
)
def test_angles(text, loose, strict):
    assert loose_angles(text) == loose
    assert strict_angles(text) == strict


@pytest.mark.parametrize(
    ("text", "loose", "strict"),
    [
        (format_boxes([BOX, (5, 6, 7, 8)]), [BOX, (5, 6, 7, 8)], [BOX, (5, 6, 7, 8)]),
        (format_boxes([]), [], []),
        ("{001,002,030,040}", [BOX], [BOX]),
        ("[[001,002,030,040;005,006]]", [BOX], None),
        ("[[030,040,001,002]]", [(30, 40, 1, 2)], None),
        ("[[001,002,030,1000]]", [(1, 2, 30, 1000)], None),
        ("three heads", None, None),
        ("001 002", None, None),
    ],
)
def test_boxes(text, loose, strict):
    assert loose_boxes(text) == loose
    assert strict_boxes(text) == strict


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("[[001,002,030,040]]", BOX),
        ("[[010,002,030,040;001,005,006,007]]", BOX),
        ("it is [[001,002,030,040]]", BOX),
        ("[[]]", None),
        ("[[001,002,030", None),
        ("nobody", None),
    ],
)
def test_boxes_of_who_is_described(text, box):
    assert referred_box(text) == box
