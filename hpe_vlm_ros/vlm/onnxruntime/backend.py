# SPDX-License-Identifier: Apache-2.0
"""An exported model in ONNX Runtime, on CPU or GPU; needs neither PyTorch nor transformers.

An export is a folder with the two graphs of `graphs` and `export.json`, which says from what
weights they were made and how the files must hash: a file cut short is told, and so are new weights
with an old export.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.head_map import HeadMap
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.backend import Ids, Logits, Pixels
from hpe_vlm_ros.vlm.facts import ModelFacts
from hpe_vlm_ros.vlm.model_folder import (
    EXPORTS,
    INDEX,
    SUMMARY,
    WEIGHTS,
    digest,
    fingerprint,
    read_json,
)

FORMAT = 2
PRECISIONS = ("int8", "fp32")  # in the order of preference
IMAGE_GRAPH, STEP_GRAPH = "image.onnx", "step.onnx"
START = 4  # the position of the first token behind the picture
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
    """See `backend.Backend`. `threads` None uses all cores this process may use; `device` is "cpu"
    or such as "cuda:0", which takes onnxruntime-gpu.

    On a CPU, `at_once` pictures share the threads: two at once, with a core each, take less time
    than one after the other with both.
    """

    name = "onnx"
    lookahead: int | None = 4  # two numbers: a token costs a tenth of a forward

    def __init__(
        self,
        folder: str | Path,
        export: Path,
        facts: ModelFacts,
        threads: int | None,
        device: str = "cpu",
        at_once: int = 1,
    ):
        check_export(Path(folder), export)
        self.device, self.precision = device, export.name
        self._place = Place.of(device)
        cores = threads or available_cores()
        self.packs = True
        self.at_once = min(at_once, cores) if device == "cpu" else 1
        threads = cores // self.at_once
        self._image = session(export / IMAGE_GRAPH, threads, self._place)
        self._step = session(export / STEP_GRAPH, threads, self._place)
        self._end_of_image = facts.vocab_size

    def encode(self, pixels: Pixels) -> OnnxCache:
        output, *more = self._image.get_outputs()
        filled, width = output.shape
        rows = Rows(self._place, width, filled + ROOM)
        binding = self._image.io_binding()
        binding.bind_cpu_input("pixels", np.ascontiguousarray(pixels[None]))
        binding.bind_output("rows", *rows.part(0, filled))
        if more:
            binding.bind_output("presence", "cpu")
        self._image.run_with_iobinding(binding)
        presence = HeadMap.of(binding.get_outputs()[1].numpy()) if more else None
        return OnnxCache(self._step, rows, filled, self._end_of_image, presence)


class OnnxCache:
    """See `backend.ImageCache`. The picture's rows are written once and read in place, on the
    device; a step writes its own behind them, and only logits come back."""

    start = START

    def __init__(
        self,
        session: Session,
        rows: Rows,
        filled: int,
        end_of_image: int,
        presence: HeadMap | None = None,
    ):
        self.presence = presence
        self._session, self._rows, self._filled = session, rows, filled
        self._end_of_image = end_of_image
        self.length = filled + 1  # the end-of-image token is fed with the first others

    def append(self, ids: Ids, positions: Ids, mask: NDArray[np.bool_], wanted: Ids) -> Logits:
        self.length += len(ids)
        if self.length - len(ids) > self._filled:
            # the end-of-image token comes first; it sees the picture and itself alone
            alone = np.arange(mask.shape[1]) <= self._filled
            ids, positions = np.append(self._end_of_image, ids), np.append(START - 1, positions)
            mask, wanted = np.vstack((alone, mask)), wanted + 1
        given = {"ids": ids, "positions": positions, "mask": mask, "wanted": wanted}
        binding = self._session.io_binding()
        for name, values in given.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(values))
        self._rows.reserve(self.length, self._filled)
        binding.bind_input("past", *self._rows.part(0, self._filled))
        binding.bind_output("logits", "cpu")  # the first bound is the first returned
        binding.bind_output("new", *self._rows.part(self._filled, self.length))
        self._session.run_with_iobinding(binding)
        self._filled = self.length
        return np.asarray(binding.get_outputs()[0].numpy(), np.float32)

    def shrink(self, length: int) -> None:
        self.length = min(self.length, length)
        self._filled = min(self._filled, length)


@dataclass(frozen=True)
class Place:
    """Where a graph runs and its rows lie, in ONNX Runtime's words."""

    kind: str
    index: int

    @classmethod
    def of(cls, device: str) -> Place:
        """The place of a device such as "cpu", "cuda" or "cuda:1"; without a number it is the
        first."""
        kind, _, index = device.partition(":")
        return cls(kind, int(index or 0))

    def provider(self) -> Any:
        """What an inference session asks for."""
        if self.kind == "cpu":
            return "CPUExecutionProvider"
        return "CUDAExecutionProvider", {"device_id": self.index}


class Rows:
    """Keys and values of all layers, (tokens, width) float32, in one buffer with room for more."""

    def __init__(self, place: Place, width: int, capacity: int):
        self._place, self._width = place, width
        self._buffer = self._new(capacity)

    def _new(self, capacity: int) -> Any:
        from onnxruntime import OrtValue

        return OrtValue.ortvalue_from_shape_and_type(
            (capacity, self._width), np.float32, self._place.kind, self._place.index
        )

    def part(self, start: int, end: int) -> tuple[Any, ...]:
        """The tokens start..end, as a binding takes them: device, type, shape, address."""
        address = self._buffer.data_ptr() + 4 * start * self._width
        return self._place.kind, self._place.index, np.float32, (end - start, self._width), address

    def reserve(self, length: int, filled: int) -> None:
        """Have room for so many tokens; the first `filled` stay."""
        if length <= self._buffer.shape()[0]:
            return
        grown = np.zeros((2 * length, self._width), np.float32)
        grown[:filled] = self._buffer.numpy()[:filled]
        self._buffer = self._new(2 * length)
        self._buffer.update_inplace(grown)


def session(file: Path, threads: int, place: Place) -> Session:
    """A graph that is ready to run; CheckpointError where it cannot be loaded."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Each session has threads of its own, which wait for work in a busy loop: without this, those
    # of one graph take the cores from the other and a frame lasts twice as long.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A plan of memory is kept for every combination of input shapes ever met. Those of steps hardly
    # repeat: a node that runs for days would only gather plans.
    options.enable_mem_pattern = file.name == IMAGE_GRAPH
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=[place.provider()])
    except Exception as error:  # the library raises classes of its own, by kinds of damage
        raise CheckpointError(f"{file} cannot be loaded ({error}): export it again") from error
    if place.kind != "cpu" and session.get_providers()[0] == "CPUExecutionProvider":
        raise CheckpointError(
            f'ONNX Runtime could not use "{place.kind}:{place.index}" and would run on the CPU: '
            "what it printed says why (often CUDA or cuDNN of another version); or choose cpu"
        )
    return session


def available_cores() -> int:
    """Cores that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return count or 1
