# SPDX-License-Identifier: Apache-2.0
"""How fast the engine is against asking the same model prompt by prompt, on --threads cores.

    python -m benchmarks.engine

For each number of heads, a picture of 640x480 in which the model finds exactly that many (scenes of
the test set; for more than five, crops of such scenes side by side). Four ways take turns on it:

  shipped     the perceiver as it is: everything from pixels to poses, with test-time flip if
              the model's config.json says so
  ours        the same in one pass, which answers what the next two do
  apart       the same weights, runtime and precision, but one full generate per prompt: picture
              encoded anew for each, one forward for each token
  generate()  transformers, eager, 32 bits, without grammar, per prompt; for 2 and 4 heads

Times are medians; ratios are of this run and of `ours`; fps_2_heads and ms_per_head are of what is
shipped. grammar_share is the most that keeping answers valid
takes of a frame: the same tokens, with all that are allowed at each looked up, without a model. The
node's part is the time from sending an image to its answer, of a node whose model answers at once;
transport_ms is that of a node which does nothing but send the header back. rss_mb is what the
default node keeps in memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import aligned, cell, described, say, take_cores

HEADS, WITH_GENERATE = (1, 2, 4, 10), (2, 4)
TITLES = (
    "heads",
    "shipped ms",
    "ours ms",
    "apart ms",
    "generate() ms",
    "ratio",
    "ratio",
    "picture",
)


def parser() -> argparse.ArgumentParser:
    result = described("python -m benchmarks.engine", __doc__)
    add = result.add_argument
    add("--model", metavar="DIR", help="model folder (default: the embedded one)")
    add("--backend", default="auto", metavar="B", help="of ours and apart: auto, torch, onnx")
    add("--threads", type=int, default=2, metavar="N", help="cores and threads to use (2)")
    add("--rounds", type=int, default=20, metavar="N", help="of all ways (20)")
    add("--heads", type=int, nargs="+", default=HEADS, metavar="N", help="(1 2 4 10)")
    add("--no-node", action="store_true", help="leave out what needs ROS 2")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.rounds < 1 or options.threads < 1 or min(options.heads) < 1:
        parser().error("--rounds, --threads and --heads need 1 or more")
    try:
        take_cores(options.threads)
        rows, about = measure(options)
        numbers = summary(rows) | about
        if not options.no_node:
            from benchmarks.node.cost import node_cost

            numbers |= node_cost(options.model or "", options.rounds)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(table(rows))
    print(json.dumps(numbers))
    return 0


def measure(options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row for each number of heads, and what was measured."""
    import torch

    from benchmarks.engine.crowds import crowd
    from benchmarks.engine.ways import apart, grammar_alone, shared, transformers
    from hpe_vlm_ros.answers import grid_box
    from hpe_vlm_ros.perceiver import HeadPerceiver
    from hpe_vlm_ros.vlm.model_folder import default_folder

    torch.set_num_threads(options.threads)
    folder = Path(options.model) if options.model else default_folder()
    backend, threads = options.backend, options.threads
    plainly: dict[str, Any] = {"mirror": False, "refine": False}  # what the model says, once
    perceiver = HeadPerceiver.load(folder, "cpu", backend=backend, threads=threads, **plainly)
    shipped = HeadPerceiver.load(folder, "cpu", backend=backend, threads=threads)
    rows = []
    valid: list[bool] = []
    for heads in options.heads:
        picture = crowd(heads, lambda image: [head.box for head in perceiver(image)])
        row: dict[str, Any] = {"heads": heads, "picture": picture.name if picture else None}
        rows.append(row)
        if picture is None:
            say(f"{heads} heads: the model finds that many in none of the pictures tried")
            continue
        say(f"{heads} heads: {picture.name}")
        image = picture.pixels
        height, width = image.shape[:2]
        boxes = [grid_box(head.box, width, height) for head in perceiver(image)]
        ways = {
            "shipped": shared(shipped, image),
            "ours": shared(perceiver, image),
            "apart": apart(perceiver, image, boxes),
            "grammar": grammar_alone(perceiver, image),
        }
        if heads in WITH_GENERATE:
            ways["generate"] = transformers(folder, image, boxes)
        row |= {name: 1000 * t for name, t in interleaved(ways, options.rounds).items()}
        valid += answers_valid(perceiver, image)
    about = {
        "model": perceiver.model_id,
        "backend": perceiver.backend,
        "threads": options.threads,
        "valid_ratio": round(float(np.mean(valid)), 4) if valid else None,
    }
    return rows, about


def interleaved(ways: Mapping[str, Any], rounds: int) -> dict[str, float]:
    """Median seconds of each way; all take turns, so that they meet the same load."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):  # the first warms up
        for name in ways if number % 2 else reversed(list(ways)):
            started = time.perf_counter()
            ways[name]()
            if number >= 0:
                taken[name].append(time.perf_counter() - started)
    return {name: float(np.median(times)) for name, times in taken.items()}


def answers_valid(perceiver: Any, image: Any) -> list[bool]:
    """Whether each answer about a picture can be read, as its text."""
    from benchmarks.engine.ways import answers
    from hpe_vlm_ros.answers import parse_angles, parse_boxes

    found, posed = answers(perceiver, image)
    boxes, *poses = (perceiver._engine.processor.decode(a.tokens) for a in (found, *posed))
    return [parse_boxes(boxes).valid, *(parse_angles(text).valid for text in poses)]


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers for programs; None where no picture was found."""
    by_heads = {row["heads"]: row for row in rows if "ours" in row}
    numbers: dict[str, Any] = {}
    for heads, row in by_heads.items():
        numbers[f"speedup_{heads}"] = round(row["apart"] / row["ours"], 2)
        if "generate" in row:
            numbers[f"speedup_hf_{heads}"] = round(row["generate"] / row["ours"], 2)
    two = by_heads.get(2)
    numbers["fps_2_heads"] = round(1000 / two["shipped"], 2) if two else None
    counts, times = list(by_heads), [row["shipped"] for row in by_heads.values()]
    slope = np.polyfit(counts, times, 1)[0] if len(counts) > 1 else None
    numbers["ms_per_head"] = None if slope is None else round(float(slope), 2)
    shares = [row["grammar"] / row["ours"] for row in by_heads.values()]
    numbers["grammar_share"] = round(max(shares), 4) if shares else None
    for name in ("shipped", "ours", "apart", "generate"):
        numbers[f"{name}_ms"] = {n: round(r[name], 2) for n, r in by_heads.items() if name in r}
    numbers["pictures"] = {row["heads"]: row["picture"] for row in rows}
    return numbers


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [TITLES]
    for row in rows:
        ours, apart, plain = (row.get(name) for name in ("ours", "apart", "generate"))
        ratios = [other / ours if ours and other else None for other in (apart, plain)]
        cells = [cell(value) for value in (row.get("shipped"), ours, apart, plain, *ratios)]
        lines.append((str(row["heads"]), *cells, str(row["picture"])))  # type: ignore[arg-type]
    return aligned(lines)


if __name__ == "__main__":
    sys.exit(main())
