# SPDX-License-Identifier: Apache-2.0
"""Model folders: config.json, model.safetensors (or shards with an index), tokenizer files.

The public CogVLM checkpoints load as they are, our own in the same way. Weights in pickle format
are refused always, since loading them can run any code.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.diagnosis import refuse_others
from hpe_vlm_ros.vlm.model_folder import (
    WEIGHTS,
    default_folder,
    fingerprint,
    load_processor,
    read_json,
)
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from . import memory
from .configuration import CogVLMConfig
from .modeling import CogVLMForCausalLM
from .quantization import Quantizer
from .weights import fill, weight_files

__all__ = ["default_folder", "fingerprint", "load_config", "load_model", "load_processor", "save"]


def save(
    folder: str | Path,
    model: CogVLMForCausalLM,
    processor: CogVLMProcessor,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a complete model folder; weights are rounded to `dtype` on disk only."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, tensor in model.state_dict().items():
        stored = tensor.detach().cpu().to(dtype).contiguous()
        if not bool(stored.isfinite().all()):
            raise CheckpointError(f"{name} has values beyond {dtype}'s range: store it in float32")
        tensors[name] = stored
    model.config.dtype = model.dtype  # what to compute in, whatever the files store
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)
    drop_remote_code(folder)
    part = folder / (WEIGHTS + ".part")  # so that a reader never sees half a file
    save_file(tensors, part, metadata={"format": "pt"})
    shutil.move(part, folder / WEIGHTS)


def drop_remote_code(folder: Path) -> None:
    """Make the JSON files of a model folder name no code of its own, in place.

    The public config.json names modules beside it (auto_map) and no model_type. Without the former
    and with the latter it loads by transformers' own classes once `modeling` is imported, and
    programs with a CogVLM of their own, such as LMDeploy, need no trust in remote code.
    """
    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            continue
        content = read_json(folder / name)
        changed = content.pop("auto_map", None) is not None
        if name == "config.json":
            changed |= "model_type" not in content
            content.setdefault("model_type", CogVLMConfig.model_type)
        if changed:
            text = json.dumps(content, indent=2, sort_keys=True) + "\n"
            (folder / name).write_text(text, encoding="utf-8")


def load_config(folder: Path) -> CogVLMConfig:
    """The configuration of a model folder; CheckpointError says why there is none. Code that the
    folder names is never run."""
    refuse_others(folder)
    content = read_json(folder / "config.json")
    content.pop("auto_map", None)  # code beside the public weights, which is never run
    try:
        return CogVLMConfig.from_dict(content)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error


def load_model(
    folder: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    quantization: str = "none",
) -> CogVLMForCausalLM:
    """The model in evaluation mode; `dtype` None computes in config.json's, else in float32.

    `quantization` "int8" or "int4" rounds the weights on their way to the device. A model that does
    not fit there is refused before anything is read.
    """
    folder = Path(folder)
    config = load_config(folder)
    files = weight_files(folder)
    _check_device(device)
    with torch.device("meta"):  # shapes only; the memory comes with the file's tensors
        model = CogVLMForCausalLM(config)
    stored = str(config.dtype).removeprefix("torch.")
    compute = getattr(torch, stored, torch.float32) if dtype is None else dtype
    memory.check(model, config, device, compute, quantization)
    place = None
    if quantization != "none":
        quantizer = Quantizer(quantization, device, compute)
        quantizer.swap(model)
        place = quantizer.place
    fill(model, files, device, compute, place)
    return model.eval()


def _check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f'device "{device}" cannot be used ({reason}): try "cpu"') from error
