# SPDX-License-Identifier: Apache-2.0
"""Frames per second and latency of the perception node, at 640x480 and by number of heads.

Raw images go to the node over DDS one at a time, the next one when the answer to the last has come;
latency is from sending an image to receiving its HeadPoseArray, fps is answers per second of that.
A second node, which does not reuse the encoded image between questions, gets every image as well,
in turns with the first, so that both meet the same load of the machine. Each picture is one in
which the model finds exactly that many heads. Everything runs on --threads cores together.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import aligned, cell, described, say, take_cores
from benchmarks.node.sending import answered, frame
from demo.process import (
    NODE,
    NodeError,
    NodeProcess,
    end_with_a_signal,
    node_parameters,
    prepare_environment,
)

if TYPE_CHECKING:
    from benchmarks.pictures import Picture
    from demo.link import Link

NO_REUSE = "benchmarks.node.no_reuse"
TITLES = ("heads", "fps", "p50 ms", "p95 ms", "fps without reuse", "ratio", "picture")


@dataclass(frozen=True)
class Side:
    """One of the two nodes that are compared."""

    process: NodeProcess
    link: Link


def parser() -> argparse.ArgumentParser:
    result = described("python -m benchmarks.node", __doc__)
    add = result.add_argument
    add("--model", default="", metavar="DIR", help="model folder (default: the embedded one)")
    add("--device", default="cpu", metavar="D", help="cpu, cuda, ... (default: cpu)")
    add("--frames", type=int, default=30, metavar="N", help="frames per number of heads (30)")
    add("--threads", type=int, default=2, metavar="N", help="cores and threads to use (2)")
    add("--heads", type=int, nargs="+", default=[0, 1, 2, 5], metavar="N", help="(0 1 2 5)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.frames < 1 or options.threads < 1 or min(options.heads) < 0:
        parser().error("--frames and --threads need 1 or more, --heads 0 or more")
    end_with_a_signal()
    try:
        take_cores(options.threads)
        prepare_environment()
        model, pictures = choose(options)
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            sides = start(options, Path(folder), stack)
            rows = [row(heads, pictures[heads], sides, options.frames) for heads in options.heads]
    except (NodeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(table(rows))
    print(json.dumps(summary(rows, model, options)))
    return 0


def choose(options: argparse.Namespace) -> tuple[str, Mapping[int, Picture | None]]:
    """The model's id, and a picture for each number of heads, found with the model itself."""
    from benchmarks.pictures import picture_with
    from hpe_vlm_ros.perceiver import HeadPerceiver

    say("looking for pictures with exactly as many heads")
    perceiver = HeadPerceiver.load(options.model or None, options.device)
    found = {n: picture_with(n, lambda rgb: len(perceiver(rgb))) for n in options.heads}
    return perceiver.model_id, found


def start(options: argparse.Namespace, folder: Path, stack: ExitStack) -> list[Side]:
    """The node as it is and the node without reuse, both ready."""
    from demo.link import Link

    say("starting both nodes")
    sides = []
    for name, module in (("with_reuse", NODE), ("without_reuse", NO_REUSE)):
        space = f"/{name}"
        values = node_parameters(space, "raw", options.model, options.device, lossless=True)
        process = stack.enter_context(NodeProcess(folder / f"{name}.log", space, values, module))
        sides.append(Side(process, stack.enter_context(closing(Link(space, "raw")))))
    for side in sides:
        side.link.wait_for(side.process, frame(np.zeros((480, 640, 3), np.uint8)))
    return sides


def row(heads: int, picture: Picture | None, sides: Sequence[Side], frames: int) -> dict[str, Any]:
    """One row of the table; numbers are None without a picture."""
    if picture is None:
        say(f"{heads} heads: the model finds that many in none of the pictures tried")
        names = ("fps", "latency_p50_ms", "latency_p95_ms", "fps_without_prefix_reuse", "ratio")
        return {"heads": heads, **dict.fromkeys(names), "picture": None}
    say(f"{heads} heads: {picture.name}")
    taken: list[list[float]] = [[] for _ in sides]
    for number in range(-2, frames):  # the first two warm up
        order = range(len(sides)) if number % 2 else reversed(range(len(sides)))
        for index in order:
            seconds = latency(sides[index], picture.pixels, heads)
            if number >= 0:
                taken[index].append(seconds)
    fps, without = (len(times) / sum(times) for times in taken)
    middle, high = np.percentile(np.array(taken[0]) * 1000, (50, 95))
    return {
        "heads": heads,
        "fps": round(fps, 3),
        "latency_p50_ms": round(float(middle), 1),
        "latency_p95_ms": round(float(high), 1),
        "fps_without_prefix_reuse": round(without, 3),
        "ratio": round(fps / without, 2),
        "picture": picture.name,
    }


def latency(side: Side, pixels: Any, heads: int) -> float:
    """Seconds from sending to the answer, which must name so many heads."""
    sent = answered(side.link, side.process, pixels)
    found = len(sent.answer.heads)
    if found != heads:
        raise NodeError(f"the node found {found} heads where the model alone found {heads}")
    return sent.latency


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [[*TITLES], *([_cell(value) for value in line.values()] for line in rows)]
    return aligned(lines)


def summary(
    rows: Sequence[Mapping[str, Any]], model: str, options: argparse.Namespace
) -> dict[str, Any]:
    """What was measured and how; one list per column, in the order of `heads`."""
    how = {"model": model, "device": options.device, "size": [640, 480]}
    how |= {"threads": options.threads, "frames": options.frames}
    return how | {name: [line[name] for line in rows] for name in rows[0]}


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, int | str) else cell(value)


if __name__ == "__main__":
    sys.exit(main())
