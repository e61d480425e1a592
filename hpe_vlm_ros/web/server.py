# SPDX-License-Identifier: Apache-2.0
"""Serves the page on an address of this machine, with nothing that comes from or goes elsewhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

GRACE_S = 1
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
)
"""The browser loads and sends nothing from or to elsewhere, whatever the page says. The two unsafe
words are what Gradio's own page takes."""


def serve(perceiver: Any, address: str, port: int, say: Callable[[str], None] = print) -> None:
    """Serves until Ctrl-C. Uploads lie in a temporary folder that is deleted then.

    ImportError without gradio, OSError where the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="head-poses-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        app = application(perceiver)
        import uvicorn

        config = uvicorn.Config(
            app, host=address, port=port, log_level="warning",
            timeout_graceful_shutdown=GRACE_S,  # pages that are open hold connections
        )  # fmt: skip
        sockets = [config.bind_socket()]
        bound = sockets[0].getsockname()[1]
        host = f"[{address}]" if ":" in address else address
        say(f"open http://{host}:{bound} in a browser; Ctrl-C ends it")
        uvicorn.Server(config).run(sockets)


def application(perceiver: Any) -> Any:
    """The page as an ASGI application."""
    from .page import CSS, page, theme  # first: it sets what gradio reads when it is imported
    from .viewer import Viewer

    import fastapi  # isort: skip
    import gradio  # isort: skip

    app = fastapi.FastAPI(openapi_url=None)

    @app.middleware("http")
    async def keep_here(request: Any, respond: Any) -> Any:
        answer = await respond(request)
        answer.headers["Content-Security-Policy"] = POLICY
        return answer

    blocks = page(Viewer(perceiver), perceiver.model_id)
    return gradio.mount_gradio_app(
        app, blocks, path="/", theme=theme(), css=CSS, footer_links=[], ssr_mode=False,
        run_history=False, show_error=True, enable_monitoring=False,
    )  # fmt: skip
