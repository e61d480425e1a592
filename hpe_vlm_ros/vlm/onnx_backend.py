# SPDX-License-Identifier: Apache-2.0
"""An exported model in ONNX Runtime, on the CPU; needs neither PyTorch nor transformers.

An export is a folder with the two graphs of `graphs` and `export.json`, which says from what
weights they were made and how the files must hash: a file cut short is told, and so are new weights
with an old export.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import CheckpointError
from .backend import Ids, Logits, Pixels
from .facts import ModelFacts
from .model_folder import EXPORTS, INDEX, SUMMARY, WEIGHTS, digest, fingerprint, read_json

FORMAT = 1
PRECISIONS = ("int8", "fp32")  # in the order of preference
IMAGE_GRAPH, STEP_GRAPH = "image.onnx", "step.onnx"
START = 4  # the position of the first token behind the picture
Rows = NDArray[np.float32]  # (1, tokens, hidden): keys or values of a layer
Session = Any  # onnxruntime.InferenceSession
ROOM = 256  # tokens there is room for behind the picture, before the buffers grow
EXPORT_AGAIN = "python -m hpe_vlm_ros.vlm.export"


def find_export(folder: str | Path, precision: str | None = None) -> Path | None:
    """The export in a model folder, of one precision or of the first there is; None for none."""
    for name in PRECISIONS if precision is None else (precision,):
        place = Path(folder) / EXPORTS / name
        if (place / SUMMARY).is_file():
            return place
    return None


def check_export(folder: Path, export: Path) -> None:
    """CheckpointError unless the export is whole and was made from the folder's weights."""
    again = f"export it again ({EXPORT_AGAIN} {folder})"
    summary = read_json(export / SUMMARY)
    if summary.get("format") != FORMAT:
        raise CheckpointError(
            f"{export} has format {summary.get('format')}, this version reads {FORMAT}: {again}"
        )
    for name in (IMAGE_GRAPH, STEP_GRAPH):
        if not (export / name).is_file():
            raise CheckpointError(f"{export / name} is missing: copy the folder again, or {again}")
        if digest(export / name) != summary.get("files", {}).get(name):
            raise CheckpointError(
                f"{export / name} is cut short or changed: copy the folder again, or {again}"
            )
    here = any((folder / name).is_file() for name in (WEIGHTS, INDEX))  # they are not needed
    if here and fingerprint(folder) != summary.get("weights"):
        raise CheckpointError(f"{export} was made from other weights than lie in {folder}: {again}")


class OnnxBackend:
    """See `backend.Backend`. `threads` None uses all cores this process may use."""

    name = "onnx"
    device = "cpu"
    lookahead: int | None = 4  # two numbers: a token costs a tenth of a forward

    def __init__(self, folder: str | Path, export: Path, facts: ModelFacts, threads: int | None):
        check_export(Path(folder), export)
        self._image = _session(export / IMAGE_GRAPH, threads)
        self._step = _session(export / STEP_GRAPH, threads)
        self._end_of_image = facts.vocab_size
        self.precision = export.name

    def encode(self, pixels: Pixels) -> OnnxCache:
        (name,) = (i.name for i in self._image.get_inputs())
        rows = self._image.run(None, {name: pixels[None]})
        return OnnxCache(self._step, rows, self._end_of_image)


class OnnxCache:
    """See `backend.ImageCache`. The picture's rows are written once and read in place."""

    start = START

    def __init__(self, session: Session, rows: Sequence[Rows], end_of_image: int):
        self._session = session
        self._names = [i.name for i in session.get_inputs()]
        self._filled = rows[0].shape[1]
        self._rows = [_grown(row, self._filled + ROOM) for row in rows]
        self._end_of_image = end_of_image
        self.length = self._filled + 1  # the end-of-image token is fed with the first others

    def append(self, ids: Ids, positions: Ids, mask: NDArray[np.bool_], wanted: Ids) -> Logits:
        self.length += len(ids)
        missing = self.length - len(ids) - self._filled
        if missing:
            alone = np.arange(mask.shape[1]) <= self._filled
            ids, positions = np.append(self._end_of_image, ids), np.append(START - 1, positions)
            mask, wanted = np.vstack((alone, mask)), wanted + 1
        past = [row[:, : self._filled] for row in self._rows]
        feeds = dict(zip(self._names, (ids, positions, mask, wanted, *past), strict=True))
        logits, *new = self._session.run(None, feeds)
        if self.length > self._rows[0].shape[1]:
            self._rows = [_grown(row[:, : self._filled], 2 * self.length) for row in self._rows]
        for row, values in zip(self._rows, new, strict=True):
            row[:, self._filled : self.length] = values
        self._filled = self.length
        return np.asarray(logits, np.float32)

    def shrink(self, length: int) -> None:
        self.length = min(self.length, length)
        self._filled = min(self._filled, length)


def _grown(rows: Rows, capacity: int) -> Rows:
    """The same with room for more."""
    grown = np.empty((1, capacity, rows.shape[2]), np.float32)
    grown[:, : rows.shape[1]] = rows
    return grown


def _session(file: Path, threads: int | None) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    # Each session has threads of its own, which wait for work in a busy loop: without this, those
    # of one graph take the cores from the other and a frame lasts twice as long.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A plan of memory is kept for every combination of input shapes ever met. Those of steps hardly
    # repeat: a node that runs for days would only gather plans.
    options.enable_mem_pattern = file.name == IMAGE_GRAPH
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises classes of its own, by kinds of damage
        raise CheckpointError(f"{file} cannot be loaded ({error}): export it again") from error


def available_cores() -> int:
    """Cores that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return count or 1
