# SPDX-License-Identifier: Apache-2.0
"""What a chat completion holds: the answer's text, and its tokens with their probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import RemoteError
from .distributions import Token
from .exchange import one_line

THINKING, THOUGHT = "<think>", "</think>"  # of Qwen, DeepSeek, GLM and others


class Thinks(RemoteError):
    """The model reasoned and came to no answer within the tokens it had."""


@dataclass(frozen=True)
class Reply:
    """The text of an answer, and if the server tells, its tokens with their probabilities.

    `thought`: the model reasoned before it answered; that part is in neither.
    """

    text: str
    tokens: Sequence[Token] = ()
    thought: bool = False


def read(content: Mapping[str, Any]) -> Reply:
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
        problem = f"the server's reply holds no text{_why(choice, message)}"
        raise Thinks(problem) if _reasoning(message) else RemoteError(problem)
    tokens = _tokens(choice.get("logprobs"))
    before, mark, answer = text.rpartition(THOUGHT)
    if not mark and text.lstrip().startswith(THINKING):
        raise Thinks("the model reasons and comes to no answer; have the server turn that off")
    aloud = bool(before.strip().removeprefix(THINKING).strip())
    thought = aloud or _reasoning(message)
    return Reply(answer.lstrip() if mark else text, _after_thoughts(tokens), thought)


def _reasoning(message: Mapping[str, Any]) -> bool:
    """Whether the server tells apart what the model thought."""
    return bool(message.get("reasoning_content") or message.get("reasoning"))


def _why(choice: dict[str, Any], message: dict[str, Any]) -> str:
    """Why a model said nothing, as far as the reply tells."""
    if message.get("refusal"):
        return f": the model refuses ({one_line(str(message['refusal']))})"
    if _reasoning(message):
        return ": the model only reasons; have the server turn that off"
    reason = choice.get("finish_reason")
    return f" (finish_reason {reason})" if reason else ""


def _tokens(found: Any) -> list[Token]:
    """Empty if they are not told."""
    try:
        return [_token(entry) for entry in found["content"]]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _token(entry: Mapping[str, Any]) -> Token:
    alternatives: dict[str, float] = {}
    for text, probability in map(_pair, entry.get("top_logprobs") or ()):
        alternatives[text] = alternatives.get(text, 0.0) + probability  # of a letter and its byte
    return Token(*_pair(entry), alternatives)


def _pair(entry: Mapping[str, Any]) -> tuple[str, float]:
    return str(entry["token"]), math.exp(min(float(entry["logprob"]), 0.0))


def _after_thoughts(tokens: list[Token]) -> list[Token]:
    ends = [index for index, token in enumerate(tokens) if token.text.strip() == THOUGHT]
    return tokens[ends[-1] + 1 :] if ends else tokens
