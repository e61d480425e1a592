# SPDX-License-Identifier: Apache-2.0
"""A hub of models on loopback, as far as `huggingface_hub` asks it; HF_ENDPOINT names it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


def files_of(folder: Path) -> Files:
    """All files of a folder under their names in a repository."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class Hub:
    """`repositories`: by org/name and revision, the files; `asked`: method and path of requests."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, Files]] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Hub]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    @property
    def fetched(self) -> list[str]:
        """Names of the files whose content was asked for, in that order."""
        gets = [line.split(" ", 1)[1] for line in self.asked if line.startswith("GET ")]
        return [path.split("/resolve/")[1].split("/", 1)[1] for path in gets if "/resolve/" in path]

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path).strip("/")
        self.asked.append(f"{request.command} {path}")
        api = path.startswith("api/models/")
        org, name, *rest = path.removeprefix("api/models/").split("/")
        revisions = self.repositories.get(f"{org}/{name}")
        if revisions is None:
            return self._send(request, 401, code="RepoNotFound")
        kind, *where = rest or ["revision", "main"]
        revision = where[0] if where else "main"
        files = self._files(revisions, revision)
        if files is None:
            return self._send(request, 404, code="RevisionNotFound")
        sha = _commit(files)
        if not api:
            file = "/".join(where[1:])
            if file not in files:
                return self._send(request, 404, code="EntryNotFound")
            return self._send(request, 200, files[file], commit=sha)
        if kind == "tree":
            entries = [
                {"type": "file", "path": file, "size": len(data), "oid": _digest(data)}
                for file, data in files.items()
            ]
            return self._send(request, 200, json.dumps(entries).encode())
        siblings = [{"rfilename": file, "size": len(data)} for file, data in files.items()]
        about = {"id": f"{org}/{name}", "sha": sha, "siblings": siblings}
        return self._send(request, 200, json.dumps(about).encode())

    @staticmethod
    def _files(revisions: dict[str, Files], revision: str) -> Files | None:
        """Of a branch or tag, or of a commit."""
        by_commit = {_commit(files): files for files in revisions.values()}
        return revisions.get(revision, by_commit.get(revision))

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes = b"",
        code: str = "",
        commit: str = "",
    ) -> None:
        request.send_response(status)
        headers = {"Content-Length": str(len(body)), "ETag": f'"{_digest(body)}"'}
        headers |= {"X-Error-Code": code} if code else {}
        headers |= {"X-Repo-Commit": commit} if commit else {}
        for key, value in headers.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def _digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def _commit(files: Files) -> str:
    """Forty hexadecimal digits that change with the content."""
    return _digest(repr([(name, _digest(data)) for name, data in files.items()]).encode())
