# SPDX-License-Identifier: Apache-2.0
"""Facing and gestures from a server: what is asked, how sure it is, and when nobody is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chat_server import HANG, Reply, Server, perceiver_at, prompt_of, said
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpe_vlm_ros.answers import grid_box
from hpe_vlm_ros.people.gestures.asking import judge_of
from hpe_vlm_ros.people.gestures.reader import Rule
from hpe_vlm_ros.remote import RemoteError, signals
from hpe_vlm_ros.remote.distributions import Token
from hpe_vlm_ros.remote.language import one_text_of
from hpe_vlm_ros.remote.scores import label_scores
from hpe_vlm_ros.remote.settings import Settings
from hpe_vlm_ros.tasks import facing, gesture

BOXES = [(64.0, 96.0, 128.0, 192.0), (384.0, 48.0, 512.0, 240.0)]
QUICK = Settings(timeout=5, backoff=0.001, attempts=1)
GESTURES = {gesture.question(window): name for name, window in signals.PLAIN.items()}


def test_facing_is_asked_about_the_picture_in_words(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    questions = [facing.question(grid_box(box, 640, 480)) for box in BOXES]
    words = dict(zip(questions, ("left", "extreme"), strict=True))
    server.answer = lambda body: said(facing.TASK.format(words[prompt_of(body)]))
    odds = perceiver_at(server.url).labels(picture, BOXES, facing.TASK)
    assert [max(one, key=lambda label: one[label]) for one in odds] == ["left", "extreme"]
    assert odds[0] == dict.fromkeys(facing.LABELS, 0.0) | {"left": 1.0}
    assert {part["type"] for part in server.asked[0]["messages"][0]["content"]} == {
        "text",
        "image_url",
    }
    with pytest.raises(ValueError, match=r"cogvlm-merged.* has not learnt the question 'gesture'"):
        perceiver_at(server.url).labels(picture, BOXES, gesture.TASK)


def test_an_answer_without_a_label_is_refused_by_name(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    server.answer = lambda body: said("I cannot tell.")
    with pytest.raises(RemoteError, match=r"'facing' with one of frontal, left.*I cannot tell"):
        perceiver_at(server.url).labels(picture, BOXES, facing.TASK)


def gestures(told: Callable[[str], str]) -> Callable[[dict[str, Any]], Reply]:
    """A server's answers to questions about windows, without any picture."""

    def answer(body: dict[str, Any]) -> Reply:
        (part,) = body["messages"][0]["content"]
        return said(told(part["text"]))

    return answer


def test_a_server_that_knows_gestures_tells_them(server: Server) -> None:
    server.answer = gestures(lambda question: gesture.TASK.format(GESTURES[question]))
    perceiver = perceiver_at(server.url, settings=QUICK)
    assert perceiver.facts()["gestures"] == "not asked"
    judge = judge_of(perceiver)
    assert judge.name == "cogvlm-merged@127.0.0.1"
    assert perceiver.facts()["gestures"] == "told by the server"
    still, nods = judge([signals.PLAIN["none"], signals.PLAIN["nod"]])
    assert still is not None and nods is not None
    assert gesture.LABELS[still.argmax()] == "none" and gesture.LABELS[nods.argmax()] == "nod"


@pytest.mark.parametrize(
    "told", ["The head gesture is nod.", "What a lovely day.", "The head gesture is none."]
)
def test_a_server_that_is_wrong_about_plain_motions_is_not_believed(
    server: Server, told: str
) -> None:
    server.answer = gestures(lambda _: told)
    perceiver = perceiver_at(server.url, settings=QUICK)
    assert isinstance(judge_of(perceiver), Rule)
    assert perceiver.facts()["gestures"] == "not learnt by the server's model"


def test_a_late_answer_is_unknown_and_the_server_is_left_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "TIMEOUT", 0.05)
    right = gestures(lambda question: gesture.TASK.format(GESTURES[question]))
    server.answer = right
    judge = judge_of(perceiver_at(server.url, settings=QUICK))
    server.answer = lambda body: Reply(misbehave=HANG)
    window = signals.PLAIN["shake"]
    assert judge([window]) == [None]
    asked = len(server.asked)
    server.answer = right
    assert judge([window]) == [None] and len(server.asked) == asked  # within the pause
    monkeypatch.setattr(signals, "TIMEOUT", 5.0)
    monkeypatch.setattr(signals.time, "monotonic", lambda now=signals.time.monotonic: now() + 60)
    (answer,) = judge([window])
    assert answer is not None and gesture.LABELS[answer.argmax()] == "shake"


TEXTS = {label: gesture.TASK.format(label) for label in gesture.LABELS}


def token(text: str, probability: float, **others: float) -> Token:
    return Token(text, probability, {text: probability, **others} if others else {})


def test_probabilities_follow_the_tokens() -> None:
    """ "no" leads to nod and none; of the other words only the first letters are known."""
    start = token("The head gesture is ", 1.0)
    n = token("n", 0.5, s=0.2, t=0.2, x=0.1)  # x begins none of the words
    tokens = [start, n, token("o", 1.0), token("d", 0.75, n=0.25), token(".", 1.0)]
    odds = label_scores(tokens, TEXTS, "nod")
    assert odds["nod"] == pytest.approx(0.5 / 0.9 * 0.75)
    assert odds["none"] == pytest.approx(0.5 / 0.9 * 0.25)
    assert odds["shake"] == pytest.approx(0.2 / 0.9)
    assert odds["turn"] == odds["tilt"] == pytest.approx(0.1 / 0.9)
    assert odds["updown"] == 0 and sum(odds.values()) == pytest.approx(1)


def test_without_alternatives_the_rest_is_shared() -> None:
    tokens = [Token("The head gesture is ", 1.0), Token("shake", 0.7), Token(".", 1.0)]
    odds = label_scores(tokens, TEXTS, "shake")
    assert odds["shake"] == pytest.approx(0.7) and odds["nod"] == pytest.approx(0.3 / 5)
    assert label_scores([], TEXTS, "nod")["nod"] == 1.0
    other = [Token("A ", 0.5), Token("nod", 0.5)]  # said in another way
    assert label_scores(other, TEXTS, "nod")["nod"] == 1.0


@settings(max_examples=20)
@given(st.sampled_from(gesture.LABELS), st.lists(st.integers(1, 29), max_size=5), st.data())
def test_probabilities_sum_to_one(said: str, cuts: list[int], data: st.DataObject) -> None:
    text, places = TEXTS[said], sorted({0, *cuts})
    pieces = [text[a:b] for a, b in zip(places, [*places[1:], None], strict=True) if text[a:b]]
    shares = st.floats(0.01, 1.0)
    tokens = []
    for piece in pieces:
        letters = data.draw(st.dictionaries(st.sampled_from("nstu"), shares, max_size=3))
        tokens.append(Token(piece, data.draw(shares), {piece: 0.5} | letters))
    odds = label_scores(tokens, TEXTS, said)
    assert sum(odds.values()) == pytest.approx(1) and min(odds.values()) >= 0


def test_the_grammar_of_labels_holds_those_alone() -> None:
    language = one_text_of(list(TEXTS.values()))
    assert all(map(language.matches, TEXTS.values()))
    assert not language.matches("The head gesture is wave.")
