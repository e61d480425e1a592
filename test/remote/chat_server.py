# SPDX-License-Identifier: Apache-2.0
"""A local server that speaks the chat-completions protocol, well or badly, as a test tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.remote import probe, square
from hpe_vlm_ros.remote.model import RemoteModel
from hpe_vlm_ros.remote.settings import Settings

HANG, DROP, DRIP = "hang", "drop", "drip"


@dataclass
class Reply:
    """What to send; `body` is JSON unless it is bytes. `misbehave` comes in place of it."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    misbehave: str = ""


def perceiver_at(url: str, max_heads: int = 20, settings: Settings | None = None) -> HeadPerceiver:
    """As HeadPerceiver.load(url), with other settings."""
    return HeadPerceiver(RemoteModel(url, settings), None, max_heads, mirror=False)


def said(text: str, tokens: list[tuple[str, float]] | None = None) -> Reply:
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    if tokens is not None:
        choice["logprobs"] = {"content": [{"token": t, "logprob": p} for t, p in tokens]}
    return Reply({"choices": [choice]})


def prompt_of(body: dict[str, Any]) -> str:
    return next(part["text"] for part in body["messages"][0]["content"] if part["type"] == "text")


def is_probe(body: dict[str, Any]) -> bool:
    """Whether this asks what the server can do, and nothing about a camera's image."""
    return prompt_of(body) in (probe.QUESTION, square.QUESTION)


class Server:
    """`answer(body)` makes the reply to each question; requests are kept in `asked`.

    `probe(body)` does for the questions by which a server is tested; these are kept in `probed`. By
    default it obeys no grammar, tells no probabilities and finds no square.
    """

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], Reply] = lambda body: said("nothing")
        self.probe: Callable[[dict[str, Any]], Reply] = lambda body: said("Hello.")
        self.models: Reply | Callable[[], Reply] = Reply({"data": [{"id": "cogvlm-merged"}]})
        self.asked: list[dict[str, Any]] = []
        self.probed: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.released = threading.Event()  # ends what hangs
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listed = outer.models if isinstance(outer.models, Reply) else outer.models()
                outer._send(self, listed if self.path == "/v1/models" else Reply(status=404))

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                with outer._lock:
                    (outer.probed if is_probe(body) else outer.asked).append(body)
                    outer.keys.append(self.headers.get("Authorization"))
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                try:
                    right = self.path == "/v1/chat/completions"
                    answer = outer.probe if is_probe(body) else outer.answer
                    reply = answer(body) if right else Reply(status=404)
                finally:
                    with outer._lock:  # before the client knows, and asks the next
                        outer._at_once -= 1
                outer._send(self, reply)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.misbehave == DROP:
            handler.close_connection = True
            return
        if reply.misbehave == HANG:
            self.released.wait(30)
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if reply.misbehave == DRIP:  # alive, byte by byte, and never done
            while not self.released.wait(0.02):
                handler.wfile.write(b" ")
        handler.wfile.write(content)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
