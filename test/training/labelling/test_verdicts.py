# SPDX-License-Identifier: Apache-2.0
"""What reviewers write of photographs, and the labels it makes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.labelling.judged import judge_files, judged, read_judged
from training.labelling.proposals import SECTORS, Proposal, as_record, sector_of, sector_yaw
from training.labelling.verdicts import read_verdicts

FACE = Proposal((10.0, 10.0, 50.0, 60.0), "face", 0.9, (50.0, -3.0, 1.0), (4.0, 2.0, 1.0))
GUESS = Proposal((100.0, 20.0, 140.0, 70.0), "model", 0.4, (170.0, 0.0, 0.0), (9.0, 9.0, 9.0))


def row(*proposals):
    return {
        "image": "set/a.jpg", "id": "abc123", "sha256": "abc123ff", "width": 200, "height": 100,
        "proposals": [as_record(p) for p in proposals],
    }  # fmt: skip


def label(line, *proposals):
    (verdict,) = read_verdicts(line).values()
    return judged(row(*proposals), verdict)


def test_every_part_of_a_line_is_read():
    text = "# note\n\nabc123 whole; 1 ok; 2 BL box 1,2,30,40.5; 3 no; new 5,6,7,8 ?; ignore 0,0,9,9"
    (verdict,) = read_verdicts(text).values()
    assert verdict.whole and not verdict.drop
    assert verdict.heads == {1: ("ok", None), 2: ("BL", (1, 2, 30, 40.5))}
    assert verdict.no == {3}
    assert verdict.new == [((5, 6, 7, 8), "?")] and verdict.ignore == [(0, 0, 9, 9)]


@pytest.mark.parametrize(
    "part", ["1 XX", "new 1,2,3,4", "box 1,2,3,4", "1 F box 4,4,1,9", "1 F box 1,2,3", "perhaps"]
)
def test_a_part_that_means_nothing_is_named_with_its_line(part):
    with pytest.raises(ValueError, match="mine.txt, line 2"):
        read_verdicts(f"aaaaaa whole\nbbbbbb whole; {part}", "mine.txt")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        read_verdicts(text)
    except ValueError as error:
        assert "line" in str(error)


def test_sure_faces_need_no_word_and_guesses_do():
    heads = label("abc123 whole; 2 no", FACE, GUESS)["heads"]
    assert [(h["source"], h["facing"]) for h in heads] == [("face", "FL")]
    with pytest.raises(ValueError, match=r"nothing is said of \[2\]"):
        label("abc123 whole", FACE, GUESS)


def test_a_photograph_judged_in_part_leaves_guesses_out():
    made = label("abc123 1 ok", FACE, GUESS)
    assert not made["whole"] and len(made["heads"]) == 1


def test_a_pose_is_kept_where_it_agrees_with_the_eye():
    assert label("abc123 whole; 1 L", FACE)["heads"][0]["angles"] == [50.0, -3.0, 1.0]
    assert "angles" not in label("abc123 whole; 1 R", FACE)["heads"][0]
    assert "angles" not in label("abc123 whole; 1 ?", FACE)["heads"][0]


def test_boxes_are_clipped_to_the_photograph_and_heads_sorted():
    made = label("abc123 whole; 1 ok; new -5,50,8,140 B", FACE)
    assert [h["box"] for h in made["heads"]] == [[0.0, 50.0, 8.0, 100.0], [10.0, 10.0, 50.0, 60.0]]
    assert made["heads"][0]["facing"] == "B" and made["heads"][0]["source"] == "eye"


def test_dropped_photographs_have_no_heads():
    made = label("abc123 drop", FACE, GUESS)
    assert made["drop"] and made["heads"] == [] and not made["whole"]


@pytest.mark.parametrize("line", ["abc123 whole; 3 no; 2 no", "abc123 whole; 1 no; 1 F; 2 no"])
def test_numbers_that_are_not_there_or_told_twice_are_refused(line):
    with pytest.raises(ValueError, match="abc123"):
        label(line, FACE, GUESS)


def test_files_are_judged_whole_or_not_at_all(tmp_path):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("abc123 whole; 2 no")
    bad.write_text("ffffff whole")
    with pytest.raises(ValueError, match="ffffff"):
        judge_files([row(FACE, GUESS)], [good, bad], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    counts = judge_files([row(FACE, GUESS)], [good], tmp_path / "out")
    assert counts["photographs whole"] == 1 and counts["no heads"] == 1
    good.write_text("abc123 whole; 2 B")  # judged again: replaced, not added
    judge_files([row(FACE, GUESS)], [good], tmp_path / "out")
    (line,) = read_judged(tmp_path / "out")
    assert len(line["heads"]) == 2 and json.dumps(line)


@given(st.sampled_from(SECTORS))
def test_a_sector_is_that_of_its_middle(sector):
    assert sector_of(sector_yaw(sector)) == sector


@pytest.mark.parametrize(("yaw", "sector"), [(0, "F"), (44, "FL"), (-91, "R"), (179, "B")])
def test_positive_yaw_is_the_image_s_left(yaw, sector):
    assert sector_of(yaw) == sector
