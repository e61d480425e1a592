# SPDX-License-Identifier: Apache-2.0
"""The 17B model's speed and memory, with random weights, which take as long as true ones.

    python -m benchmarks.full_size --device cuda
    python -m benchmarks.full_size --layers 2 --scale 32 --dtype float32     # to try it on a CPU

For each precision: memory, milliseconds of each phase, and frames per second by number of heads,
beside transformers' `generate()` once per question in the same run, forced to answers of the same
length. "least" is the roofline: the time that the card's arithmetic and memory bandwidth allow at
best for the forwards that were really made. Heads are forced, since random weights find none.

  vision   the tower and the adapter            prefix  the decoder over the picture
  detect   the question where the heads are     pose    the question about each head, as one batch
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.full_size.random_model import always_another, cogvlm_config, random_engine
from benchmarks.full_size.roofline import Card, Counter, Work, card_called, least_seconds
from benchmarks.machine import cell, described
from hpe_vlm_ros.answers import DETECTION_PROMPT, format_angles, format_boxes, pose_prompt
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.backend import ImageCache, Pixels
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.pytorch.quantization import QUANTIZATIONS

BOX = (106, 168, 148, 242)
PHASES = ("vision", "prefix", "detect", "pose")


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options that do not depend on the model's family."""
    add = parser.add_argument
    best = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", default=best, metavar="D", help=f"such as cuda or cpu ({best})")
    add("--dtype", default="bfloat16", metavar="T", help="to compute in (bfloat16)")
    add("--heads", type=int, nargs="+", default=[1, 4, 10], metavar="N", help="(1 4 10)")
    add("--rounds", type=int, default=5, metavar="N", help="medians are of so many (5)")
    add("--tflops", type=float, metavar="X", help="the card's peak, if it is not a known one")
    add("--bandwidth", type=float, metavar="GB/S", help="of its memory, likewise")
    add("--no-generate", action="store_true", help="leave out the comparison")


def parser() -> argparse.ArgumentParser:
    result = described("python -m benchmarks.full_size", __doc__)
    add_common_options(result)
    add = result.add_argument
    add("--quantization", nargs="+", default=["none", "int4"], choices=QUANTIZATIONS, metavar="Q",
        help="one run for each (none int4)")  # fmt: skip
    add("--layers", type=int, metavar="N", help="of tower and decoder (63 and 32)")
    add("--scale", type=int, default=1, metavar="N", help="divides all widths (1)")
    add("--image-size", type=int, default=490, metavar="N", help="pixels, a multiple of 14 (490)")
    return result


class Counting:
    """A backend that notes the size of each forward: (tokens, tokens cached before, logits)."""

    name, at_once, packs = "torch", 1, True

    def __init__(self, backend: Any):
        self._backend, self.device = backend, backend.device
        self.lookahead: int | None = backend.lookahead
        self.forwards: list[tuple[int, int, int]] = []

    def encode(self, pixels: Pixels) -> ImageCache:
        cache = self._backend.encode(pixels)
        append = cache.append

        def counted(ids: Any, positions: Any, mask: Any, wanted: Any) -> Any:
            self.forwards.append((len(ids), cache.length, len(wanted)))
            return append(ids, positions, mask, wanted)

        cache.append = counted
        return cache  # type: ignore[no-any-return]


def synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def timed(device: str, do: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds until the device is done, and the result."""
    synchronize(device)
    started = time.perf_counter()
    result = do()
    synchronize(device)
    return 1000 * (time.perf_counter() - started), result


@torch.inference_mode()
def phases(engine: Engine, heads: int, pixels: Pixels) -> tuple[dict[str, float], dict[str, list]]:
    """Milliseconds of each phase of one frame, and the forwards of the two that answer."""
    model, device = engine.backend.model, engine.backend.device  # type: ignore[attr-defined]
    counting = Counting(engine.backend)
    counted = Engine(counting, engine.processor)
    picture = torch.from_numpy(pixels)[None].to(device, model.dtype)
    vision, _ = timed(device, lambda: model.model.vision(picture))
    look = counted.look(pixels, pick=always_another)
    encode, look._sequences = timed(device, look._encode)
    detect, boxes = timed(device, lambda: look.detect(heads))
    detected, counting.forwards = counting.forwards, []
    pose, _ = timed(device, lambda: look.poses([box.box for box in boxes]))
    assert len(boxes) == heads
    times = {"vision": vision, "prefix": encode - vision, "detect": detect, "pose": pose}
    return times, {"detect": detected, "pose": counting.forwards}


@torch.inference_mode()
def generate(engine: Engine, image: np.ndarray, prompt: str, answer: str) -> float:
    """Milliseconds of one `generate()` that writes as many tokens as the answer has."""
    backend, processor = engine.backend, engine.processor
    model, device = backend.model, backend.device  # type: ignore[attr-defined]
    batch = {name: value.to(device) for name, value in processor(image, prompt).items()}
    count = len(processor.encode(answer)) + 1
    rules: dict[str, Any] = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False}
    return timed(device, lambda: model.generate(**batch, **rules, eos_token_id=None))[0]


def measure(options: argparse.Namespace, quantization: str, card: Card | None) -> dict[str, Any]:
    """Everything about one precision."""
    config = cogvlm_config(options.layers, options.scale, options.image_size)
    dtype, device = getattr(torch, options.dtype), options.device
    engine = random_engine(config, device, dtype, quantization)
    with torch.device("meta"):
        counter = Counter(type(engine.backend.model)(config), config, dtype, quantization)  # type: ignore[attr-defined]
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    pixels = engine.processor.pixels(image)
    rows = []
    for heads in options.heads:
        phases(engine, heads, pixels)  # to warm up
        runs = [phases(engine, heads, pixels) for _ in range(options.rounds)]
        row: dict[str, Any] = {"quantization": quantization, "heads": heads}
        row |= {name: float(np.median([times[name] for times, _ in runs])) for name in PHASES}
        row["total"] = sum(row[name] for name in PHASES)
        row["fps"] = 1000 / row["total"]
        row |= least(card, counter, runs[-1][1])
        if not options.no_generate:
            row["generate"] = apart(engine, image, heads, options.rounds)
            row["speedup"] = row["generate"] / row["total"]
        rows.append(row)
    return {"memory_gb": peak_memory(device), "rows": rows}


def least(card: Card | None, counter: Counter, forwards: dict[str, list]) -> dict[str, Any]:
    """The roofline's milliseconds of each phase, under "least_..."."""
    works: dict[str, list[Work]] = {"vision": [counter.vision()], "prefix": [counter.prefix()]}
    works |= {name: [counter.text(*forward) for forward in made] for name, made in forwards.items()}
    found = {name: least_seconds(card, work) for name, work in works.items()}
    times = {f"least_{name}": None if s is None else 1000 * s for name, s in found.items()}
    total = None if card is None else sum(value for value in times.values() if value is not None)
    counts = {"tflop": sum(w.flops for ws in works.values() for w in ws) / 1e12}
    return times | {"least_total": total} | counts


def apart(engine: Engine, image: np.ndarray, heads: int, rounds: int) -> float:
    """Milliseconds of `generate()` for the boxes, and for each head's pose."""
    detection, pose = format_boxes([BOX] * heads), format_angles(72, -6, 2)
    times = []
    for _ in range(max(1, rounds // 2)):
        boxes = generate(engine, image, DETECTION_PROMPT, detection)
        times.append(boxes + heads * generate(engine, image, pose_prompt(BOX), pose))
    return float(np.median(times))


def peak_memory(device: str) -> float:
    """10^9 bytes: of the device's allocator, or resident on the host."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def table(results: dict[str, dict[str, Any]]) -> str:
    """A line for each precision and number of heads; milliseconds, the roofline's in brackets."""
    titles = (*PHASES, "total", "fps", "generate()", "ratio")
    lines = [f"{'precision':<10}{'heads':>5}" + "".join(f"{title:>17}" for title in titles)]
    for quantization, found in results.items():
        for row in found["rows"]:
            cells = [_cell(row, name) for name in (*PHASES, "total")]
            cells += [cell(row.get(name)) for name in ("fps", "generate", "speedup")]
            line = "".join(f"{cell:>17}" for cell in cells)
            lines.append(f"{quantization:<10}{row['heads']:>5}{line}")
        lines.append(f"{'':<10}peak memory {found['memory_gb']:.2f} GB")
    return "\n".join(lines)


def _cell(row: dict[str, Any], name: str) -> str:
    best = row[f"least_{name}"]
    return f"{row[name]:.1f}" + ("" if best is None else f" ({best:.1f})")


def known_card(options: argparse.Namespace) -> tuple[str, Card | None]:
    cuda = options.device.startswith("cuda")
    name = torch.cuda.get_device_name(options.device) if cuda else "CPU"
    if options.tflops and options.bandwidth:
        return name, Card(options.tflops * 1e12, options.bandwidth * 1e9)
    return name, card_called(name)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    name, card = known_card(options)
    results: dict[str, dict[str, Any]] = {}
    for quantization in options.quantization:
        try:
            results[quantization] = measure(options, quantization, card)
        except CheckpointError as error:
            print(f"{quantization}: not run: {error}", file=sys.stderr)
        gc.collect()
        if options.device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(options.device)
    print(f"{name}, {options.dtype}; milliseconds, in brackets what the card allows at best")
    print(table(results))
    settings = {key: getattr(options, key) for key in ("dtype", "layers", "scale", "image_size")}
    print(json.dumps({"device": name, **settings, "results": results}))
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
