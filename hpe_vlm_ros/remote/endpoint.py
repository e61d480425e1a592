# SPDX-License-Identifier: Apache-2.0
"""Questions about a picture, put to a server: repeated with care, and never too many at once."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

from . import RemoteError
from .exchange import Exchange, Refused, Request, Unanswered, said
from .settings import Address, Settings, api_key

COMPLETIONS = "/chat/completions"
SHOWN = 5  # names of models in a message


@dataclass(frozen=True)
class Reply:
    """The text of an answer, and if the server tells, its tokens with their probabilities."""

    text: str
    tokens: Sequence[tuple[str, float]] = ()


class Endpoint:
    """A server's chat completions. Thread-safe."""

    def __init__(self, url: str, settings: Settings):
        self.address = Address.parse(url)
        self.settings = settings
        self._exchange = Exchange(self.address, api_key(), settings.connect_timeout)
        self._pool = ThreadPoolExecutor(settings.in_flight, "remote")
        self._lock = Lock()
        self._not_before = 0.0  # when a busy server may be asked again, by any thread
        self._tells_tokens = True  # until it refuses
        self.model = self._known_model(self.address.model)

    def ask(
        self, prompts: Sequence[str], picture: str, tokens: int, deadline: float
    ) -> list[Reply]:
        """Answers to all prompts about one picture (a data URL), at most `tokens` long.

        RemoteError if any of them cannot be had before `deadline` (of time.monotonic()).
        """
        bodies = [self._body(prompt, picture, tokens) for prompt in prompts]
        waiting = [self._pool.submit(self._complete, body, deadline) for body in bodies]
        try:
            return [_reply(future.result()) for future in waiting]
        finally:
            for future in waiting:  # one failed: the others need not begin
                future.cancel()

    def _known_model(self, wanted: str | None) -> str:
        """The name under which the server knows the model: the one it has, or the one wanted.

        Of several none is taken unasked: vLLM lists a base model before its adapters.
        """
        deadline = time.monotonic() + self.settings.timeout
        listed = self._repeat(Request("/models"), deadline).get("data")
        entries = listed if isinstance(listed, list) else []
        found = [entry.get("id") for entry in entries if isinstance(entry, dict)]
        names = [name for name in found if isinstance(name, str)]
        if not names:
            raise RemoteError(f"{self.address}/models names no model: is it an OpenAI-style API?")
        if wanted in names or (wanted is None and len(names) == 1):
            return wanted or names[0]
        shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        problem = f"has several models ({shown})" if wanted is None else f"has no model {wanted!r}"
        raise RemoteError(
            f"{self.address} {problem}: name one of {shown} behind the address, as in "
            f"{self.address}#{names[-1]}"
        )

    def _body(self, prompt: str, picture: str, tokens: int) -> dict[str, Any]:
        content = [
            {"type": "image_url", "image_url": {"url": picture}},
            {"type": "text", "text": prompt},
        ]
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0.0,
            "max_tokens": tokens,
        }

    def _complete(self, body: dict[str, Any], deadline: float) -> dict[str, Any]:
        """Servers that were not told to count probabilities refuse to be asked for them."""
        if self._tells_tokens:
            try:
                return self._repeat(Request(COMPLETIONS, body | {"logprobs": True}), deadline)
            except Refused as error:
                if error.status not in (400, 422):
                    raise
        reply = self._repeat(Request(COMPLETIONS, body), deadline)
        self._tells_tokens = False  # it answers without: that was the reason
        return reply

    def _repeat(self, request: Request, deadline: float) -> dict[str, Any]:
        for attempt in range(1, self.settings.attempts + 1):
            self._hold(deadline)
            try:
                return self._exchange(request, deadline)
            except Unanswered as error:
                if attempt == self.settings.attempts or time.monotonic() >= deadline:
                    raise RemoteError(f"{error} (attempt {attempt})") from error
                self._postpone(attempt, error.wait)
        raise AssertionError("unreachable")

    def _postpone(self, attempt: int, asked: float | None) -> None:
        """Hold everybody off for a random part of a growing time, or as long as asked for.

        Random, so that robots who were refused together do not come back together.
        """
        longest = self.settings.backoff * 2 ** (attempt - 1)
        wait = random.uniform(0, longest) + (asked or 0.0)
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + wait)

    def _hold(self, deadline: float) -> None:
        with self._lock:
            until = self._not_before
        if until > deadline:
            raise RemoteError(f"{self.address} is busy for longer than there is time")
        time.sleep(max(0.0, until - time.monotonic()))


def _reply(content: dict[str, Any]) -> Reply:
    """RemoteError where there is no text, with what the server says about that."""
    try:
        choice = content["choices"][0]
        message = choice["message"]
        text = message["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise RemoteError("the server's reply holds no answer") from error
    if isinstance(text, list):  # in parts
        parts = [part.get("text") for part in text if isinstance(part, dict)]
        text = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(text, str):
        raise RemoteError(f"the server's reply holds no text{_why(choice, message)}")
    return Reply(text, _tokens(choice.get("logprobs")))


def _why(choice: dict[str, Any], message: dict[str, Any]) -> str:
    """Why a model said nothing, as far as the reply tells."""
    if message.get("refusal"):
        return f": the model refuses ({said(str(message['refusal']))})"
    if message.get("reasoning_content") or message.get("reasoning"):
        return ": the model only reasons; have the server turn that off"
    reason = choice.get("finish_reason")
    return f" (finish_reason {reason})" if reason else ""


def _tokens(found: Any) -> list[tuple[str, float]]:
    """(text, probability) of each token; empty if they are not told."""
    try:
        pairs = [(str(t["token"]), float(t["logprob"])) for t in found["content"]]
        return [(text, math.exp(min(value, 0.0))) for text, value in pairs]
    except (KeyError, TypeError, ValueError):
        return []
