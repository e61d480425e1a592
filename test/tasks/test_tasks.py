# SPDX-License-Identifier: Apache-2.0
"""Tasks as data: each asks in words, and answers that its grammar lets through can be read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.skeleton import KEYPOINTS
from hpe_vlm_ros.tasks import (
    TASKS,
    Parsed,
    Reason,
    Task,
    act,
    facing,
    gesture,
    keypoints,
    register,
    yes_no,
)
from hpe_vlm_ros.tasks.body_text import body_numbers, body_text
from hpe_vlm_ros.tasks.label import parse_label
from hpe_vlm_ros.vlm.decoding.constrained import Answer, Decision
from hpe_vlm_ros.vlm.decoding.grammar import AnswerGrammar, Choice, Kind, allowed_after
from hpe_vlm_ros.vlm.decoding.scores import label_probabilities
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer, build_vocabulary

BOX = (100, 200, 300, 400)
BODY = np.array([[10.0 * k, 200 - 7 * k, 2] for k in range(17)])
ABOUT = {
    "heads": (),
    "pose": (BOX,),
    "referring": ("the person on the left",),
    "facing": (BOX,),
    "gesture": (np.zeros((20, 5)),),
    "keypoints": (BOX, "left wrist"),
    "act": (BODY,),
    "yes_no": ("arms crossed", BODY),
}
GRAMMAR_ARGUMENTS = {"heads": (5,)}

TOY = Task[str](
    name="toy",
    question=lambda box: f"What is the head looking at in {box}?",
    format=lambda label: f"The head is {label}.",
    parse=lambda text: parse_label(text, ("left", "right")),
    grammar=lambda speller: speller.words(["The head is left.", "The head is right."]),
    examples=("left", "right"),
)


@pytest.fixture(scope="module")
def speller():
    return AnswerGrammar(build_tokenizer())


def followed(grammar, tokens):
    """Whether a grammar lets exactly these tokens through."""
    for known in range(len(tokens)):
        if tokens[known] not in allowed_after(grammar(), tokens[:known]):
            return False
    return allowed_after(grammar(), tokens) == []


@pytest.mark.parametrize("name", [*ABOUT, "toy"])
def test_examples_go_through_question_answer_grammar_and_parser(name, speller):
    task = {**TASKS, "toy": TOY}[name]
    tokenizer = build_tokenizer()
    question = task.question(*ABOUT.get(name, ("a picture",)))
    assert question.endswith(("?", "format."))
    for value in task.examples:
        text = task.format(value)
        assert task.parse(text) == Parsed(value)
        tokens = [*tokenizer.encode(text, add_special_tokens=False), speller.eos]
        assert tokenizer.unk_token_id not in tokens
        arguments = GRAMMAR_ARGUMENTS.get(name, ())
        assert followed(lambda a=arguments: task.grammar(speller, *a), tokens)


def test_a_task_is_added_with_one_registration():
    before = dict(TASKS)
    try:
        register(TOY)
        register(TOY)
        assert TASKS["toy"] is TOY
        with pytest.raises(ValueError, match="toy"):
            register(Task("toy", str, str, TOY.parse, TOY.grammar, ()))
    finally:
        TASKS.clear()
        TASKS.update(before)


@pytest.mark.parametrize("name", TASKS)
@given(text=st.text(max_size=60))
def test_parsers_never_raise(name, text):
    parsed = TASKS[name].parse(text)
    assert parsed.valid is (parsed.reason is None)


@pytest.mark.parametrize("task", [facing.TASK, gesture.TASK, yes_no.TASK])
def test_labels_are_read_out_of_sentences(task):
    for label in task.examples:
        assert task.parse(f"It is {label.upper()}, {label}!").value == label
        with pytest.raises(ValueError, match="nothing"):
            task.format("nothing")
    assert task.parse("").reason is Reason.TEXT
    assert task.parse("[[left]]").reason is Reason.MIXED
    assert task.parse("somehow").reason is Reason.UNKNOWN_LABEL
    assert task.parse(" ".join(task.examples[:2])).reason is Reason.UNKNOWN_LABEL


@pytest.mark.parametrize("name", KEYPOINTS)
def test_every_keypoint_can_be_asked_for_in_words_that_are_known(name):
    tokenizer = build_tokenizer()
    plain, described = keypoints.question(BOX, name, ""), keypoints.question(BOX, name)
    place = "For the person inside the bounding box [[100,200,300,400]]"
    assert plain == f"{place}, where is the {name}?"
    assert described.startswith(plain[:-1] + ", the ")
    assert tokenizer.unk_token_id not in tokenizer.encode(described, add_special_tokens=False)


def test_points_are_asked_for_by_description_alone():
    text = keypoints.question(BOX, "tail", "the end of the back")
    assert text.endswith("where is the tail, the end of the back?")
    with pytest.raises(ValueError, match="'tail' is no keypoint: describe it, or ask for one of n"):
        keypoints.question(BOX, "tail")


def test_a_person_is_one_category_of_things():
    about_mug = keypoints.question(BOX, "handle", "the curved grip", "mug")
    assert about_mug == (
        "For the mug inside the bounding box [[100,200,300,400]], where is the handle, the curved "
        "grip?"
    )
    assert keypoints.question(BOX, "handle", category="mug") == about_mug.replace(
        ", the curved grip", ""
    )
    assert keypoints.question(BOX, "nose") == keypoints.question(
        BOX, "nose", keypoints.DESCRIPTIONS["nose"], "person"
    )


@given(st.integers(0, 999), st.integers(0, 999), st.integers(0, 2))
def test_points_are_read_out_of_answers(x, y, seen):
    point = (x, y, seen) if seen else (0, 0, 0)
    text = keypoints.format_answer(point)
    assert keypoints.parse(text) == Parsed(point)
    assert keypoints.parse(f"So, {text.upper()}") == Parsed(point)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The point is visible.", Reason.TEXT),
        ("", Reason.TEXT),
        ("The point is there.", Reason.UNKNOWN_LABEL),
        ("The point is at [[111,222]].", Reason.UNKNOWN_LABEL),
        ("The point is visible and hidden at [[111,222]].", Reason.UNKNOWN_LABEL),
        ("The point is absent at [[111,222]].", Reason.LOGICAL_ERROR),
        ("The point is visible at [[111,222,333,444]].", Reason.WRONG_NUMBER),
        ("The point is visible at [[11,222]].", Reason.WRONG_NUMBER),
        ("The point is visible at [[]].", Reason.WRONG_NUMBER),
        ("The point is visible at {111,222}.", Reason.ANGLE_FORMAT),
        ("The point is visible at [[111,222]] {1}.", Reason.MIXED),
        ("The point is visible at [[111,222", Reason.RECYCLED_OUTPUT),
    ],
)
def test_why_an_answer_about_a_point_is_invalid(text, reason):
    assert keypoints.parse(text).reason is reason
    with pytest.raises(ValueError, match="0..999"):
        keypoints.format_answer((1000, 0, 2))


def test_numbers_of_a_window_are_centred_and_bounded():
    window = np.zeros((20, 5))
    window[0] = [-3.2, 500.0, 0.26, 0.1234, -9.0]
    first, second = list(gesture.numbers_of(window))[:2]
    assert first == [94, 399, 501, 762, 801]
    assert second == [100, 300, 500, 700, 900]
    assert gesture.question(window).startswith(
        "What is the head gesture in {094399501762801;100300"
    )
    for wrong in (np.zeros((19, 5)), np.full((20, 5), np.nan)):
        with pytest.raises(ValueError, match="20 x 5"):
            gesture.question(wrong)


def test_acts_are_two_words_that_are_read_out_of_sentences():
    assert len(act.LABELS) == len(set(act.LABELS)) == 12
    for label in act.LABELS:
        assert act.parse(f"A person, {label.upper()}.").value == label
    swapped = "With both hands raised the person is sitting."
    assert act.parse(swapped).value == "sitting, both hands raised"
    for text in ("standing", "arms crossed", "standing, sitting, arms down", "walking, arms down"):
        assert act.parse(text).reason is Reason.UNKNOWN_LABEL
    assert act.parse("{standing, arms down}").reason is Reason.MIXED
    with pytest.raises(ValueError, match="standing"):
        act.format_answer("standing")


def test_probabilities_of_an_act_are_those_of_its_parts():
    odds = dict.fromkeys(act.LABELS, 0.0)
    odds |= {"standing, arms crossed": 0.5, "sitting, arms crossed": 0.3, "sitting, arms down": 0.2}
    postures, arms = act.marginals(odds)
    assert postures == pytest.approx({"standing": 0.5, "sitting": 0.5})
    assert arms["arms crossed"] == pytest.approx(0.8) and sum(arms.values()) == pytest.approx(1)


def test_yes_no_asks_about_statements_alone(speller):
    tokenizer = build_tokenizer()
    for statement in yes_no.STATEMENTS:
        ids = tokenizer.encode(yes_no.question(statement, BODY), add_special_tokens=False)
        assert tokenizer.unk_token_id not in ids
    with pytest.raises(ValueError, match="'flying' is none of standing, sitting"):
        yes_no.question("flying", BODY)


def test_bodies_are_numbers_wherever_and_however_large_they_are():
    numbers = body_numbers(BODY)
    # 160 pixels across and 112 down: the square about them is as wide as the points are
    assert numbers[0].tolist() == [1, 849] and numbers[16].tolist() == [999, 151]
    moved = BODY * [3.5, 3.5, 1] + [40, -900, 0]
    assert (body_numbers(moved) == numbers).all()
    covered = BODY.copy()
    covered[5, 2], covered[6] = 1, 0
    assert body_text(covered).split(";")[5:7] == ["000000", "000000"]
    assert body_text(covered).split(";")[4] == body_text(BODY).split(";")[4]


@pytest.mark.parametrize("body", [np.zeros((16, 3)), np.zeros((17, 3)), np.ones((17, 3)) * 2])
def test_bodies_of_which_too_little_is_seen_are_refused(body):
    with pytest.raises(ValueError, match="17 x 3|fewer than two"):
        body_text(body)


def test_three_decimals_of_papers_are_our_grid():
    """The papers write 0.123 where this package writes 123: one to one."""
    assert [round(float(f"0.{n:03d}") * 1000) for n in range(1000)] == list(range(1000))


def test_words_new_to_the_vocabulary_stand_behind_the_old_ones():
    known = build_vocabulary()
    assert len(known) == 1280
    assert known.index("▁row") < known.index("▁gesture") == 1209
    tokenizer = build_tokenizer()
    for name, about in ABOUT.items():
        ids = tokenizer.encode(TASKS[name].question(*about), add_special_tokens=False)
        assert tokenizer.unk_token_id not in ids


def decided(tokens, probabilities, taken):
    return Decision(Choice(Kind.WORD, np.array(tokens)), np.array(probabilities), taken)


def test_label_probabilities_follow_the_tree():
    runs = {"none": (7, 1, 3, 9), "nod": (7, 1, 4, 9), "shake": (7, 2, 9)}
    answer = Answer(
        [7, 1, 4, 9], [decided([1, 2], [0.8, 0.2], 0), decided([3, 4], [0.25, 0.75], 1)]
    )
    assert label_probabilities(answer, runs) == pytest.approx(
        {"none": 0.2, "nod": 0.6, "shake": 0.2}
    )
    other = Answer([7, 2, 9], [decided([1, 2], [0.3, 0.7], 1)])
    assert label_probabilities(other, runs) == pytest.approx(
        {"none": 0.15, "nod": 0.15, "shake": 0.7}
    )
