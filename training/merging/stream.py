# SPDX-License-Identifier: Apache-2.0
"""Two models merged tensor by tensor: never more than a few layers in memory.

First pass: similarities of the projections that differ. Second pass: each tensor is merged and
written at once. safetensors' own writer wants a whole file in memory; the format is simple enough
to write in order: the header's length (8 bytes, little endian), the header as JSON, the tensors.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from hpe_vlm_ros.vlm.checkpoint import INDEX

from .registry import Layer, Method
from .similarity import row_cosine
from .sources import Checkpoint, Source

ORIGINAL, TUNED, BLEND, SAME = "original", "tuned", "blend", "same"


@dataclass(frozen=True)
class Outcome:
    """What became of a projection. `side` is ORIGINAL, TUNED or BLEND, or SAME in both models."""

    similarity: float
    side: str


def similarities(original: Source, tuned: Source, projections: Collection[str]) -> dict[str, float]:
    """Row-wise cosines of the projections, named by their modules, that differ."""
    found = {}
    for name in tqdm(projections, "compare", unit="projection", disable=None):
        before, after = original.read(f"{name}.weight"), tuned.read(f"{name}.weight")
        if not torch.equal(before, after.to(before.dtype)):
            found[name] = row_cosine(before, after)
    return found


def merge(
    original: Checkpoint,
    tuned: Source,
    method: Method,
    cosines: dict[str, float],
    out: Path,
) -> dict[str, str]:
    """Write the merged weights into folder `out`, in the original's files and precision.

    Returns the side of every tensor. ValueError, naming the tensor, if a method returns another
    shape or numbers that the precision cannot hold.
    """
    sides: dict[str, str] = {}
    bar = tqdm(total=len(original.shapes), desc="merge", unit="tensor", disable=None)

    def merged(names: Iterable[str]) -> Iterator[Tensor]:
        for name in names:
            before = original.read(name)
            after = tuned.read(name).to(before.dtype)
            tensor = method(before, after, Layer(name.rpartition(".")[0], cosines))
            tensor = _checked(name, tensor, before)
            sides[name] = _side(tensor, before, after)
            bar.update()
            yield tensor

    for file, names in original.files.items():
        header = {name: (original.types[name], original.shapes[name]) for name in names}
        write_safetensors(out / file.name, header, merged(names))
    bar.close()
    if (original.folder / INDEX).is_file():
        _write_index(original, out)
    return sides


def outcomes(
    projections: Collection[str], cosines: dict[str, float], sides: dict[str, str]
) -> dict[str, Outcome]:
    """What became of each projection, by name."""
    return {name: Outcome(cosines.get(name, 1.0), sides[f"{name}.weight"]) for name in projections}


def _checked(name: str, tensor: Tensor, like: Tensor) -> Tensor:
    if tensor.shape != like.shape:
        raise ValueError(
            f"{name}: the method made {tuple(tensor.shape)} out of {tuple(like.shape)}"
        )
    stored = tensor.to(like.dtype)
    if not bool(stored.isfinite().all()):
        raise ValueError(f"{name} has values that are not finite in {like.dtype}")
    return stored


def _side(tensor: Tensor, before: Tensor, after: Tensor) -> str:
    if torch.equal(tensor, before):
        return SAME if torch.equal(before, after) else ORIGINAL
    return TUNED if torch.equal(tensor, after) else BLEND


def write_safetensors(
    path: Path, header: dict[str, tuple[str, tuple[int, ...]]], tensors: Iterable[Tensor]
) -> None:
    """A safetensors file of `tensors` as they come; `header`: their types and shapes in order."""
    fields: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (kind, shape) in header.items():
        begin, end = end, end + _bytes(kind, shape)
        fields[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(fields, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            file.write(tensor.contiguous().flatten().view(torch.uint8).numpy())
        file.flush()
        os.fsync(file.fileno())


def _bytes(kind: str, shape: tuple[int, ...]) -> int:
    """Size of a tensor whose safetensors type is `kind`, such as "BF16" or "BOOL"."""
    bits = re.search(r"\d+", kind)
    return math.prod(shape) * (int(bits[0]) // 8 if bits else 1)


def _write_index(original: Checkpoint, out: Path) -> None:
    places = {name: file.name for file, names in original.files.items() for name in names}
    size = sum(_bytes(original.types[name], original.shapes[name]) for name in places)
    content = {"metadata": {"total_size": size}, "weight_map": places}
    (out / INDEX).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
