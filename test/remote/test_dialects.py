# SPDX-License-Identifier: Apache-2.0
"""What is found out of each kind of server, and what is made of it, over real HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from chat_server import HANG, Reply, Server, perceiver_at
from dialect_servers import (
    VLLM,
    Dialect,
    EdgeLLM,
    LlamaCpp,
    LMDeploy,
    OldVLLM,
    OpenAI,
    SGLang,
    TensorRTLLM,
    refuse,
)
from numpy.typing import NDArray
from talking_model import TalkingModel, bell

from hpe_vlm_ros.answers import (
    DETECTION_PROMPT,
    format_angles,
    format_boxes,
    format_referred,
    pose_prompt,
)
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.remote import RemoteError, square
from hpe_vlm_ros.remote.settings import Settings
from hpe_vlm_ros.spread import turn_covariance

BOX = (100, 200, 200, 400)
SURE = {
    DETECTION_PROMPT: format_boxes([BOX]),
    pose_prompt(BOX): format_angles(30, -10, 5),
    square.QUESTION: format_referred(square.place()),
}
DOUBTING = Settings(timeout=5, backoff=0.001, recheck=1e-6)  # looks at the server every time

GRAMMARS: list[tuple[type[Dialect], str, str]] = [
    (VLLM, "vLLM", "structured_outputs"),
    (OldVLLM, "vLLM before 0.12", "guided_regex"),
    (SGLang, "SGLang", "regex"),
    (LMDeploy, "LMDeploy", "response_format"),
    (TensorRTLLM, "TensorRT-LLM", "response_format"),
    (EdgeLLM, "TensorRT Edge-LLM", "guided_decoding"),
    (LlamaCpp, "llama.cpp", "grammar"),
]


def served(server: Server, dialect: Dialect, **settings: Any) -> HeadPerceiver:
    dialect.serve(server)
    return perceiver_at(server.url, settings=Settings(timeout=60, backoff=0.001, **settings))


@pytest.mark.parametrize(("kind", "name", "field"), GRAMMARS)
def test_the_grammar_goes_to_each_server_in_its_own_words(
    server: Server, picture: NDArray[np.uint8], kind: type[Dialect], name: str, field: str
) -> None:
    """Its model never says an answer by itself: only the grammar makes it one."""
    dialect = kind(TalkingModel(SURE, preamble="Of course! "))
    perceiver = served(server, dialect)
    facts = perceiver.facts()
    assert facts["server"] == name and facts["grammar"] == f"obeyed, as {name} takes it"
    (head,) = perceiver(picture)
    assert round(head.yaw) == 30
    assert all(field in body for body in server.asked)
    (free,) = perceiver.unconstrained(picture, [(64, 96, 128, 192)])
    assert free.valid and field not in dialect.asked[-1]


@pytest.mark.parametrize(("kind", "name", "field"), GRAMMARS)
def test_a_server_behind_another_name_is_found_too(
    server: Server, kind: type[Dialect], name: str, field: str
) -> None:
    class Proxy(kind):  # type: ignore[valid-type, misc]
        owner = "openai"

    perceiver = served(server, Proxy(TalkingModel(SURE, preamble="Of course! ")))
    assert perceiver.facts()["server"] == name


def test_a_known_server_is_asked_four_times_in_all(server: Server) -> None:
    """Thinking, probabilities, grammar, square."""
    dialect = VLLM(TalkingModel(SURE))
    served(server, dialect)
    assert len(dialect.asked) == 4


@pytest.mark.parametrize(
    ("dialect", "reason"),
    [
        (Dialect(TalkingModel(SURE)), "ignored as vLLM takes it"),
        (OpenAI(TalkingModel(SURE)), "status 400.*Unrecognized request argument"),
        (TensorRTLLM(TalkingModel(SURE), guided=False), "set guided_decoding_backend"),
    ],
)
def test_without_a_grammar_heads_are_found_all_the_same(
    server: Server, picture: NDArray[np.uint8], dialect: Dialect, reason: str
) -> None:
    perceiver = served(server, dialect)
    assert re.search(f"not obeyed .*{reason}", perceiver.facts()["grammar"])
    (head,) = perceiver(picture)
    assert round(head.yaw) == 30


def test_boxes_turned_inside_out_are_invalid_under_a_grammar_too(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    inside_out = {DETECTION_PROMPT: SURE[DETECTION_PROMPT].replace("100,200", "900,200")}
    with pytest.raises(RemoteError, match="invalid .logical error"):
        served(server, VLLM(TalkingModel(inside_out)))(picture)


@pytest.mark.parametrize(
    ("kind", "sent"), [(VLLM, "fine"), (SGLang, "head-poses:fine"), (LMDeploy, "fine")]
)
def test_an_adapter_is_chosen_by_its_name(
    server: Server, picture: NDArray[np.uint8], kind: type[Dialect], sent: str
) -> None:
    """SGLang answers with the base model, without a word, where the adapter's name stands alone."""
    wrong = SURE | {pose_prompt(BOX): format_angles(90, 0, 0)}
    dialect = kind(TalkingModel(wrong), adapters={"fine": TalkingModel(SURE)})
    dialect.serve(server)
    perceiver = perceiver_at(f"{server.url}#fine")
    assert perceiver.model_id == "fine@127.0.0.1"
    (head,) = perceiver(picture)
    assert round(head.yaw) == 30 and dialect.asked[-1]["model"] == sent


@pytest.mark.parametrize(
    ("kind", "option"),
    [(VLLM, "--lora-modules"), (SGLang, "--lora-paths"), (LMDeploy, "--adapters")],
)
def test_an_adapter_that_is_not_loaded(server: Server, kind: type[Dialect], option: str) -> None:
    kind().serve(server)
    with pytest.raises(RemoteError, match=f"no model 'fine': name one of head-poses.*{option}"):
        perceiver_at(f"{server.url}#fine")


@pytest.mark.parametrize("kind", [VLLM, SGLang, LMDeploy, TensorRTLLM, LlamaCpp])
@pytest.mark.parametrize(("yaw", "deviation"), [(30, 4), (99.5, 6), (-0.5, 3), (180, 8)])
def test_alternatives_give_means_and_spreads(
    server: Server,
    picture: NDArray[np.uint8],
    kind: type[Dialect],
    yaw: float,
    deviation: float,
) -> None:
    means, deviations = (yaw, -10.0, 5.0), (deviation, 3.0, 5.0)
    weights = np.stack([bell(*each) for each in zip(means, deviations, strict=True)])
    perceiver = served(server, kind(TalkingModel(SURE, weights=weights)))
    assert perceiver.facts()["probabilities"].startswith("of ")
    (head,) = perceiver(picture)
    assert abs((head.yaw - yaw + 180) % 360 - 180) < 1.0
    assert (head.pitch, head.roll) == pytest.approx((-10, 5), abs=0.5)
    stated = np.diag(turn_covariance(means, deviations))
    assert head.rotation_covariance is not None
    assert np.diag(head.rotation_covariance) == pytest.approx(stated, rel=0.5)


def test_a_server_that_was_not_told_to_count_probabilities(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    perceiver = served(server, LMDeploy(TalkingModel(SURE), logprobs_mode=False))
    facts = perceiver.facts()
    assert facts["probabilities"] == "not told" and facts["grammar"].startswith("obeyed")
    (head,) = perceiver(picture)
    assert head.rotation_covariance is None and head.score == 1


@pytest.mark.parametrize("parser", [False, True])
def test_thinking_is_turned_off(server: Server, picture: NDArray[np.uint8], parser: bool) -> None:
    model = TalkingModel(SURE, thoughts="There is a head at [[1,2,3,4]].")
    dialect = VLLM(model, parser=parser)
    perceiver = served(server, dialect)
    assert perceiver.facts()["thinking"] == "off"
    assert len(perceiver(picture)) == 1
    assert all(d["chat_template_kwargs"]["enable_thinking"] is False for d in dialect.asked[1:])


@pytest.mark.parametrize("parser", [False, True])
def test_thinking_that_cannot_be_turned_off_is_no_part_of_the_answer(
    server: Server, picture: NDArray[np.uint8], parser: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpe_vlm_ros.remote.probe.THINKING", 200)

    class Stubborn(Dialect):
        def told_not_to_think(self, body: dict[str, Any]) -> bool:
            return False

    model = TalkingModel(SURE, thoughts="Heads are round. [[1]] " * 4)
    perceiver = served(server, Stubborn(model, parser=parser))
    assert perceiver.facts()["thinking"] == "the model thinks all the same"
    (head,) = perceiver(picture)
    assert round(head.yaw) == 30
    model.thoughts = "so many heads " * 999
    with pytest.raises(RemoteError, match="comes to no answer; have the server turn that off"):
        perceiver(picture)


def test_template_variables_that_a_server_refuses_are_left_out(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    for variables in (("enable_thinking",), ()):
        dialect = TensorRTLLM(TalkingModel(SURE), variables=variables)
        assert len(served(server, dialect)(picture)) == 1
        assert set(dialect.asked[-1].get("chat_template_kwargs", {})) == set(variables)


@pytest.mark.parametrize(
    ("box", "right", "words"),
    [
        (square.place(), True, "right to 0.0 %"),
        ((655, 150, 810, 480), True, "right to 1.8 %"),
        ((646, 312, 812, 480), False, r"off by \+1, \+79, \+0, \+10 pixels .* 960 x 540"),
        ((155, 645, 470, 810), False, "boxes from this server are wrong"),
    ],
)
def test_a_drawn_square_tells_whether_places_are_right(
    server: Server, box: tuple[int, int, int, int], right: bool, words: str
) -> None:
    perceiver = served(
        server, LlamaCpp(TalkingModel(SURE | {square.QUESTION: format_referred(box)}))
    )
    assert re.search(words, perceiver.facts()["square test"])
    assert bool(perceiver.warning()) != right
    assert right or "960 x 540" in perceiver.warning()


def test_a_model_that_does_not_know_squares_is_not_blamed(server: Server) -> None:
    perceiver = served(server, Dialect(TalkingModel(otherwise="I only know heads.")))
    assert "not tested" in perceiver.facts()["square test"] and perceiver.warning() == ""


def test_the_square_is_drawn_where_it_is_said_to_be() -> None:
    drawn = np.argwhere((square.picture() == square.RED).all(-1))
    (y0, x0), (y1, x1) = drawn.min(0), drawn.max(0) + 1
    assert (x0, y0, x1, y1) == square.SQUARE
    assert square.picture().shape == (540, 960, 3)


def restarted(server: Server, perceiver: HeadPerceiver, dialect: Dialect) -> None:
    dialect.serve(server)
    perceiver(np.full((480, 640, 3), 90, np.uint8))


def test_a_server_that_comes_back_with_another_model_is_met_anew(server: Server) -> None:
    dialect = VLLM(TalkingModel(SURE))
    perceiver = served(server, dialect, recheck=1e-6)
    restarted(server, perceiver, LlamaCpp(TalkingModel(SURE), name="other.gguf"))
    assert perceiver.model_id == "other.gguf@127.0.0.1"
    assert perceiver.facts()["server"] == "llama.cpp"


def test_while_a_server_stays_the_same_it_is_not_met_anew(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    dialect = VLLM(TalkingModel(SURE))
    perceiver = served(server, dialect, recheck=1e-6)
    for _ in range(3):
        perceiver(picture)
    assert len(server.probed) == 4


def test_a_model_that_is_gone_is_looked_for_again(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    """Unloaded behind our back, so that the list still was the old one at the last look."""
    dialect = VLLM(TalkingModel(SURE))
    perceiver = served(server, dialect, recheck=1e-6)
    new = VLLM(TalkingModel(SURE), name="new")
    server.answer = server.probe = new
    with pytest.raises(RemoteError, match="status 404.*`head-poses` does not exist") as raised:
        perceiver(picture)
    assert "should end" not in str(raised.value)  # the address is right
    restarted(server, perceiver, new)
    assert perceiver.model_id == "new@127.0.0.1"


@pytest.mark.parametrize("kind", [Dialect, OpenAI])
def test_a_grammar_that_is_obeyed_no_longer_is_noticed(
    server: Server, picture: NDArray[np.uint8], kind: type[Dialect]
) -> None:
    """The same name and the same owner, as a proxy would hide a restart."""

    class Other(kind):  # type: ignore[valid-type, misc]
        owner = "vllm"

    model = TalkingModel(SURE, preamble="Sure: ")
    perceiver = served(server, VLLM(model), recheck=1e-6)
    for _ in range(2):
        restarted(server, perceiver, Other(model))
    assert perceiver.facts()["grammar"].startswith("not obeyed")
    (head,) = perceiver(picture)
    assert round(head.yaw) == 30


def test_a_server_that_still_loads_its_model_is_tried_later(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    """llama.cpp lists its model and answers 503 until it is loaded."""
    dialect = LlamaCpp(TalkingModel(SURE))
    dialect.serve(server)
    loading = Reply({"error": {"message": "Loading model", "code": 503}}, status=503)
    server.answer = server.probe = lambda body: loading
    perceiver = perceiver_at(server.url, settings=replace(DOUBTING, attempts=1))
    assert "Loading model" in perceiver.facts()["square test"]
    with pytest.raises(RemoteError, match="Loading model"):
        perceiver(picture)
    restarted(server, perceiver, dialect)
    assert perceiver.facts()["grammar"] == "obeyed, as llama.cpp takes it"


def test_a_server_that_does_not_answer_in_time_is_taken_as_it_is(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    dialect = Dialect(TalkingModel(SURE))
    dialect.serve(server)
    server.probe = lambda body: Reply(misbehave=HANG)
    settings = Settings(timeout=0.5)
    perceiver = perceiver_at(server.url, settings=settings)
    assert re.search("not done .*(in time|no time)", perceiver.facts()["square test"])
    object.__setattr__(settings, "timeout", 60.0)  # however slow this machine is
    assert len(perceiver(picture)) == 1


def test_a_server_that_fails_over_a_field_is_not_asked_again_and_again(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    """Status 500 may be for a while or for ever."""

    class Fragile(VLLM):
        def check(self, body: dict[str, Any]) -> None:
            if "structured_outputs" in body:
                raise refuse("'NoneType' object has no attribute 'vocab_size'", 500)

    perceiver = served(server, Fragile(TalkingModel(SURE)), recheck=10.0)
    before = len(server.probed)
    assert "status 500" in perceiver.facts()["grammar"]
    for _ in range(3):
        assert len(perceiver(picture)) == 1
    assert len(server.probed) == before


def test_what_is_found_out_holds_no_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPE_VLM_API_KEY", "s3cret")

    class Talkative(OpenAI):
        def check(self, body: dict[str, Any]) -> None:
            if set(body) - {"model", "messages", "temperature", "max_tokens"}:
                raise refuse("the key s3cret may not do this")

    perceiver = served(server, Talkative(TalkingModel(SURE)))
    content = json.dumps(perceiver.facts()) + perceiver.warning()
    assert "may not do this" in content and "s3cret" not in content
