# SPDX-License-Identifier: Apache-2.0
"""Qwen3-VL's speed and memory by transformers' own classes, with random weights.

    python -m benchmarks.full_size.qwen3_vl --device cuda --sizes 2B 8B
    python -m benchmarks.full_size.qwen3_vl --sizes tiny --dtype float32     # to try it on a CPU

For each size and precision: memory, milliseconds of each phase and of a whole frame, with the
picture encoded once and all poses in one batch, beside `generate()` once per question. "least" is
the roofline, as in `benchmarks.full_size`. Answers are forced to the length that the paper's have,
one token a digit. "int4" quantizes the decoder's linear layers (NF4), the tower stays.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.cache_utils import Cache, DynamicCache

from benchmarks.full_size.__main__ import (
    PHASES,
    add_common_options,
    known_card,
    peak_memory,
    table,
    timed,
)
from benchmarks.full_size.roofline import Card, Work, least_seconds
from benchmarks.machine import described

# published sizes; 8.77e9 parameters is what the makers state of the larger one
TEXT = {
    "2B": dict(hidden_size=2048, intermediate_size=6144, num_hidden_layers=28, heads=16),
    "8B": dict(hidden_size=4096, intermediate_size=12288, num_hidden_layers=36, heads=32),
    "tiny": dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, heads=4),
}
TOWER = {
    "2B": dict(depth=24, hidden_size=1024, intermediate_size=4096, num_heads=16, read=(5, 11, 17)),
    "8B": dict(depth=27, hidden_size=1152, intermediate_size=4304, num_heads=16, read=(8, 16, 24)),
    "tiny": dict(depth=2, hidden_size=32, intermediate_size=48, num_heads=2, read=(0,)),
}
DETECTION, POSE = 17, 31  # tokens of the questions, with one token a digit
POSE_ANSWER = 19


def box_answer(heads: int) -> int:
    """Tokens of the answer that names so many boxes."""
    return 8 + 16 * heads + 1


def qwen_config(size: str) -> Qwen3VLConfig:
    text, tower = dict(TEXT[size]), dict(TOWER[size])
    heads, read = text.pop("heads"), tower.pop("read")
    small = size == "tiny"
    width = 16 if small else 128
    sections = [2, 3, 3] if small else [24, 20, 20]
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": sections}
    text |= {
        "num_attention_heads": heads,
        "num_key_value_heads": 2 if small else 8,
        "head_dim": width,
        "vocab_size": 512 if small else 151936,
        "rope_parameters": rope | {"mrope_interleaved": True},
        "max_position_embeddings": 4096,
    }
    tower |= {"out_hidden_size": text["hidden_size"], "deepstack_visual_indexes": list(read)}
    ids = {"image": 500, "vision_start": 501, "vision_end": 502, "video": 503}
    return Qwen3VLConfig(
        text_config=text,
        vision_config=tower,
        tie_word_embeddings=size == "2B",
        **{f"{name}_token_id": number for name, number in ids.items()},
    )


def random_model(config: Qwen3VLConfig, device: str, dtype: torch.dtype) -> nn.Module:
    """On `device`, as transformers initialises it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return Qwen3VLForConditionalGeneration(config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


def quantize(model: Any, device: str, dtype: torch.dtype) -> None:
    """The decoder's linear layers to 4 bits, in place."""
    import bitsandbytes as bnb

    text = model.model.language_model
    for name, layer in [*text.named_modules()]:
        if type(layer) is not nn.Linear:
            continue
        shape = layer.in_features, layer.out_features
        small = bnb.nn.Linear4bit(*shape, bias=False, compute_dtype=dtype, quant_type="nf4")
        weight = bnb.nn.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4")
        small.weight = weight.to(device)
        parent, _, leaf = name.rpartition(".")
        setattr(text.get_submodule(parent), leaf, small)


class Frame:
    """One picture of `width` x `height` pixels before a model, and what is asked about it."""

    def __init__(self, model: Any, width: int, height: int):
        self.model, config = model, model.config
        self.device, side = model.device, 16
        grid = (height // side, width // side)
        self.tokens = grid[0] * grid[1] // 4 + 2  # with the begin and end of the picture
        self.grid = torch.tensor([[1, *grid]], device=self.device)
        shape = (grid[0] * grid[1], 3 * 2 * side * side)
        self.pixels = torch.randn(shape, device=self.device, dtype=model.dtype)
        ids = [config.vision_start_token_id, *[config.image_token_id] * (self.tokens - 2)]
        self.ids = torch.tensor([[*ids, config.vision_end_token_id]], device=self.device)
        self.start = max(grid) // 2 + 2  # of the text: the picture's larger side, begin and end

    def picture(self, text: int) -> dict[str, torch.Tensor]:
        """What the model takes of the picture and `text` tokens behind it."""
        words = torch.full((1, text), 7, device=self.device)
        ids = torch.cat((self.ids, words), 1)
        kinds = (ids == self.model.config.image_token_id).int()
        found = {"input_ids": ids, "mm_token_type_ids": kinds, "pixel_values": self.pixels}
        return found | {"image_grid_thw": self.grid}

    def append(self, cache: Cache, rows: int, count: int, behind: int) -> None:
        """One forward of `count` tokens in each of `rows`, `behind` the picture."""
        ids = torch.full((rows, count), 7, device=self.device)
        places = torch.arange(count, device=self.device) + self.start + behind
        self.model(
            input_ids=ids,
            position_ids=places.expand(3, rows, -1),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )


@torch.inference_mode()
def phases(frame: Frame, heads: int, device: str) -> dict[str, float]:
    """Milliseconds of each phase of one frame."""
    model, cache = frame.model, DynamicCache(config=frame.model.config.text_config)
    vision, _ = timed(device, lambda: model.model.visual(frame.pixels, grid_thw=frame.grid))
    whole, _ = timed(
        device,
        lambda: model(**frame.picture(0), past_key_values=cache, use_cache=True, logits_to_keep=1),
    )

    def detect() -> None:
        own = deepcopy(cache)
        frame.append(own, 1, DETECTION, 0)
        for number in range(box_answer(heads) - 1):
            frame.append(own, 1, 1, DETECTION + number)

    def pose() -> None:
        own = deepcopy(cache)
        own.batch_repeat_interleave(heads)
        frame.append(own, heads, POSE, 0)
        for number in range(POSE_ANSWER - 1):
            frame.append(own, heads, 1, POSE + number)

    times = {"vision": vision, "prefix": max(whole - vision, 0.0)}
    return times | {"detect": timed(device, detect)[0], "pose": timed(device, pose)[0]}


@torch.inference_mode()
def generate(frame: Frame, heads: int, device: str) -> float:
    """Milliseconds of one `generate()` a question, as transformers does it."""

    def ask(question: int, answer: int) -> float:
        rules: dict[str, Any] = {"max_new_tokens": answer, "min_new_tokens": answer}
        batch = frame.picture(question)
        rules |= {"do_sample": False, "eos_token_id": None}
        return timed(device, lambda: frame.model.generate(**batch, **rules))[0]

    return ask(DETECTION, box_answer(heads)) + heads * ask(POSE, POSE_ANSWER)


class Roofline:
    """Work of the forwards that `phases` makes; see `benchmarks.full_size.roofline`."""

    def __init__(self, model: Any, frame: Frame, card: Card | None):
        self._card, self._frame, config = card, frame, model.config
        self._text, self._tower = config.text_config, config.vision_config
        self._sizes = {"tower": _size(model.model.visual)}
        self._sizes["head"] = _size(model.lm_head)
        self._sizes["text"] = _size(model.model.language_model.layers)
        self._item = model.dtype.itemsize

    def least(self, heads: int) -> dict[str, float | None]:
        prefix = self._frame.tokens
        steps = box_answer(heads) - 1
        detect = [self._words(1, DETECTION, prefix)]
        detect += [self._words(1, 1, prefix + DETECTION + n) for n in range(steps)]
        pose = [self._words(heads, POSE, prefix)]
        pose += [self._words(heads, 1, prefix + POSE + n) for n in range(POSE_ANSWER - 1)]
        works = {"vision": [self._vision()], "prefix": [self._words(1, prefix, 0, 0)]}
        works |= {"detect": detect, "pose": pose}
        seconds = {name: least_seconds(self._card, work) for name, work in works.items()}
        return {name: None if t is None else 1000 * t for name, t in seconds.items()}

    def _vision(self) -> Work:
        weights, size = self._sizes["tower"]
        patches = 4 * (self._frame.tokens - 2)
        pairs = 4 * patches**2 * self._tower.hidden_size * self._tower.depth
        return Work(2 * weights * patches + pairs, size)

    def _words(self, rows: int, count: int, past: int, logits: int = 1) -> Work:
        """Every row reads keys and values of its own, since the batch repeats the picture's."""
        (weights, size), (head, head_size) = self._sizes["text"], self._sizes["head"]
        text = self._text
        width = text.num_attention_heads * text.head_dim
        pairs = rows * (count * past + count * (count + 1) / 2)
        flops = 2 * weights * rows * count + 2 * head * rows * logits
        flops += 4 * pairs * width * text.num_hidden_layers
        kept = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim
        read = size + (head_size if logits else 0) + rows * (past + count) * kept * self._item
        return Work(flops, read)


def _size(module: nn.Module) -> tuple[int, int]:
    """Weights and their bytes; two weights of 4 bits share a byte."""
    count = size = 0
    for parameter in module.parameters():
        stored = parameter.numel() * parameter.element_size()
        size += stored
        count += 2 * stored if type(parameter).__name__ == "Params4bit" else parameter.numel()
    return count, size


def measure(options: argparse.Namespace, size: str, precision: str, card: Card | None) -> dict:
    """Everything about one size in one precision."""
    dtype, device = getattr(torch, options.dtype), options.device
    model = random_model(qwen_config(size), device, dtype)
    if precision == "int4":
        quantize(model, device, dtype)
    frame = Frame(model, *options.picture)
    roofline = Roofline(model, frame, card)
    rows = []
    for heads in options.heads:
        phases(frame, heads, device)  # to warm up
        runs = [phases(frame, heads, device) for _ in range(options.rounds)]
        row: dict[str, Any] = {"heads": heads}
        row |= {name: float(np.median([times[name] for times in runs])) for name in PHASES}
        row["total"] = sum(row[name] for name in PHASES)
        row["fps"] = 1000 / row["total"]
        least = roofline.least(heads)
        row |= {f"least_{name}": least[name] for name in PHASES}
        known = [value for value in least.values() if value is not None]
        row["least_total"] = sum(known) if len(known) == len(PHASES) else None
        if not options.no_generate:
            row["generate"] = generate(frame, heads, device)
            row["speedup"] = row["generate"] / row["total"]
        rows.append(row)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return {"rows": rows, "memory_gb": peak_memory(device), "weights_gb": weights / 1e9}


def parser() -> argparse.ArgumentParser:
    result = described("python -m benchmarks.full_size.qwen3_vl", __doc__)
    add_common_options(result)
    add = result.add_argument
    add("--sizes", nargs="+", default=["2B", "8B"], choices=list(TEXT), help="(2B 8B)")
    add("--quantization", nargs="+", default=["none", "int4"], choices=["none", "int4"])
    add("--picture", type=int, nargs=2, default=(640, 480), metavar=("W", "H"),
        help="pixels, multiples of 32 (640 480)")  # fmt: skip
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    name, card = known_card(options)
    results: dict[str, dict[str, Any]] = {}
    for size in options.sizes:
        for precision in options.quantization:
            title = f"{size} {precision}"
            try:
                results[title] = measure(options, size, precision, card)
            except torch.OutOfMemoryError as error:
                print(f"{title}: not run: {str(error).splitlines()[0]}", file=sys.stderr)
            gc.collect()
            if options.device.startswith("cuda"):
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(options.device)
    print(f"{name}, {options.dtype}; milliseconds, in brackets what the card allows at best")
    print(table(results))
    print(json.dumps({"device": name, "model": "Qwen3-VL", "results": results}))
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
