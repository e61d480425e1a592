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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from hpe_vlm_ros.vlm.model_folder import INDEX

from .registry import Layer, Method
from .similarity import row_cosine
from .sources import Checkpoint, Source

PIECE = 1 << 22  # values in float32 at a time
Fused = Callable[[str], Mapping[str, int] | None]
"""The parts of a layer whose weight holds several projections, and how many rows each takes."""


def single(layer: str) -> None:
    """No layer is fused."""


ORIGINAL, TUNED, BLEND, SAME = "original", "tuned", "blend", "same"


@dataclass(frozen=True)
class Outcome:
    """What became of a projection. `side` is ORIGINAL, TUNED or BLEND, or SAME in both models."""

    similarity: float
    side: str


def similarities(
    original: Source, tuned: Source, projections: Collection[str], fused: Fused = single
) -> dict[str, float]:
    """Row-wise cosines of the projections, named by their modules, that differ; of each part of
    those that are `fused`, named "module[part]".

    Reads every tensor of both models: ValueError that names one with NaN or infinity in it.
    """
    found = {}
    weights = {f"{name}.weight": name for name in projections}
    others = [name for name in original.shapes if name not in weights]
    for name in tqdm([*weights, *others], "compare", unit="tensor", disable=None):
        before, after = _finite(original, name), _finite(tuned, name)
        after = _stored(name, after, before.dtype)
        if name not in weights:
            continue
        for part, one, other in parts(weights[name], fused, before, after):
            if not torch.equal(one, other):
                found[part] = row_cosine(one, other)
    return found


def parts(layer: str, fused: Fused, *tensors: Tensor) -> Iterator[tuple[Any, ...]]:
    """The parts of a layer by name, with their rows of each tensor; the layer itself where it is
    a single projection."""
    rows = fused(layer)
    if rows is None:
        yield layer, *tensors
        return
    split = [tensor.split(list(rows.values())) for tensor in tensors]
    for number, part in enumerate(rows):
        yield f"{layer}[{part}]", *(pieces[number] for pieces in split)


def _finite(source: Source, name: str) -> Tensor:
    tensor = source.read(name)
    if tensor.is_floating_point() and not all(map(_is_finite, tensor.flatten().split(PIECE))):
        raise ValueError(
            f"{source.weights}: {name} has values that are not finite (NaN or infinity): a broken "
            "model, which merging would spread; train it again, or copy it again"
        )
    return tensor


def _is_finite(part: Tensor) -> bool:
    part = part.float() if part.element_size() == 1 else part  # 8-bit floats cannot be asked
    return bool(part.isfinite().all())


def merge(
    original: Checkpoint,
    tuned: Source,
    method: Method,
    cosines: dict[str, float],
    out: Path,
    fused: Fused = single,
) -> dict[str, str]:
    """Write the merged weights into folder `out`, in the original's files and precision.

    Returns the side of each projection in `cosines`. ValueError, naming the tensor, if a method
    returns another shape or numbers that the precision cannot hold.
    """
    sides: dict[str, str] = {}
    bar = tqdm(total=len(original.shapes), desc="merge", unit="tensor", disable=None)

    def merged(names: Iterable[str]) -> Iterator[Tensor]:
        for name in names:
            before = original.read(name)
            after = _stored(name, tuned.read(name), before.dtype)
            layer, _, kind = name.rpartition(".")
            pieces = []
            for part, one, other in parts(layer, fused, before, after):
                piece = method(one, other, Layer(part, cosines))
                if part in cosines and kind == "weight":
                    sides[part] = _side(piece, one, other)
                pieces.append(piece)
            tensor = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
            if tensor.shape != before.shape:
                shapes = f"{tuple(tensor.shape)} out of {tuple(before.shape)}"
                raise ValueError(f"{name}: the merge method made {shapes}; it must keep the shape")
            bar.update()
            yield _stored(name, tensor, before.dtype)

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
    return {name: Outcome(cosines.get(name, 1.0), sides.get(name, SAME)) for name in projections}


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in `dtype`; ValueError if that cannot hold its values."""
    if tensor.dtype == dtype:
        return tensor
    stored = tensor.to(dtype)
    if not bool(stored.isfinite().all()):
        raise ValueError(f"{name} has values that {dtype}, the original's precision, cannot hold")
    return stored


def _side(tensor: Tensor, before: Tensor, after: Tensor) -> str:
    for side, one in ((ORIGINAL, before), (TUNED, after)):
        if tensor is one or torch.equal(tensor.to(one.dtype), one):
            return side
    return BLEND


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
    # the format lets the header end in spaces, which align the tensors behind it to 8 bytes
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            # as bytes, since numpy has no bfloat16
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
