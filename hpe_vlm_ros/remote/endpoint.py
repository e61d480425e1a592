# SPDX-License-Identifier: Apache-2.0
"""Questions about a picture, put to a server: repeated with care, and never too many at once."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Any

from . import RemoteError, square
from .dialects import Fields
from .exchange import Exchange, Lost, Refused, Request, Unanswered
from .language import Language, one_box
from .pictures import data_url, jpeg
from .probe import QUESTION, find_out
from .replies import Reply, read
from .server import Entry, Server, entries, meet
from .settings import Address, Settings, api_key

COMPLETIONS = "/chat/completions"
LONGEST_PAUSE = 600.0  # seconds


class Endpoint:
    """A server's chat completions. Thread-safe.

    It is asked once what it can do. That is done again where its list of models changes, where it
    refuses a request, and where an answer breaks a grammar that it obeyed before: then it may have
    been started anew, with another model.
    """

    def __init__(self, url: str, settings: Settings):
        self.address = Address.parse(url)
        self.settings = settings
        self._exchange = Exchange(self.address, api_key(), settings.connect_timeout)
        self._pool = ThreadPoolExecutor(settings.in_flight, "remote")
        self._lock, self._meeting = Lock(), Lock()
        self._not_before = 0.0  # when a busy server may be asked again, by any thread
        self._met = self._listed = 0.0  # when it was asked what it can do, and what models it has
        self._strange = False  # it did what it did not do before
        self._pause = settings.recheck  # before it is asked anew; grows while that is in vain
        self.server = self._meet(time.monotonic() + settings.timeout)

    @property
    def model(self) -> str:
        """The model's name in the server's list."""
        return self.server.model

    def ask(
        self,
        prompts: Sequence[str],
        picture: str | None,
        tokens: int,
        deadline: float,
        language: Language | None = None,
    ) -> list[Reply]:
        """Answers to all prompts about one picture (a data URL) or none, at most `tokens` long.

        Of a `language`, where the server obeys grammars. RemoteError if any answer cannot be had
        before `deadline` (of time.monotonic()).
        """
        server = self._known(deadline)
        waiting = [
            self._pool.submit(
                self._reply, server, _body(server, prompt, tokens, picture), language, deadline
            )
            for prompt in prompts
        ]
        try:
            return [future.result() for future in waiting]
        finally:
            for future in waiting:  # one failed: the others need not begin
                future.cancel()

    def _known(self, deadline: float) -> Server:
        """The server as it is now, as far as a look at its models every `recheck` s tells."""
        with self._meeting:
            now = time.monotonic()
            doubtful = self._strange or not self.server.abilities.sure
            again = doubtful and now - self._met >= self._pause
            if not again and now - self._listed >= self.settings.recheck:
                again = self._listing(deadline) != self.server.listing
            if again:
                self.server = self._meet(deadline)
            return self.server

    def _meet(self, deadline: float) -> Server:
        """Which model the server has, what it can do, and whether it knows places in pictures."""
        self._strange = False
        server = meet(self._listing(deadline), self.address)
        picture = data_url(jpeg(square.picture()))

        def ask(fields: Fields, tokens: int) -> Reply:
            body = _body(server, QUESTION, tokens, picture)
            return read(self._repeat(Request(COMPLETIONS, body | fields), deadline))

        try:
            server = replace(server, abilities=find_out(ask, server.owner))
            body = _body(server, square.QUESTION, square.TOKENS, picture)
            answer = self._reply(server, body, one_box(), deadline)
            server = replace(server, square=square.judge(answer.text))
        except RemoteError as error:  # it may still load the model: images will tell
            server = server.doubtful(str(error))
        self._met = time.monotonic()
        sure = server.abilities.sure
        self._pause = self.settings.recheck if sure else min(2 * self._pause, LONGEST_PAUSE)
        return server

    def _listing(self, deadline: float) -> list[Entry]:
        self._listed = time.monotonic()
        return entries(self._repeat(Request("/models"), deadline), self.address)

    def _reply(
        self, server: Server, body: Fields, language: Language | None, deadline: float
    ) -> Reply:
        """Asked anew with the question alone where a server refuses what it took before."""
        more = server.abilities.fields(language)
        try:
            reply = read(self._repeat(Request(COMPLETIONS, body | more), deadline))
        except Refused as error:
            self._strange = True
            if not more or error.status not in (400, 422):
                raise
            return read(self._repeat(Request(COMPLETIONS, body), deadline))
        if not server.abilities.obeyed(language, reply.text):
            self._strange = True
        return reply

    def _repeat(self, request: Request, deadline: float) -> dict[str, Any]:
        for attempt in range(1, self.settings.attempts + 1):
            self._hold(deadline)
            try:
                return self._exchange(request, deadline)
            except Unanswered as error:
                if isinstance(error, Lost):
                    self._listed = 0.0
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


def _body(server: Server, prompt: str, tokens: int, picture: str | None) -> Fields:
    """The picture first: all questions about it share what the server computes of it."""
    shown = [] if picture is None else [{"type": "image_url", "image_url": {"url": picture}}]
    content = [*shown, {"type": "text", "text": prompt}]
    return {
        "model": server.sent,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0.0,
        "max_tokens": tokens + server.abilities.room,
    }
