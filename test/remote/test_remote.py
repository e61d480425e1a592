# SPDX-License-Identifier: Apache-2.0
"""Heads from a server: what is asked of it, and what is made of each kind of answer."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from chat_server import DRIP, DROP, HANG, Reply, Server, perceiver_at, prompt_of, said
from numpy.typing import NDArray

from hpe_vlm_ros.answers import DETECTION_PROMPT, format_angles, format_boxes, pose_prompt
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.remote import RemoteError
from hpe_vlm_ros.remote.settings import Address, Settings, is_remote

LEFT, RIGHT = (100, 200, 200, 400), (600, 100, 800, 500)
QUICK = Settings(timeout=5, backoff=0.001)


def answers(**changed: Any) -> Callable[[dict[str, Any]], Reply]:
    """Two heads; `changed` replaces answers to the "boxes", or about the "left" or "right" one."""
    texts = {
        DETECTION_PROMPT: changed.get("boxes", format_boxes([RIGHT, LEFT])),
        pose_prompt(LEFT): changed.get("left", format_angles(30, -10, 5)),
        pose_prompt(RIGHT): changed.get("right", format_angles(-170, 0, 0)),
    }

    def answer(body: dict[str, Any]) -> Reply:
        found = texts[prompt_of(body)]
        return found if isinstance(found, Reply) else said(found)

    return answer


def null(message: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    """A reply without text."""
    return {"choices": [choice | {"message": {"content": None} | (message or {})}]}


def test_heads_come_as_from_any_perceiver(server: Server, picture: NDArray[np.uint8]) -> None:
    server.answer = answers()
    perceiver = HeadPerceiver.load(server.url, max_heads=5)
    assert perceiver.backend == "remote"
    assert perceiver.model_id == "cogvlm-merged@127.0.0.1"
    left, right = perceiver(picture)
    assert (left.yaw, left.pitch, left.roll, left.score) == (30, -10, 5, 1)
    assert right.yaw == -170
    assert left.box == pytest.approx((64.32, 96.24, 128.32, 192.24))
    assert [h.yaw for h in perceiver.poses(picture, [right.box, left.box])] == [-170, 30]
    assert [h.yaw for h in perceiver(picture, draft=[left.box])] == [30, -170]
    with pytest.raises(ValueError, match="outside the image"):
        perceiver.poses(picture, [(700, 10, 800, 90)])
    body = server.asked[0]
    assert (body["model"], body["temperature"]) == ("cogvlm-merged", 0)
    assert body["max_tokens"] >= 16 * 5 + 11


def test_what_is_sent_is_small_whatever_the_camera_gives(server: Server) -> None:
    server.answer = answers(boxes=format_boxes([]))
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2500, 3), dtype=np.uint8)
    assert perceiver_at(server.url)(noise) == []
    (part,) = (p for p in server.asked[0]["messages"][0]["content"] if p["type"] == "image_url")
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    encoded = base64.b64decode(data)
    assert len(encoded) <= 500_000
    height, width = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert width <= 980 and height / width == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ("I see two people.", "text"),
        ("[[100,200,200,400", "recycled output"),
        ("[[100,200,200]]", "wrong number"),
        ("[[900,200,200,400]]", "logical error"),
        (format_angles(1, 2, 3), "angle format"),
        ("", "text"),
    ],
)
def test_invalid_boxes_are_no_answer(
    server: Server, picture: NDArray[np.uint8], boxes: str, reason: str
) -> None:
    server.answer = answers(boxes=boxes)
    with pytest.raises(RemoteError, match=f"invalid .{reason}"):
        perceiver_at(server.url)(picture)


@pytest.mark.parametrize("angles", ["no idea", "{1,2,3}", "{400,000,000}", "[[1,2,3,4]]"])
def test_invalid_angles_are_told_not_guessed(
    server: Server, picture: NDArray[np.uint8], angles: str
) -> None:
    server.answer = answers(left=angles)
    perceiver = perceiver_at(server.url)
    left, right = perceiver(picture)
    assert np.isnan(left.rotation).all() and np.isnan(left.yaw)
    assert right.yaw == -170
    first, second = perceiver.unconstrained(picture, [left.box, right.box])
    assert first.reason is not None and second.valid


def test_of_too_many_heads_the_largest_are_asked_about(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    server.answer = answers()
    heads = perceiver_at(server.url, max_heads=1)(picture)
    assert [head.yaw for head in heads] == [-170] and heads.left_out == 1
    assert len(server.asked) == 2


def test_scores_come_from_probabilities_where_they_are_told(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    text = format_boxes([LEFT])
    tokens = [(character, 0.0) for character in text]
    half = float(np.log(0.5))
    tokens[text.index("100")] = ("1", half)  # hundreds: counts
    tokens[text.index("200") + 2] = ("0", half)  # units: do not
    server.answer = answers(boxes=said(text, tokens))
    assert perceiver_at(server.url)(picture)[0].score == pytest.approx(0.5)
    server.answer = answers(boxes=said(text, [("other text", half)]))
    assert perceiver_at(server.url)(picture)[0].score == 1


def test_a_server_that_does_not_count_probabilities_is_asked_without(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    ordinary = answers()
    server.answer = lambda body: Reply(status=400) if "logprobs" in body else ordinary(body)
    perceiver = perceiver_at(server.url)
    assert len(perceiver(picture)) == 2
    before = len(server.asked)
    assert len(perceiver(picture)) == 2
    assert len(server.asked) - before == 3  # it has learnt


class Sometimes:
    """Each question is answered by `bad` at first and properly from the `after`-th time on."""

    def __init__(self, bad: Reply, after: int):
        self.bad, self.after, self.times = bad, after, dict[str, int]()
        self.good = answers()

    def __call__(self, body: dict[str, Any]) -> Reply:
        prompt = prompt_of(body)
        self.times[prompt] = self.times.get(prompt, 0) + 1
        return self.bad if self.times[prompt] < self.after else self.good(body)


@pytest.mark.parametrize(
    "bad",
    [Reply(status=429, headers={"Retry-After": "0"}), Reply(status=500), Reply(misbehave=DROP)],
)
def test_a_busy_or_broken_server_is_asked_again_but_not_for_ever(
    server: Server, picture: NDArray[np.uint8], bad: Reply
) -> None:
    perceiver = perceiver_at(server.url, settings=QUICK)
    server.answer = Sometimes(bad, after=3)
    assert len(perceiver(picture)) == 2
    server.answer = Sometimes(bad, after=99)
    before = len(server.asked)
    with pytest.raises(RemoteError, match="attempt 3"):
        perceiver(picture)
    assert len(server.asked) - before == 3


def test_the_time_a_busy_server_asks_for_is_given(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    server.answer = lambda body: Reply(status=429, headers={"Retry-After": "3600"})
    with pytest.raises(RemoteError, match="busy for longer than there is time"):
        perceiver_at(server.url, settings=QUICK)(picture)
    assert len(server.asked) == 1


@pytest.mark.parametrize("how", [HANG, DRIP])
def test_a_server_that_never_ends_is_given_up_in_time(
    server: Server, picture: NDArray[np.uint8], how: str
) -> None:
    perceiver = perceiver_at(server.url, settings=Settings(timeout=0.3))
    server.answer = lambda body: Reply(b" " * 100_000, misbehave=how)
    started = time.monotonic()
    with pytest.raises(RemoteError, match="no answer in time"):
        perceiver(picture)
    assert time.monotonic() - started < 20  # it would hang for 30 s or for ever


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(b"<html>"), "not JSON"),
        (Reply([1]), "no JSON object"),
        (Reply({}), "holds no answer"),
        (Reply({"choices": []}), "holds no answer"),
        (Reply({"choices": None}), "holds no answer"),
        (Reply({"choices": [{"message": None}]}), "holds no answer"),
        (Reply(null()), "holds no text$"),
        (Reply(null(finish_reason="length")), r"holds no text \(finish_reason length\)"),
        (Reply(null({"refusal": "No\nfaces."})), r"the model refuses \(No faces\.\)"),
        (Reply(null({"reasoning_content": "Hm"})), "the model only reasons"),
        (Reply({"error": {"message": "out of memory"}}), 'no answer.*says "out of memory"'),
        (Reply({"object": "error", "message": "busy", "code": 9}), 'no answer.*says "busy"'),
        (Reply(b"[" * 100_000), "not JSON"),
        (Reply(status=401), "status 401 .*set HPE_VLM_API_KEY"),
        (Reply(status=404), "status 404 .*usually in /v1"),
        (Reply(status=302, headers={"Location": "http://elsewhere/"}), "status 302"),
        (Reply(b"x" * 4_000_001), "more than 4000000 bytes"),
    ],
)
def test_nonsense_is_named_and_not_asked_for_again(
    server: Server, picture: NDArray[np.uint8], reply: Reply, message: str
) -> None:
    perceiver = perceiver_at(server.url, settings=QUICK)
    server.answer = lambda body: reply
    with pytest.raises(RemoteError, match=message):
        perceiver(picture)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 422, 503])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"error": {"message": "At most 0 image(s)", "type": "BadRequestError"}},
            "At most 0 image",
        ),
        (
            {"object": "error", "message": "maximum context length is 2048"},
            "maximum context length",
        ),
        ({"error": "model not loaded"}, "model not loaded"),
        (
            {"detail": [{"loc": ["body"], "msg": "Field required"}, {"msg": "x"}]},
            "Field required; x",
        ),
        ({"detail": "Not Found"}, "Not Found"),
        (b"upstream\n gone\x1b[31m", r"upstream gone \[31m"),
        (b"a" * 999, r"a{300}\.\.\."),
    ],
)
def test_the_server_s_own_words_are_part_of_the_error(
    server: Server, picture: NDArray[np.uint8], status: int, body: Any, message: str
) -> None:
    perceiver = perceiver_at(server.url, settings=QUICK)
    server.answer = lambda asked: Reply(body, status=status)
    with pytest.raises(RemoteError, match=f'status {status}.*the server says "{message}'):
        perceiver(picture)


@pytest.mark.parametrize("body", [b"<html>502</html>", b"", b"{}", b"[]", b"3", b'{"error": null}'])
def test_a_server_that_says_nothing_to_people_is_not_quoted(
    server: Server, picture: NDArray[np.uint8], body: bytes
) -> None:
    perceiver = perceiver_at(server.url, settings=QUICK)
    server.answer = lambda asked: Reply(body, status=400)
    with pytest.raises(RemoteError, match="status 400 Bad Request$"):
        perceiver(picture)


def test_text_in_parts_is_read(server: Server, picture: NDArray[np.uint8]) -> None:
    parts = [{"type": "text", "text": "[["}, {"type": "text", "text": "100,200,200,400]]"}]
    server.answer = answers(boxes=Reply({"choices": [{"message": {"content": parts}}]}))
    assert len(perceiver_at(server.url)(picture)) == 1


def test_a_model_is_taken_by_its_name(server: Server, picture: NDArray[np.uint8]) -> None:
    """vLLM lists the base model first, then its adapters."""
    names = ["vicuna", "org/head poses"]
    server.models = Reply({"data": [{"id": name} for name in names]})
    server.answer = answers()
    for name, written in (("vicuna", "vicuna"), ("org/head poses", "org/head%20poses")):
        perceiver = HeadPerceiver.load(f"{server.url}#{written}")
        assert len(perceiver(picture)) == 2 and perceiver.model_id == f"{name}@127.0.0.1"
        assert server.asked[-1]["model"] == name
    with pytest.raises(RemoteError, match=r"several models \(vicuna, org/head poses\).*/v1#org"):
        HeadPerceiver.load(server.url)
    with pytest.raises(RemoteError, match="has no model 'head': name one of vicuna, org/head"):
        HeadPerceiver.load(f"{server.url}#head")


def test_an_address_without_scheme_is_one(
    server: Server, picture: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = answers()
    assert len(HeadPerceiver.load(server.url.removeprefix("http://"))(picture)) == 2
    assert (
        len(HeadPerceiver.load(f" {server.url.replace('http', 'HTTP')}#cogvlm-merged ")(picture))
        == 2
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpu:8000").mkdir()
    for text in (
        "gpu.local:23333/v1",
        "10.0.0.7:8000",
        "[::1]:80/v1",
        "gpu.local/v1",
        "localhost/v1/",
    ):
        assert is_remote(text) and is_remote(f"{text}#name"), text
    for text in (
        "models/embedded",
        "runs/v1",
        "gpu:8000",
        "./a:8000x",
        "model.v2",
        "/tmp/a:8000",
        "",
    ):
        assert not is_remote(text), text
    assert str(Address.parse("gpu.local:23333/v1#a/b")) == "http://gpu.local:23333/v1"
    assert Address.parse("[::1]:80/v1").host == "::1"


def test_never_more_questions_at_once_than_allowed(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    boxes = [(i * 50, 100, i * 50 + 40, 200) for i in range(9)]

    def slowly(body: dict[str, Any]) -> Reply:
        time.sleep(0.02)
        detects = prompt_of(body) == DETECTION_PROMPT
        return said(format_boxes(boxes) if detects else format_angles(0, 0, 0))

    server.answer = slowly
    perceiver = perceiver_at(server.url, settings=Settings(in_flight=2))
    assert len(perceiver(picture)) == 9
    assert server.most_at_once == 2


def test_the_key_comes_from_the_environment_and_goes_into_no_message(
    server: Server, picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPE_VLM_API_KEY", "s3cret")
    server.answer = answers()
    perceiver = perceiver_at(server.url)
    perceiver(picture)
    assert set(server.keys) == {"Bearer s3cret"}
    assert "s3cret" not in perceiver.model_id + perceiver.device
    server.answer = lambda body: Reply(status=403)
    with pytest.raises(RemoteError) as raised:
        perceiver(picture)
    assert "s3cret" not in str(raised.value)
    server.answer = lambda body: Reply({"error": {"message": "wrong key: s3cret."}}, status=401)
    with pytest.raises(RemoteError, match=r"wrong key: \.\.\.\.") as raised:
        perceiver(picture)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://", "write it as http"),
        ("http://robot:s3cret@gpu/v1", "HPE_VLM_API_KEY"),
        ("http://gpu:99999/v1", "no address"),
        ("http://gpu/v1?key=s3cret", "leave out"),
        ("ftp://gpu/v1", "write it as http"),
        ("robot:s3cret@gpu:80/v1", "HPE_VLM_API_KEY"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(RemoteError, match=message) as raised:
        perceiver_at(url)
    assert "s3cret" not in str(raised.value)


def test_a_server_that_is_not_there_is_told_at_once(server: Server) -> None:
    gone = server.url
    server.close()
    with pytest.raises(RemoteError, match="127.0.0.1.*(refused|Refused)"):
        perceiver_at(gone, settings=QUICK)


@pytest.mark.parametrize("listed", [[], 5, {"id": "a"}, ["a"], [{"id": 7}], None])
def test_a_server_without_models_is_none_of_ours(server: Server, listed: Any) -> None:
    server.models = Reply({"data": listed})
    with pytest.raises(RemoteError, match="names no model"):
        perceiver_at(server.url)


def test_robots_need_no_torch_for_it() -> None:
    code = "import sys, hpe_vlm_ros.remote.model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
