# SPDX-License-Identifier: Apache-2.0
"""What the ROS 2 node adds to the model: time per image, and memory of the whole."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from benchmarks.machine import resident_megabytes, say
from benchmarks.node.sending import answered, frame
from demo.process import NODE, NodeProcess, node_parameters, prepare_environment

INSTANT_MODEL, ECHO = "benchmarks.node.instant_model", "benchmarks.node.echo"


def node_cost(model: str, rounds: int) -> dict[str, float]:
    """node_overhead_ms, from an image sent to its answer received; transport_ms, what of it a node
    takes that only sends the header back; and rss_mb of the node."""
    prepare_environment()
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    say("ROS without the node")
    transport, _ = _run(ECHO, "", pixels, 5 * rounds)
    say("the node without a model")
    seconds, _ = _run(INSTANT_MODEL, "", pixels, 5 * rounds)
    say("the default node")
    _, megabytes = _run(NODE, model, pixels, rounds)
    return {
        "node_overhead_ms": round(1000 * seconds, 2),
        "transport_ms": round(1000 * transport, 2),
        "rss_mb": round(megabytes, 1),
    }


def _run(module: str, model: str, pixels: np.ndarray, rounds: int) -> tuple[float, float]:
    """Median seconds per image sent, and megabytes after the last of them."""
    from demo.link import Link

    space = f"/{module.rpartition('.')[2]}"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        values = node_parameters(space, "raw", model, "", lossless=True)
        process = stack.enter_context(NodeProcess(Path(folder) / "log", space, values, module))
        link = stack.enter_context(closing(Link(space, "raw")))
        link.wait_for(process, frame(pixels))
        times = []
        for _ in range(rounds):
            times.append(answered(link, process, pixels).latency)
        return float(np.median(times)), resident_megabytes(process.pid)
