# SPDX-License-Identifier: Apache-2.0
"""The answer grammar: every example of the paper's Table II, edges of each rule, and inverses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.answers import (
    DETECTION_PROMPT,
    Parsed,
    Reason,
    format_angles,
    format_boxes,
    grid_box,
    parse_angles,
    parse_boxes,
    pixel_box,
    pose_prompt,
)

TWO = [(106, 168, 148, 242), (245, 168, 270, 230)]
TWO_TEXT = "Their head bounding boxes are [[106,168,148,242;245,168,270,230]]."


def test_table_ii_prompts() -> None:
    assert DETECTION_PROMPT == (
        "How many human heads are in this image and what are the head bounding boxes?"
    )
    assert pose_prompt((106, 168, 148, 242)) == (
        "What is the head yaw pitch roll inside the bounding box [[106,168,148,242]]?"
    )


def test_table_ii_correct_answers() -> None:
    assert format_boxes(TWO) == TWO_TEXT
    assert parse_boxes(TWO_TEXT) == Parsed(TWO)
    assert format_angles(72, -6, 2) == "The head orientation angles are {072,354,002}."
    assert parse_angles("The head orientation angles are {072,354,002}.") == Parsed((72, -6, 2))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # Table II
        ("[[000,111,222,333…", Reason.RECYCLED_OUTPUT),
        ("{112,432,211}", Reason.ANGLE_FORMAT),
        ("A man in Red", Reason.TEXT),
        ("[[212,123,212}", Reason.MIXED),
        ("[[234,134,100,111]]", Reason.LOGICAL_ERROR),
        # edges
        ("", Reason.TEXT),
        ("000,111,222,333", Reason.TEXT),
        ("[[a man in red]]", Reason.TEXT),
        ("[[٠٠٠,١١١,٢٢٢,٣٣٣]]", Reason.TEXT),
        ("[[106,168,148]]", Reason.WRONG_NUMBER),
        ("[[106,168,148,242,245]]", Reason.WRONG_NUMBER),
        ("[[106,168,148,242;]]", Reason.WRONG_NUMBER),
        ("[[106,168,148,242;245,168,270]]", Reason.WRONG_NUMBER),
        ("[[106,168,148,1000]]", Reason.WRONG_NUMBER),
        ("[[6,168,148,242]]", Reason.WRONG_NUMBER),
        ("[[106, 168, 148, 242]]", Reason.WRONG_NUMBER),
        ("[[106,168,106,242]]", Reason.LOGICAL_ERROR),
        ("[[106,168,148,168]]", Reason.LOGICAL_ERROR),
        ("[[106,168,148,242;234,134,100,111]]", Reason.LOGICAL_ERROR),
        ("[[106,168,148,242]", Reason.RECYCLED_OUTPUT),
        ("[[106,168,148,242]] [[106,168,148,242]]", Reason.RECYCLED_OUTPUT),
        ("[[106,168,148,242]] [[106,", Reason.RECYCLED_OUTPUT),
        ("[106,168,148,242]", Reason.MIXED),
        ("[ [106,168,148,242]]", Reason.MIXED),
        ("106,168,148,242]]", Reason.MIXED),
        ("[[106,168,148,242]] {072,354,002}", Reason.MIXED),
        ("[[106,168,148,242]] }", Reason.MIXED),
        ("{", Reason.ANGLE_FORMAT),
    ],
)
def test_invalid_boxes(text: str, reason: Reason) -> None:
    assert parse_boxes(text) == Parsed(reason=reason)
    assert not parse_boxes(text).valid


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # Table II
        ("{112,432,211,201}", Reason.WRONG_NUMBER),
        ("[[234,134,100,111]]", Reason.BOX_FORMAT),
        ("A person head", Reason.TEXT),
        ("[[212,123,212}", Reason.MIXED),
        ("{999,389,001}", Reason.LOGICAL_ERROR),
        # edges
        ("072,354,002", Reason.TEXT),
        ("{left,up,none}", Reason.TEXT),
        ("{٠٧٢,٣٥٤,٠٠٢}", Reason.TEXT),
        ("{}", Reason.WRONG_NUMBER),
        ("{072,354}", Reason.WRONG_NUMBER),
        ("{072,354,2}", Reason.WRONG_NUMBER),
        ("{072,354,0002}", Reason.WRONG_NUMBER),
        ("{072;354;002}", Reason.WRONG_NUMBER),
        ("{072,-06,002}", Reason.WRONG_NUMBER),
        ("{072,354,361}", Reason.LOGICAL_ERROR),
        ("{072,354,002", Reason.RECYCLED_OUTPUT),
        ("{072,354,002} {072,354,002}", Reason.RECYCLED_OUTPUT),
        ("{072,354,002} {072,354,002} {072,3", Reason.RECYCLED_OUTPUT),
        ("{{072,354,002}}", Reason.MIXED),
        ("072,354,002}", Reason.MIXED),
        ("}072,354,002{", Reason.MIXED),
        ("{072,354,002} [[106,168,148,242]]", Reason.MIXED),
        ("{072,354,002} [", Reason.MIXED),
    ],
)
def test_invalid_angles(text: str, reason: Reason) -> None:
    assert parse_angles(text) == Parsed(reason=reason)


def test_text_around_a_group_does_not_matter() -> None:
    assert parse_angles("12 heads; it is\n{180,181,360} or so, 100 %").value == (180, -179, 0)
    assert parse_boxes("1 head (of 2): [[000,000,999,999]], I think").value == [(0, 0, 999, 999)]


def test_no_heads_is_a_valid_answer() -> None:
    assert format_boxes([]) == "Their head bounding boxes are [[]]."
    assert parse_boxes(format_boxes([])) == Parsed([])
    assert parse_boxes("[[]]").valid


def test_reasons_read_as_in_the_paper() -> None:
    assert str(Reason.RECYCLED_OUTPUT) == f"{Reason.RECYCLED_OUTPUT}" == "recycled output"


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    x0, y0 = draw(st.integers(0, 998)), draw(st.integers(0, 998))
    return x0, y0, draw(st.integers(x0 + 1, 999)), draw(st.integers(y0 + 1, 999))


# Pieces of answers, so that half-right ones are common, and any text there is.
pieces = st.sampled_from(["[[", "]]", "[", "]", "{", "}", ",", ";", "012", "360", "999", "7", " a"])
fuzz = st.one_of(st.text(), st.lists(pieces, max_size=20).map("".join))
plain = fuzz.filter(lambda text: not set(text) & set("[]{}"))


@given(st.lists(boxes(), max_size=12))
def test_boxes_round_trip(value: list[tuple[int, int, int, int]]) -> None:
    assert parse_boxes(format_boxes(value)).value == value


@given(*[st.integers(-179, 180)] * 3)
def test_angles_round_trip(yaw: int, pitch: int, roll: int) -> None:
    assert parse_angles(format_angles(yaw, pitch, roll)).value == (yaw, pitch, roll)


@given(st.tuples(*[st.floats(-1e6, 1e6)] * 3))
def test_any_finite_angle_is_written_to_the_nearest_degree(angles: tuple[float, ...]) -> None:
    parsed = parse_angles(format_angles(*angles)).value
    assert parsed is not None
    for angle, read in zip(angles, parsed, strict=True):
        assert -180 < read <= 180
        assert abs(math.remainder(angle - read, 360)) <= 0.5 + 1e-6


@given(fuzz)
def test_no_input_raises_and_what_parses_writes_the_same(text: str) -> None:
    found = parse_boxes(text)
    assert found.valid == (found.value is not None) == (found.reason is None)
    if found.value is not None:
        assert format_boxes(found.value)[len("Their head bounding boxes are ") : -1] in text
    angles = parse_angles(text)
    assert angles.valid == (angles.value is not None)
    assert not (found.valid and angles.valid)


@given(plain, plain)
def test_valid_whatever_text_stands_around(before: str, after: str) -> None:
    assert parse_angles(before + "{072,354,002}" + after).value == (72, -6, 2)
    assert parse_boxes(before + "[[106,168,148,242]]" + after).value == TWO[:1]


@pytest.mark.parametrize("nonsense", [None, b"{072,354,002}", 7])
def test_what_is_no_text_is_no_answer(nonsense: object) -> None:
    assert parse_angles(nonsense).reason is Reason.TEXT  # type: ignore[arg-type]
    assert parse_boxes(nonsense).reason is Reason.TEXT  # type: ignore[arg-type]


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 9, 6, 8), (-1, 0, 5, 5), (0, 0, 1000, 5)])
def test_writing_an_invalid_box_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="0..999"):
        format_boxes([box])
    with pytest.raises(ValueError, match="0..999"):
        pose_prompt(box)


def test_writing_an_infinite_angle_is_refused() -> None:
    with pytest.raises(ValueError, match="pitch is nan"):
        format_angles(0, math.nan, 0)


def test_grid_cells_of_pixels() -> None:
    assert grid_box((64, 120, 320.5, 480), 640, 480) == (100, 250, 500, 999)
    assert grid_box((-20, -5, 700, 500), 640, 480) == (0, 0, 999, 999)
    assert pixel_box((100, 250, 500, 999), 640, 480) == pytest.approx(
        (64.32, 120.24, 320.32, 479.76)
    )


@given(boxes(), st.integers(1, 10_000), st.integers(1, 10_000))
def test_pixels_and_cells_are_inverse(
    box: tuple[int, int, int, int], width: int, height: int
) -> None:
    assert grid_box(pixel_box(box, width, height), width, height) == box


@given(*[st.floats(-50, 5000)] * 4)
def test_every_grid_box_fits_an_answer(x0: float, y0: float, x1: float, y1: float) -> None:
    box = grid_box((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), 4096, 2160)
    assert parse_boxes(format_boxes([box])).value == [box]


@pytest.mark.parametrize(
    ("box", "size", "message"),
    [
        ((0, 0, math.nan, 5), (10, 10), "finite"),
        ((5, 0, 4, 5), (10, 10), "x0 <= x1"),
        ((0, 0, 4, 5), (0, 10), "0 x 10 pixels"),
    ],
)
def test_impossible_pixels_are_refused(
    box: tuple[float, ...], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        grid_box(box, *size)
