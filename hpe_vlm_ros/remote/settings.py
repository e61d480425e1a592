# SPDX-License-Identifier: Apache-2.0
"""How a server is asked: where, how long, how often, how much at once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from . import RemoteError

KEY_VARIABLE = "HPE_VLM_API_KEY"
SCHEMES = ("http", "https")
MODEL_SIDE = 490  # pixels of the public model's input, which scores by size refer to


# What people write of http://host:port/v1: the port or a host with dots tells it from a folder.
_BARE = re.compile(
    r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}(/\S*)?(#\S*)?|([\w-]+(\.[\w-]+)+|localhost)/v\d+/?(#\S*)?"
)


def is_remote(model: object) -> bool:
    """Whether a model is named by the address of a server rather than by a folder.

    Without a scheme that is what looks like one and is no file or folder; then http is meant.
    """
    text = str(model).strip()
    return "://" in text or (_BARE.fullmatch(text) is not None and not os.path.exists(text))


@dataclass(frozen=True)
class Settings:
    """Times are in seconds.

    Attributes:
        timeout: for a whole image, all its questions and their repetitions together.
        connect_timeout: until a server that does not accept connections is given up.
        attempts: how often a question is asked at most, if the server is busy or gone.
        backoff: the longest wait before the second attempt; doubles with each further one.
        in_flight: questions that are with the server at the same time, at most.
        recheck: between looks whether the server still is the one it was.
    """

    timeout: float = 20.0
    connect_timeout: float = 3.0
    attempts: int = 3
    backoff: float = 0.25
    in_flight: int = 4
    recheck: float = 30.0

    def __post_init__(self) -> None:
        if min(self.timeout, self.connect_timeout, self.backoff, self.recheck) <= 0:
            raise ValueError("timeouts, backoff and recheck must be above 0 seconds")
        if min(self.attempts, self.in_flight) < 1:
            raise ValueError("attempts and in_flight must be at least 1")


@dataclass(frozen=True)
class Address:
    """A parsed [http(s)://]host[:port]/path[#model]; the key is no part of it and never shown.

    model: the name of one of the server's models or adapters, None where it is not given.
    """

    scheme: str
    host: str
    port: int
    path: str
    model: str | None = None

    @classmethod
    def parse(cls, url: str) -> Address:
        """RemoteError for anything that is no address of a server, or that holds a password."""
        url = url.strip()
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise RemoteError(f"{_safe(url)} is no address of a server: {error}") from error
        if parts.scheme not in SCHEMES or not host:
            raise RemoteError(
                f"{_safe(url)} is no address of a server: write it as http://gpu.local:23333/v1"
            )
        if parts.username or parts.password:
            raise RemoteError(
                f"the address of {host} holds a password: put the key into the environment "
                f"variable {KEY_VARIABLE} instead"
            )
        if parts.query:
            raise RemoteError(f"{_safe(url)}: leave out what follows the path")
        port = port or (443 if parts.scheme == "https" else 80)
        model = unquote(parts.fragment) or None
        return cls(parts.scheme, host, port, parts.path.rstrip("/"), model)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def _safe(url: str) -> str:
    """The address without what may be secret in it."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"


def api_key() -> str | None:
    """The key for the server, from the environment variable KEY_VARIABLE; None where that is
    empty."""
    return os.environ.get(KEY_VARIABLE, "").strip() or None
