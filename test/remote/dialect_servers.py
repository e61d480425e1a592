# SPDX-License-Identifier: Apache-2.0
"""Local servers that take, refuse and ignore what the real ones do, by their own documentation.

The sources are those named in `hpe_vlm_ros.remote.dialects`; what is cited here was read in vLLM
0.33.0, SGLang 0.5.23, LMDeploy 0.18.0, TensorRT-LLM (September 2026), TensorRT Edge-LLM 0.11 and
llama.cpp (October 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from chat_server import Reply, Server, prompt_of
from talking_model import TalkingModel, logprobs

Body = dict[str, Any]
KNOWN = {"model", "messages", "temperature", "max_tokens", "logprobs", "top_logprobs"}


class Refusal(Exception):
    """The server's answer is this reply."""

    def __init__(self, reply: Reply):
        self.reply = reply


def refuse(message: str, status: int = 400) -> Refusal:
    return Refusal(Reply({"error": {"message": message, "code": status}}, status=status))


@dataclass
class Dialect:
    """Answers completions; ignores what it does not know, has no grammar.

    Attributes:
        name: of the model in the list.
        adapters: adapters' names and their models.
        parser: reasoning goes into `reasoning_content`.
        asked: the requests, those that were refused included.
    """

    model: TalkingModel = field(default_factory=TalkingModel)
    name: str = "head-poses"
    adapters: dict[str, TalkingModel] = field(default_factory=dict)
    parser: bool = False
    asked: list[Body] = field(default_factory=list)

    owner: ClassVar[str] = "somebody"
    own_among_top: ClassVar[bool] = True

    def listing(self) -> Reply:
        entries = [{"id": self.name, "owned_by": self.owner, "created": len(self.asked)}]
        entries += [
            {"id": adapter, "owned_by": self.owner, "parent": self.name}
            for adapter in self.adapters
        ]
        return Reply({"object": "list", "data": entries})

    def serve(self, server: Server) -> None:
        server.answer = server.probe = self
        server.models = self.listing

    def __call__(self, body: Body) -> Reply:
        self.asked.append(body)
        try:
            self.check(body)
            model, pattern = self.chosen(body["model"]), self.pattern(body)
        except Refusal as refusal:
            return refusal.reply
        thinking = not self.told_not_to_think(body)
        question = prompt_of(body)
        detailed = bool(body.get("logprobs"))
        text, places = model.speak(question, pattern, body["max_tokens"], thinking, detailed)
        choice: Body = {"message": {"role": "assistant", "content": text}}
        if detailed:
            choice["logprobs"] = logprobs(
                text, places, body.get("top_logprobs") or 0, self.own_among_top
            )
        if self.parser and "</think>" in text:
            thought, _, answer = text.partition("</think>\n\n")
            choice["message"] |= {"content": answer, "reasoning_content": thought}
        return Reply({"model": body["model"], "choices": [choice]})

    def chosen(self, name: str) -> TalkingModel:
        models = {self.name: self.model, **self.adapters}
        if name not in models:
            raise refuse(f"The model `{name}` does not exist.", 404)
        return models[name]

    def told_not_to_think(self, body: Body) -> bool:
        return (body.get("chat_template_kwargs") or {}).get("enable_thinking") is False

    def check(self, body: Body) -> None:
        if body.get("top_logprobs") and not body.get("logprobs"):
            raise refuse("when using `top_logprobs`, `logprobs` must be set to true.")
        if (body.get("top_logprobs") or 0) > 20:
            raise refuse("Requested sample logprobs of 25, which is greater than max allowed: 20")

    def pattern(self, body: Body) -> str | None:
        return None


def only_types(body: Body, *allowed: str) -> str | None:
    """The type of response_format; refused unless it is among those allowed."""
    kind = (body.get("response_format") or {}).get("type")
    if kind not in (None, "text", *allowed):
        raise refuse(f"response_format type must be one of {allowed}, but got: {kind}")
    return kind


class VLLM(Dialect):
    owner = "vllm"

    def pattern(self, body: Body) -> str | None:
        only_types(body, "json_object", "json_schema", "structural_tag")
        asked = body.get("structured_outputs")
        if asked is not None and len(asked) != 1:
            raise refuse("You must use one kind of structured outputs constraint")
        return (asked or {}).get("regex")


class OldVLLM(Dialect):
    """Before 0.12; since then guided_regex is ignored."""

    owner = "vllm"

    def pattern(self, body: Body) -> str | None:
        only_types(body, "json_object", "json_schema")
        return body.get("guided_regex")


class SGLang(Dialect):
    """Takes adapters as base:adapter only; a bare name is the base's, whatever it says."""

    owner = "sglang"

    def chosen(self, name: str) -> TalkingModel:
        adapter = name.partition(":")[2]
        if adapter and adapter not in self.adapters:
            raise refuse(f"The following requested LoRA adapters are not loaded: {adapter}")
        return self.adapters[adapter] if adapter else self.model

    def pattern(self, body: Body) -> str | None:
        only_types(body, "json_object", "json_schema", "structural_tag")
        return body.get("regex")


@dataclass
class LMDeploy(Dialect):
    """`logprobs_mode`: as started with --logprobs-mode; without it probabilities are refused."""

    logprobs_mode: bool = True

    owner = "lmdeploy"
    own_among_top = False

    def check(self, body: Body) -> None:
        if body.get("logprobs") and not self.logprobs_mode:
            message = "Logprobs(True)/top_logprobs(20) requested but not enabled logprobs_mode"
            raise Refusal(Reply({"object": "error", "message": message, "code": 400}, status=400))
        super().check(body)

    def pattern(self, body: Body) -> str | None:
        kind = only_types(body, "json_object", "json_schema", "regex_schema")
        return body["response_format"]["regex_schema"] if kind == "regex_schema" else None


@dataclass
class TensorRTLLM(Dialect):
    """Forbids fields it does not know and template variables that the template does not use.

    `guided`: guided_decoding_backend is configured. `variables`: those of the template.
    """

    guided: bool = True
    variables: tuple[str, ...] = ("enable_thinking",)

    owner = "tensorrt_llm"

    def check(self, body: Body) -> None:
        unknown = set(body) - KNOWN - {"response_format", "chat_template_kwargs"}
        unknown |= set(body.get("chat_template_kwargs") or {}) - set(self.variables)
        if unknown:
            raise refuse(f"Extra inputs are not permitted: {', '.join(sorted(unknown))}")
        super().check(body)

    def pattern(self, body: Body) -> str | None:
        kind = only_types(body, "json", "json_schema", "json_object", "regex", "ebnf")
        if kind and not self.guided:
            raise refuse("guided decoding is not enabled: set guided_decoding_backend")
        return body["response_format"]["regex"] if kind == "regex" else None


class EdgeLLM(Dialect):
    """Forbids fields it does not know, and template variables but two."""

    owner = "tensorrt-edgellm"

    def check(self, body: Body) -> None:
        fields = {"response_format", "guided_decoding", "chat_template_kwargs"}
        if unknown := set(body) - KNOWN - fields:
            raise refuse(f"Extra inputs are not permitted: {', '.join(sorted(unknown))}", 422)
        variables = set(body.get("chat_template_kwargs") or {})
        if unknown := variables - {"enable_thinking", "reasoning_effort"}:
            raise refuse(f"unsupported chat_template_kwargs: {', '.join(sorted(unknown))}", 422)
        super().check(body)

    def pattern(self, body: Body) -> str | None:
        only_types(body, "json_object", "json_schema")
        return (body.get("guided_decoding") or {}).get("regex")


class LlamaCpp(Dialect):
    """Takes any name for its one model."""

    owner = "llamacpp"

    def chosen(self, name: str) -> TalkingModel:
        return self.model

    def pattern(self, body: Body) -> str | None:
        only_types(body, "json_object", "json_schema")
        return None if body.get("grammar") is None else from_gbnf(body["grammar"])


class OpenAI(Dialect):
    """Refuses every field that OpenAI's own API has not."""

    owner = "system"

    def check(self, body: Body) -> None:
        if unknown := sorted(set(body) - KNOWN - {"response_format"}):
            raise refuse(f"Unrecognized request argument supplied: {unknown[0]}")
        super().check(body)

    def pattern(self, body: Body) -> str | None:
        only_types(body, "json_object", "json_schema")
        return None


_GBNF = re.compile(r'"((?:[^"\\]|\\.)*)"|(\[[^\]]+\])|([()|]|\{\d+,\d+\})|\s+')


def from_gbnf(rules: str) -> str:
    """A regular expression for a GBNF grammar that has a root and no other rules."""
    head, _, rest = rules.partition("::=")
    found, place = [], 0
    while place < len(rest):
        part = _GBNF.match(rest, place)
        if part is None or head.strip() != "root":
            raise refuse("Failed to parse grammar")
        quoted, letters, mark = part.groups()
        found.append(
            re.escape(re.sub(r"\\(.)", r"\1", quoted)) if quoted else letters or mark or ""
        )
        place = part.end()
    return "".join(found)
