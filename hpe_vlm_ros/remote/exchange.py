# SPDX-License-Identifier: Apache-2.0
"""One HTTP request and its reply, within an exact deadline and a bound on size."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Timer
from typing import Any

from . import RemoteError
from .settings import Address

MOST_REPLY = 4_000_000  # bytes
MOST_MESSAGE = 300  # characters of a server's own message
BUSY = {408, 425, 429, 500, 502, 503, 504}  # worth another attempt


class Unanswered(RemoteError):
    """No usable reply this time, but the next attempt may get one, after `wait` seconds."""

    def __init__(self, text: str, wait: float | None = None):
        super().__init__(text)
        self.wait = wait


class Lost(Unanswered):
    """The connection cannot be made, or breaks: the server may be starting anew."""


class Refused(RemoteError):
    """The server takes no such request; `status` is HTTP's."""

    def __init__(self, text: str, status: int):
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Request:
    """GET without a body, else POST of a JSON object; `path` is relative to the address."""

    path: str
    body: dict[str, Any] | None = None


class Exchange:
    """Requests to one server; each has its own connection, so threads need no lock."""

    def __init__(self, address: Address, key: str | None, connect_timeout: float):
        self._address, self._key, self._connect_timeout = address, key, connect_timeout

    def __call__(self, request: Request, deadline: float) -> dict[str, Any]:
        """The JSON object in the reply; `deadline` is a time of time.monotonic().

        Raises:
            Unanswered: refused, dropped, late or busy.
            RemoteError: an answer that no other attempt would change.
        """
        where = f"{self._address}{request.path}"
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise Unanswered(f"{where}: no time is left")
        kind = http.client.HTTPSConnection
        if self._address.scheme == "http":
            kind = http.client.HTTPConnection  # type: ignore[assignment]
        limit = min(remaining, self._connect_timeout)
        connection = kind(self._address.host, self._address.port, timeout=limit)
        watchdog = None
        try:
            connection.connect()
            remaining = max(deadline - time.monotonic(), 0.001)
            connection.sock.settimeout(remaining)
            # The socket's timeout begins anew with every byte; this one does not.
            watchdog = Timer(remaining, _cut, [connection.sock])
            watchdog.daemon = True
            watchdog.start()
            return self._converse(connection, request, where)
        except (OSError, http.client.HTTPException) as error:
            late = time.monotonic() >= deadline or isinstance(error, TimeoutError)
            reason = "no answer in time" if late else f"{type(error).__name__}: {error}"
            raise Lost(f"{where}: {reason}") from error
        finally:
            if watchdog is not None:
                watchdog.cancel()
            connection.close()

    def _converse(
        self, connection: http.client.HTTPConnection, request: Request, where: str
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        body = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body).encode()
        method = "GET" if body is None else "POST"
        connection.request(method, self._address.path + request.path, body, headers)
        reply = connection.getresponse()
        content = reply.read(MOST_REPLY + 1)
        if reply.length and len(content) <= MOST_REPLY:  # cut short, by the watchdog or the server
            raise http.client.IncompleteRead(content, reply.length)
        if reply.status != 200:
            message = self._without_key(server_message(content))
            hint = "" if reply.status == 404 and "model" in message else _hint(reply.status)
            text = f"{where}: status {reply.status} {reply.reason}{hint}{message}"
            if reply.status in BUSY:
                raise Unanswered(text, _wait(reply.getheader))
            raise Refused(text, reply.status)
        if len(content) > MOST_REPLY:
            raise RemoteError(f"{where}: the reply has more than {MOST_REPLY} bytes")
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RemoteError(f"{where}: the reply is not JSON ({error})") from error
        if not isinstance(found, dict):
            raise RemoteError(f"{where}: the reply is no JSON object")
        if not found.keys() & {"choices", "data"}:  # some report errors with status 200
            message = self._without_key(server_message(content))
            raise RemoteError(f"{where}: the reply holds no answer{message}")
        return found

    def _without_key(self, text: str) -> str:
        """A server may repeat the key that it refuses."""
        return text.replace(self._key, "...") if self._key else text


def server_message(content: bytes) -> str:
    """': the server says "..."', of a reply in one of the shapes that servers give to errors;
    empty where it says nothing to people.

    {"error": {"message"}} of OpenAI and vLLM, {"error"}, {"message"} of older vLLM and LMDeploy,
    {"detail"} of FastAPI, or plain text.
    """
    text = content[:MOST_REPLY].decode(errors="replace").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = "" if text.startswith("<") else text  # a page is not for a log
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    if isinstance(found, list):
        found = "; ".join(str(e.get("msg", e) if isinstance(e, dict) else e) for e in found)
    return f': the server says "{one_line(found)}"' if isinstance(found, str) and found else ""


def one_line(text: str) -> str:
    """Foreign text, fit for a message: one line of at most MOST_MESSAGE characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MOST_MESSAGE else line[:MOST_MESSAGE] + "..."


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _wait(header: Any) -> float | None:
    """What the server asks to wait, in seconds; dates are not read."""
    try:
        return max(0.0, float(header("Retry-After", "")))
    except ValueError:
        return None


def _hint(status: int) -> str:
    hints = {
        401: ": set HPE_VLM_API_KEY",
        403: ": the key in HPE_VLM_API_KEY may not do this",
        404: ": the address should end where the API begins, usually in /v1",
        413: ": the server takes no image of this size",
    }
    return hints.get(status, "")
