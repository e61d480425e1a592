# SPDX-License-Identifier: Apache-2.0
"""How each server wants to be told a grammar, and the name of an adapter.

Read in the servers' own documentation and code; `probe` finds out which one a server obeys, since
most servers ignore what they do not know and answer without any grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .language import Language

Fields = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """One way to put a grammar into a request.

    Attributes:
        name: of the server, as people know it.
        owner: what the server writes as `owned_by` in its list of models.
        grammar: the fields of a request that ask for answers of a language.
        load_adapter: the option that loads an adapter, for messages; empty where there is none.
    """

    name: str
    owner: str
    grammar: Callable[[Language], Fields]
    load_adapter: str = ""

    def model(self, entry: Mapping[str, Any]) -> str:
        """What a request calls the model of this entry in the server's list."""
        return str(entry["id"])


class _SGLang(Dialect):
    """An adapter's name alone is taken for the base model's, without an error; it has to be written
    base:adapter (docs.sglang.io/docs/advanced_features/lora, `_parse_model_parameter`)."""

    def model(self, entry: Mapping[str, Any]) -> str:
        parent = entry.get("parent")
        return f"{parent}:{entry['id']}" if parent else str(entry["id"])


# docs.vllm.ai/en/latest/features/structured_outputs: since 0.12 `structured_outputs`; the fields
# guided_* of before are ignored since then.
VLLM = Dialect(
    "vLLM",
    "vllm",
    lambda language: {"structured_outputs": {"regex": language.regex}},
    "--enable-lora --lora-modules NAME=FOLDER",
)
OLD_VLLM = Dialect(
    "vLLM before 0.12",
    "vllm",
    lambda language: {"guided_regex": language.regex},
    VLLM.load_adapter,
)
# docs.sglang.io/docs/advanced_features/structured_outputs
SGLANG = _SGLang(
    "SGLang", "sglang", lambda language: {"regex": language.regex}, "--lora-paths NAME=FOLDER"
)
# lmdeploy.readthedocs.io/en/latest/advance/structed_output.html; the type `regex_schema` is
# LMDeploy's own (lmdeploy/serve/openai/protocol.py).
LMDEPLOY = Dialect(
    "LMDeploy",
    "lmdeploy",
    lambda language: {"response_format": {"type": "regex_schema", "regex_schema": language.regex}},
    "--adapters NAME=FOLDER",
)
# nvidia.github.io/TensorRT-LLM/features/guided-decoding.html; needs guided_decoding_backend in the
# server's configuration. Fields that it does not know are refused.
TENSORRT_LLM = Dialect(
    "TensorRT-LLM",
    "tensorrt_llm",
    lambda language: {"response_format": {"type": "regex", "regex": language.regex}},
)
# nvidia.github.io/TensorRT-Edge-LLM/user_guide/features/guided-decoding.html; response_format
# knows JSON only (experimental/server/api/protocol.py). Unknown fields are refused.
EDGE_LLM = Dialect(
    "TensorRT Edge-LLM",
    "tensorrt-edgellm",
    lambda language: {"guided_decoding": {"regex": language.regex}},
)
# github.com/ggml-org/llama.cpp, tools/server/README.md and grammars/README.md; its
# response_format knows JSON only. The server of llama-cpp-python takes the same field.
LLAMA_CPP = Dialect(
    "llama.cpp", "llamacpp", lambda language: {"grammar": language.rules}, "--lora FILE"
)

DIALECTS = (VLLM, SGLANG, LMDEPLOY, TENSORRT_LLM, EDGE_LLM, LLAMA_CPP, OLD_VLLM)


def likely(owner: str) -> list[Dialect]:
    """All dialects, those of the server that calls itself `owner` first.

    The others follow, for a proxy may put its own name there.
    """
    return sorted(DIALECTS, key=lambda dialect: dialect.owner != owner)


def spoken_by(owner: object) -> Dialect | None:
    """That of the server that calls itself `owner`; None if it is not known."""
    return next((dialect for dialect in DIALECTS if dialect.owner == owner), None)
