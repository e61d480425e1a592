# SPDX-License-Identifier: Apache-2.0
"""Language experts of their own, for questions that hold all they are about as text.

They are a decoder as in `language`, without a picture (config.json's `text_only`): they see neither
the tower nor its cache, so that no answer about heads changes with them, and other weights of the
main model do not touch them. They are small enough to be served by numpy alone, beside whatever
runtime or server answers about pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.head_map import HeadMap
from hpe_vlm_ros.tasks import Task

from . import CheckpointError
from .backend import Ids, Logits
from .decoding.constrained import ask
from .decoding.grammar import AnswerGrammar
from .decoding.scores import label_probabilities
from .decoding.sequences import Sequences
from .decoding.tokens import TOKENIZER_FILE, FileTokenizer
from .model_folder import WEIGHTS, digest, read_json

Floats = NDArray[np.float32]
FOLDER = "experts"  # in a model folder: a folder for each set of experts, such as experts/signals
UNNAMED = ("gesture",)  # what experts have learnt whose config names no tasks
# of safetensors; BF16 is missing, since numpy has no such type
KINDS = {"F32": np.float32, "F16": np.float16}


@dataclass(frozen=True)
class Layer:
    """Weights of one layer, as rows of outputs transposed: x @ weight."""

    qkv: Floats
    dense: Floats
    gate_up: Floats
    down: Floats
    first_norm: Floats
    second_norm: Floats


class Weights:
    """A text-only decoder's, read from its folder."""

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / "config.json")
        if config.get("text_only") is not True:
            raise CheckpointError(
                f"{folder} is no set of text experts: its config says no text_only"
            )
        tensors = read_tensors(folder / WEIGHTS)
        try:
            self.heads = int(config["num_attention_heads"])
            self.eps = float(config["rms_norm_eps"])
            self.theta = float(config.get("rope_theta", 10000.0))
            self.embedding = tensors["model.embed_tokens.weight"]
            self.norm = tensors["model.norm.weight"]
            self.lm_head = np.ascontiguousarray(tensors["lm_head.weight"].T)
            count = int(config["num_hidden_layers"])
            self.layers = [self._layer(tensors, f"model.layers.{i}.") for i in range(count)]
        except KeyError as error:
            raise CheckpointError(f"{folder} lacks {error}: copy the folder again") from error
        self.width = self.embedding.shape[1]

    @staticmethod
    def _layer(tensors: dict[str, Floats], name: str) -> Layer:
        def turned(*names: str) -> Floats:
            parts = [tensors[f"{name}{part}.weight"] for part in names]
            return np.ascontiguousarray(np.concatenate(parts).T)

        return Layer(
            turned("self_attn.language_expert_query_key_value"),
            turned("self_attn.language_expert_dense"),
            turned("mlp.language_mlp.gate_proj", "mlp.language_mlp.up_proj"),
            turned("mlp.language_mlp.down_proj"),
            tensors[f"{name}input_layernorm.weight"],
            tensors[f"{name}post_attention_layernorm.weight"],
        )


def read_tensors(file: Path) -> dict[str, Floats]:
    """A safetensors file of 16 or 32 bits, as 32; CheckpointError says why it cannot be read.

    The format is a length, a JSON header and the arrays one behind the other; PyTorch's installs
    have a library for it, the robot's need none.
    """
    try:
        content = file.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        header: dict[str, Any] = json.loads(content[8:start])
        header.pop("__metadata__", None)
        out = {}
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            values = np.frombuffer(content[start + first : start + last], KINDS[entry["dtype"]])
            out[name] = values.reshape(entry["shape"]).astype(np.float32)
        return out
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing: copy the folder again") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file} is cut short or damaged ({error}): copy it again") from error


class TextCache:
    """See `backend.ImageCache`; there is no picture."""

    start = 0
    presence: HeadMap | None = None

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.length = 0
        self._rows = [np.zeros((2, weights.heads, 0, 0), np.float32) for _ in weights.layers]

    def append(self, ids: Ids, positions: Ids, mask: NDArray[np.bool_], wanted: Ids) -> Logits:
        weights, x = self._weights, self._weights.embedding[ids]
        turn = _rotation(positions, weights.width // weights.heads, weights.theta)
        hidden_to = np.where(mask, np.float32(0), np.float32(-np.inf))
        for index, layer in enumerate(weights.layers):
            last = index + 1 == len(weights.layers)
            x = self._through(index, layer, x, turn, hidden_to, wanted if last else None)
        self.length += len(ids)
        return np.asarray(_norm(x, weights.norm, weights.eps) @ weights.lm_head)

    def _through(
        self, index: int, layer: Layer, x: Floats, turn: Floats, bias: Floats, wanted: Ids | None
    ) -> Floats:
        weights, heads = self._weights, self._weights.heads
        qkv = _norm(x, layer.first_norm, weights.eps) @ layer.qkv
        q, k, v = qkv.reshape(len(x), 3, heads, -1).transpose(1, 2, 0, 3)
        new = np.stack([_turned(k, turn), v])
        q = _turned(q, turn)
        known = self._rows[index]
        self._rows[index] = new if not known.shape[2] else np.concatenate([known, new], 2)
        if wanted is not None:  # of the last layer nothing else is read
            x, q, bias = x[wanted], q[:, wanted], bias[wanted]
        keys, values = self._rows[index]
        scores = q @ keys.transpose(0, 2, 1) * np.float32(q.shape[-1] ** -0.5) + bias
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ values
        x = x + mixed.transpose(1, 0, 2).reshape(len(x), -1) @ layer.dense
        gate, up = np.split(_norm(x, layer.second_norm, weights.eps) @ layer.gate_up, 2, axis=-1)
        return np.asarray(x + (gate / (1 + np.exp(-gate)) * up) @ layer.down)

    def shrink(self, length: int) -> None:
        self.length = min(length, self.length)
        self._rows = [rows[:, :, : self.length] for rows in self._rows]


def _norm(x: Floats, weight: Floats, eps: float) -> Floats:
    root = np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(eps))
    return np.asarray(x / root * weight)


def _rotation(positions: Ids, width: int, theta: float) -> Floats:
    """Cosines and sines (2, T, width)."""
    steps = np.arange(0, width, 2, dtype=np.float32)
    angles = positions[:, None].astype(np.float32) * np.float32(theta) ** (-steps / width)
    angles = np.concatenate([angles, angles], 1)
    return np.stack([np.cos(angles), np.sin(angles)])


def _turned(x: Floats, rotation: Floats) -> Floats:
    first, second = np.split(x, 2, axis=-1)
    cos, sin = rotation
    return np.asarray(x * cos + np.concatenate([-second, first], -1) * sin)


class TextExperts:
    """One set of experts. `name`: of the set, with what tells its weights apart; `tasks`: names of
    those that it has learnt."""

    def __init__(self, folder: str | Path) -> None:
        place = Path(folder)
        self._weights = Weights(place)
        if not (place / TOKENIZER_FILE).is_file():
            raise CheckpointError(f"{place} has no {TOKENIZER_FILE}: copy the folder again")
        try:
            self._tokenizer = FileTokenizer.load(place)
        except Exception as error:  # the tokenizers library raises bare Exception
            raise CheckpointError(f"the tokenizer in {place} cannot be read: {error}") from error
        self._grammar = AnswerGrammar(self._tokenizer)
        self.tasks = tuple(read_json(place / "config.json").get("tasks", UNNAMED))
        self.name = f"{place.name}-{digest(place / WEIGHTS)[:8]}"

    def labels(self, task: Task[str], questions: Sequence[str]) -> list[dict[str, float]]:
        """The probability of each label of a task whose answers are one, for each question;
        ValueError for a task that they have not learnt."""
        if task.name not in self.tasks:
            raise ValueError(
                f"{self.name} has not learnt the question {task.name!r}, only "
                f"{', '.join(self.tasks)}"
            )
        out, runs = [], self._grammar.label_runs(task)
        for question in questions:
            prompt = self._tokenizer.encode(question, add_special_tokens=False)
            cache = Sequences(TextCache(self._weights))
            (answer,) = ask(cache, [prompt], [task.grammar(self._grammar)])
            out.append(label_probabilities(answer, runs))
        return out


def signals_in(folder: str | Path, task: Task[str]) -> TextExperts | None:
    """The experts in a model folder that answer a task; None where they have not learnt it.
    CheckpointError where they are damaged."""
    place = find_experts(folder, task.experts)
    experts = None if place is None else TextExperts(place)
    return experts if experts is not None and task.name in experts.tasks else None


def find_experts(folder: str | Path, name: str) -> Path | None:
    """The folder of a set of experts in a model folder; None where the model has none such."""
    place = Path(folder) / FOLDER / name
    return place if (place / "config.json").is_file() else None
