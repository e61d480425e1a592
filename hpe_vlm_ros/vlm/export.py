# SPDX-License-Identifier: Apache-2.0
"""Export a model for ONNX Runtime: `python -m hpe_vlm_ros.vlm.export [MODEL_FOLDER]`.

Writes onnx/int8 (or another --precision) into the model folder, from where HeadPerceiver.load takes
it on a CPU. int8 rounds the weights of all linear layers to 8 bits, per output channel and
symmetric, and their inputs to 8 bits as they come; all else stays in 32 bits. Whether a model bears
that is measured by `python -m benchmarks.int8`. Needs PyTorch, onnx and onnxscript:
pip install 'hpe_vlm_ros[export]'.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from . import CheckpointError
from .backend import Backend
from .decoding.sequences import Sequences
from .hub import find_model
from .model_folder import EXPORTS, SUMMARY, digest, fingerprint, load_facts
from .onnxruntime.backend import FORMAT, IMAGE_GRAPH, PRECISIONS, STEP_GRAPH, OnnxBackend
from .pytorch.backend import TorchBackend
from .pytorch.checkpoint import load_model
from .pytorch.graphs import ImageGraph, StepGraph
from .pytorch.modeling import CogVLMForCausalLM

OPSET = 23  # the first with attention, rotary embedding and root-mean-square norm as operators
PROTOBUF_LIMIT = 2_000_000_000  # bytes of a file without external data
PROBE = (5, 17, 42, 256, 999)  # tokens to compare answers on


def export(folder: str | Path, precisions: Sequence[str] = ("int8",)) -> list[Path]:
    """Export the model of a folder; returns the exports' folders, each complete."""
    folder = Path(folder)
    model = load_model(folder, "cpu", torch.float32)
    size = 4 * sum(p.numel() for p in model.parameters())
    if size > PROTOBUF_LIMIT:
        raise CheckpointError(
            f"{folder} takes {size / 1e9:.1f} GB in 32 bits; only models of up to "
            f"{PROTOBUF_LIMIT / 1e9:.0f} GB can be exported: run this one with the backend torch"
        )
    (folder / EXPORTS).mkdir(exist_ok=True)
    with TemporaryDirectory(dir=folder / EXPORTS) as graphs:
        write_graphs(model, Path(graphs))
        return [_finish(folder, Path(graphs), precision) for precision in precisions]


def _finish(folder: Path, graphs: Path, precision: str) -> Path:
    """One precision's export out of graphs in 32 bits."""
    from .onnxruntime.files import tidy, write_int8

    target = folder / EXPORTS / precision
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in (IMAGE_GRAPH, STEP_GRAPH):
        if precision == "int8":
            write_int8(graphs / name, target / name)
        else:
            shutil.copy(graphs / name, target / name)
        tidy(target / name)
    summary = {
        "format": FORMAT,
        "precision": precision,
        "opset": OPSET,
        "weights": fingerprint(folder),
        "files": {name: digest(target / name) for name in (IMAGE_GRAPH, STEP_GRAPH)},
    }  # written last: it says that all is there
    (target / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return target


@torch.no_grad()
def write_graphs(model: CogVLMForCausalLM, place: Path) -> None:
    """Both graphs in 32 bits."""
    config = model.config
    tokens, past, wanted = (torch.export.Dim(name) for name in ("tokens", "past", "wanted"))
    size = config.vision_config.image_size
    width = 2 * config.num_hidden_layers * config.hidden_size
    torch.onnx.export(
        ImageGraph(model).eval(),
        (torch.zeros(1, 3, size, size),),
        str(place / IMAGE_GRAPH),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        input_names=["pixels"],
        output_names=["rows", "presence"] if config.vision_config.presence else ["rows"],
        verbose=False,
    )
    example = (
        torch.arange(5),
        torch.arange(5),
        torch.ones(5, 12, dtype=torch.bool),
        torch.arange(3),
        torch.zeros(7, width),
    )
    torch.onnx.export(
        StepGraph(model).eval(),
        example,
        str(place / STEP_GRAPH),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        input_names=["ids", "positions", "mask", "wanted", "past"],
        output_names=["logits", "new"],
        dynamic_shapes=(
            {0: tokens},
            {0: tokens},
            {0: tokens, 1: torch.export.Dim.DYNAMIC},
            {0: wanted},
            {0: past},
        ),
        verbose=False,
    )


def largest_difference(one: Backend, other: Backend, size: int) -> float:
    """Between two runtimes' logits for the same tokens about one picture of noise; `size`: of the
    model's input in pixels."""
    pixels = np.random.default_rng(0).normal(size=(3, size, size)).astype(np.float32)
    logits = []
    for backend in (one, other):
        sequences = Sequences(backend.encode(pixels))
        (sequence,) = sequences.open(1)
        logits.append(sequences.feed([sequence], [PROBE], [len(PROBE)])[0])
    return float(np.abs(logits[0] - logits[1]).max())


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        "python -m hpe_vlm_ros.vlm.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("model", nargs="?", metavar="DIR", help="model folder (default: the one in the package)")
    add("--precision", nargs="+", choices=PRECISIONS, default=["int8"], help="(int8)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports a model and prints how far each export's logits are from PyTorch's; the exit
    status."""
    options = parser().parse_args(arguments)
    logging.disable(logging.WARNING)  # the exporter's, about what concerns no user
    warnings.simplefilter("ignore")
    try:
        folder = find_model(options.model)
        facts = load_facts(folder)
        for target in export(folder, options.precision):
            ours = OnnxBackend(folder, target, facts, threads=1)
            theirs = TorchBackend(load_model(folder, "cpu", torch.float32))
            difference = largest_difference(ours, theirs, facts.image_size)
            megabytes = sum(file.stat().st_size for file in target.iterdir()) / 1e6
            print(f"{target}: {megabytes:.1f} MB, logits within {difference:.2g} of PyTorch's")
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
