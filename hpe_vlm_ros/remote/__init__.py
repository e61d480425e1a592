# SPDX-License-Identifier: Apache-2.0
"""Heads found by a model on another machine, through an OpenAI-style chat-completions endpoint."""


class RemoteError(RuntimeError):
    """The server cannot be asked, or answers nothing that is an answer; the message says what."""
