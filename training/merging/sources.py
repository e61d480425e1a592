# SPDX-License-Identifier: Apache-2.0
"""Weights read one tensor at a time: of a model folder, or of one with an adapter on top."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError, safe_open
from torch import Tensor

from hpe_vlm_ros.vlm.diagnosis import (
    ADAPTER_OPTIONS,
    ADAPTER_WEIGHTS,
    PEFT,
    PEFT_WEIGHTS,
    refuse_others,
)
from hpe_vlm_ros.vlm.families.loading import chat_family
from hpe_vlm_ros.vlm.model_folder import fingerprint, read_json, read_ours
from hpe_vlm_ros.vlm.pytorch.weights import IGNORED, weight_files

from .lora_folding import fold, low_rank_shape

Shape = tuple[int, ...]
PREFIX = "base_model.model."  # of names in peft's files
# Options of peft under which a layer's update is not one scale times B A.
UNSUPPORTED = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out")


class Source(Protocol):
    """Named tensors; `shapes` is known without reading them. `folder` holds configuration and
    tokenizer, `weights` what makes these tensors differ from others."""

    folder: Path
    weights: Path
    shapes: dict[str, Shape]

    def read(self, name: str) -> Tensor:
        """The tensor of a name in `shapes`, in the precision in which it is stored."""


class Checkpoint:
    """The safetensors files of a model folder.

    `files` lists each file's tensors in their order there; `types` are safetensors' names. A file
    is opened anew for each tensor: as long as it is open, all that was read of it counts as memory.
    """

    def __init__(self, folder: Path):
        self.folder = self.weights = folder
        self.files: dict[Path, list[str]] = {}
        self.shapes: dict[str, Shape] = {}
        self.types: dict[str, str] = {}
        for file in weight_files(folder):
            self._list(file)
        self._file = {name: file for file, names in self.files.items() for name in names}

    def _list(self, file: Path) -> None:
        try:
            with safe_open(file, framework="pt") as content:
                names = [name for name in content.offset_keys() if not name.endswith(IGNORED)]
                for name in names:
                    part = content.get_slice(name)
                    self.shapes[name] = tuple(part.get_shape())
                    self.types[name] = part.get_dtype()
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{file} cannot be read ({error}): copy it again") from error
        self.files[file] = names

    def read(self, name: str) -> Tensor:
        with safe_open(self._file[name], framework="pt") as content:
            return content.get_tensor(name)


class Adapted:
    """A checkpoint with an adapter (`training.model.lora.save_adapter`), folded in as read."""

    def __init__(self, base: Checkpoint, folder: Path):
        options = json.loads((folder / ADAPTER_OPTIONS).read_text(encoding="utf-8"))
        self.folder, self.weights = base.folder, folder
        self.shapes = base.shapes
        self._scale = options["alpha"] / options["rank"]
        self._base, self._file = base, folder / ADAPTER_WEIGHTS
        with safe_open(self._file, framework="pt") as content:
            shapes = {name: tuple(content.get_slice(name).get_shape()) for name in content.keys()}
        self._names = set(shapes)
        if (fault := _misfit(shapes, base, options.get("base"))) is not None:
            raise ValueError(
                f"the adapter in {folder} {fault}: give the model it was trained on as the original"
            )

    def read(self, name: str) -> Tensor:
        pair = [name.removesuffix("weight") + f"lora_{letter}.weight" for letter in "AB"]
        with safe_open(self._file, framework="pt") as content:
            # layers that were trained in full lie whole among the adapter's matrices
            if name in self._names:
                return content.get_tensor(name)
            if pair[0] in self._names:
                a, b = map(content.get_tensor, pair)
                return fold(self._base.read(name), a, b, self._scale)
        return self._base.read(name)


def _misfit(shapes: dict[str, Shape], base: Checkpoint, trained_on: str | None) -> str | None:
    """Why an adapter's tensors, in its file's names, cannot be of this base."""
    for name, shape in sorted(shapes.items()):
        home, _, matrix = name.partition(".lora_")
        if matrix.startswith("A"):
            continue  # its pair tells
        if matrix:
            shape = low_rank_shape(shapes[f"{home}.lora_A.weight"], shape)
        weight = f"{home}.weight" if matrix else name
        if weight not in base.shapes:
            return f"changes {weight}, which {base.folder} lacks"
        if (here := base.shapes[weight]) != shape:
            return f"changes {weight} of shape {shape}; in {base.folder} it is {here}"
    mark = fingerprint(base.folder)
    if trained_on is not None and trained_on != mark:
        return f"was trained on other weights ({trained_on}) than {base.folder} holds ({mark})"
    return None


class PeftAdapted:
    """A checkpoint with a LoRA adapter that peft saved folded in as it is read."""

    def __init__(self, base: Checkpoint, folder: Path):
        options = read_json(folder / PEFT)
        self.folder, self.weights = base.folder, folder
        self.shapes = base.shapes
        unknown = [name for name in UNSUPPORTED if options.get(name)]
        if unknown or options.get("peft_type") != "LORA":
            what = ", ".join(unknown) or options.get("peft_type")
            raise ValueError(
                f"{folder} is no plain LoRA adapter ({what}): train one without, or merge it with "
                "peft first"
            )
        rank = options["r"] ** 0.5 if options.get("use_rslora") else options["r"]
        self._scale = options["lora_alpha"] / rank
        self._base, self._file = base, folder / PEFT_WEIGHTS
        with safe_open(self._file, framework="pt") as content:
            shapes = {
                name.removeprefix(PREFIX): tuple(content.get_slice(name).get_shape())
                for name in content.keys()
            }
        self._names = set(shapes)
        if (fault := _misfit(shapes, base, read_ours(folder).get("base"))) is not None:
            raise ValueError(
                f"the adapter in {folder} {fault}: give the model it was trained on as the original"
            )

    def read(self, name: str) -> Tensor:
        pair = [f"{name.removesuffix('weight')}lora_{letter}.weight" for letter in "AB"]
        tensor = self._base.read(name)
        if pair[0] not in self._names:
            return tensor
        with safe_open(self._file, framework="pt") as content:
            a, b = (content.get_tensor(PREFIX + one) for one in pair)
            return fold(tensor, a, b, self._scale)


def tuned_source(folder: Path, base: Checkpoint) -> Source:
    """A model folder, or an adapter folder on top of `base`.

    CheckpointError for one of peft's to CogVLM, which may need peft itself to be folded.
    """
    if (folder / ADAPTER_WEIGHTS).is_file():
        return Adapted(base, folder)
    if (folder / PEFT).is_file() and chat_family(base.folder) is not None:
        return PeftAdapted(base, folder)
    refuse_others(folder, base.folder)
    return Checkpoint(folder)


def check_alike(original: Source, tuned: Source) -> None:
    """ValueError that names the tensors which only one of the two has, or in another shape."""
    problems = [
        f"{name} only in {one.folder}"
        for one, other in ((original, tuned), (tuned, original))
        for name in one.shapes
        if name not in other.shapes
    ]
    problems += [
        f"{name} is {shape} and {tuned.shapes[name]}"
        for name, shape in original.shapes.items()
        if tuned.shapes.get(name, shape) != shape
    ]
    if problems:
        shown = "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")
        raise ValueError(
            f"the models differ in {len(problems)} tensors and cannot be merged: {shown}. "
            "Merge a model with what was fine-tuned from it"
        )
