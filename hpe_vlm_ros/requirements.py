# SPDX-License-Identifier: Apache-2.0
"""What to install where a package is missing, in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

REPLAY = ("jinja2", "matplotlib", "mcap", "rosbags", "tqdm")
"""The modules of requirements-replay.txt."""
WEB = ("fastapi", "gradio", "uvicorn")
TORCH = ("PIL", "accelerate", "safetensors", "torch", "transformers")


def remedy(error: ImportError) -> str:
    """The error's text, and the file of requirements to install for this interpreter."""
    module = (error.name or "").partition(".")[0]
    files = "requirements.txt, and for models that are not exported its requirements-torch.txt"
    if module in REPLAY:
        files = "requirements-replay.txt"
    elif module in WEB:
        files = "requirements-web.txt"
    elif module in TORCH:
        files = "requirements-torch.txt"
    return f"{error}: install this package's {files}, for {sys.executable}"


@contextmanager
def stated() -> Iterator[None]:
    """Around imports of a program: where one fails, it ends with that sentence and status 1."""
    try:
        yield
    except ImportError as error:
        sys.exit(f"error: {remedy(error)}")
