# SPDX-License-Identifier: Apache-2.0
"""Safetensors files into a model, one tensor at a time.

Each tensor goes from its memory-mapped file straight to where it is computed with, and only one is
on its way at any time: beside the model itself, loading needs the memory of its largest tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.diagnosis import PICKLED, refuse_others
from hpe_vlm_ros.vlm.model_folder import EXPORTS, INDEX, SUMMARY, WEIGHTS, read_json

IGNORED = "rotary_emb.inv_freq"  # a constant that some exporters store

Place = Callable[[nn.Module, str, Tensor], bool]
"""Puts a tensor into a module under a name in a way of its own; False: nothing special here."""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, all present."""
    refuse_others(folder)
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        content = read_json(folder / INDEX)
        if not isinstance(content.get("weight_map"), dict) or not content["weight_map"]:
            raise CheckpointError(f'{folder / INDEX} has no "weight_map": download it again')
        shards = [folder / name for name in sorted(set(content["weight_map"].values()))]
        if absent := [shard.name for shard in shards if not shard.is_file()]:
            raise CheckpointError(f"{folder} lacks {', '.join(absent)}: download the missing files")
        return shards
    if pickled := [file.name for kind in PICKLED for file in sorted(folder.glob(kind))]:
        raise CheckpointError(
            f"{folder} holds weights in pickle format only ({pickled[0]}), which can run code and "
            f"are never loaded: get or convert them as safetensors ({WEIGHTS})"
        )
    if any(folder.glob(f"{EXPORTS}/*/{SUMMARY}")):
        raise CheckpointError(
            f"{folder} holds an export for ONNX Runtime and no weights for PyTorch: leave device "
            "and backend as they are, name a folder with weights such as models/embedded of a "
            "source checkout, or build with --cmake-args -DHPE_VLM_ROS_WEIGHTS=ON"
        )
    raise CheckpointError(f"{folder} has no {WEIGHTS}: copy the model folder again")


def fill(
    model: nn.Module,
    files: list[Path],
    device: str | torch.device,
    dtype: torch.dtype,
    place: Place | None = None,
) -> None:
    """Give a model on the meta device its weights; those that `place` takes are not converted."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing = dict.fromkeys(shapes)
    for file in files:
        for name, tensor in _tensors(file, shapes):
            missing.pop(name, None)
            path, _, leaf = name.rpartition(".")
            module = model.get_submodule(path)
            if place is None or not place(module, leaf, tensor):
                _assign(module, leaf, tensor.to(device=device, dtype=dtype))
    if missing:
        raise CheckpointError(
            f"{files[0]} lacks {len(missing)} tensors of the model in config.json, first "
            f"{min(missing)}: the files do not belong together or are incomplete; copy them again"
        )


def _assign(module: nn.Module, name: str, tensor: Tensor) -> None:
    if name in module._parameters:
        setattr(module, name, nn.Parameter(tensor))
    else:
        setattr(module, name, tensor)


def _tensors(file: Path, shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, Tensor]]:
    """Tensors of one file, each checked by name and shape before it is read."""
    try:
        with safe_open(file, framework="pt", device="cpu") as content:
            for name in content.keys():
                if name.endswith(IGNORED):
                    continue
                if name not in shapes:
                    raise CheckpointError(
                        f"{file}: unexpected tensor {name}; config.json describes another model"
                    )
                shape = tuple(content.get_slice(name).get_shape())
                if shape != shapes[name]:
                    raise CheckpointError(
                        f"{file}: tensor {name} has shape {shape}, but config.json calls for "
                        f"{shapes[name]}; use files that belong together"
                    )
                yield name, content.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): copy it again") from error
