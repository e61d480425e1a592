# SPDX-License-Identifier: Apache-2.0
"""Weights of a chat family's model, and a LoRA adapter on top: safetensors only, no remote code."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.diagnosis import PEFT, PEFT_WEIGHTS
from hpe_vlm_ros.vlm.model_folder import fingerprint, read_json, read_ours
from hpe_vlm_ros.vlm.pytorch.memory import GB, ROOM, Needs, available
from hpe_vlm_ros.vlm.pytorch.quantization import QUANTIZATIONS
from hpe_vlm_ros.vlm.pytorch.weights import weight_files

from .family import ChatFamily
from .processing import ANSWER_ROOM

HEADS, HEAD_TOKENS = 20, 100  # asked about at once, and what a question and its answer take
BITS = {"int8": 1.02, "int4": 0.53}  # bytes of a rounded weight, with its share of the scales


def load_model(
    folder: Path,
    family: ChatFamily,
    device: str,
    dtype: torch.dtype | None = None,
    quantization: str = "none",
) -> Any:
    """The model of a folder, in evaluation mode; `dtype` None computes in config.json's.

    `quantization` "int8" or "int4" rounds the linear layers of decoder and tower (bitsandbytes).

    Raises:
        CheckpointError: (a ValueError) it cannot be used, and why.
    """
    import transformers

    files = weight_files(folder)
    config = _config(folder, family)
    stored = getattr(torch, str(config.dtype).removeprefix("torch."), torch.float32)
    compute = stored if dtype is None else dtype
    check_memory(files, config, device, compute, quantization)
    options: dict[str, Any] = {}
    if quantization != "none":
        options = {"quantization_config": _rounding(quantization, compute), "device_map": device}
    kind = getattr(transformers, family.model_class)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bitsandbytes tells at every layer what it computes in
            model, report = kind.from_pretrained(
                folder,
                config=config,
                dtype=compute,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation="sdpa",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, by name
                **options,
            )
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"the weights in {folder} cannot be read: {error}") from error
    _complete(folder, report)
    return (model if quantization != "none" else model.to(device)).eval()


def _config(folder: Path, family: ChatFamily) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # configurations check their fields in many ways
        raise CheckpointError(f"{folder / 'config.json'} of {family.name}: {error}") from error


def shape_of(folder: Path, family: ChatFamily) -> Any:
    """The model without its weights: on the meta device, if that is the default one."""
    import transformers

    return getattr(transformers, family.model_class)(_config(folder, family))


def _complete(folder: Path, report: Mapping[str, Any]) -> None:
    """CheckpointError unless the files hold what config.json calls for."""
    if mismatched := sorted(report["mismatched_keys"]):
        name, found, wanted = mismatched[0]
        raise CheckpointError(
            f"{folder}: tensor {name} has shape {tuple(found)}, but config.json calls for "
            f"{tuple(wanted)}: use files that belong together"
        )
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"{folder} lacks {len(missing)} tensors of the model in config.json, first "
            f"{missing[0]}: the files do not belong together or are incomplete; copy them again"
        )


def _rounding(quantization: str, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if quantization not in QUANTIZATIONS:
        raise CheckpointError(
            f'quantization is "{quantization}": it must be one of {", ".join(QUANTIZATIONS)}'
        )
    absent = [name for name in ("bitsandbytes", "accelerate") if find_spec(name) is None]
    if absent:
        raise CheckpointError(
            f"weights in 8 or 4 bits need {' and '.join(absent)}: "
            "pip install 'bitsandbytes>=0.49,<0.51' 'accelerate>=1.10,<2'"
        )
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def needs(files: list[Path], config: Any, dtype: torch.dtype, quantization: str) -> Needs:
    """Bytes that a model takes: weights counted from the files, keys and values of a picture of
    the family's size with its questions, and what passes."""
    text = config.get_text_config()
    weights = 0.0
    for file in files:
        with safe_open(file, framework="pt") as content:
            for name in content.keys():
                shape = content.get_slice(name).get_shape()
                rounded = len(shape) == 2 and "embed" not in name and "lm_head" not in name
                kind = quantization if rounded else "none"
                weights += math.prod(shape) * BITS.get(kind, dtype.itemsize)
    heads = getattr(text, "num_key_value_heads", text.num_attention_heads)
    side = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    width = heads * side
    tokens = 1100 + HEADS * HEAD_TOKENS + ANSWER_ROOM + ROOM
    cache = 2 * text.num_hidden_layers * tokens * width * dtype.itemsize
    work = 4 * tokens * (text.intermediate_size + 2 * text.hidden_size) * dtype.itemsize
    return Needs(round(weights), cache, work)


def check_memory(
    files: list[Path], config: Any, device: str, dtype: torch.dtype, quantization: str
) -> None:
    """CheckpointError, with what would help, if the model does not fit on the device."""
    try:
        free = available(device)
        wanted = needs(files, config, dtype, quantization)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{files[0]} cannot be read ({error}): copy it again") from error
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f'device "{device}" cannot be used ({reason}): try "cpu"') from error
    if free is None or wanted.total <= free:
        return
    raise CheckpointError(
        f"the model needs {wanted.total / GB:.1f} GB on {device}, but {free / GB:.1f} GB are free: "
        "try quantization int8 or int4, a smaller model of the family, or another device"
    )


def with_adapter(model: nn.Module, family: ChatFamily, base: Path, folder: Path) -> nn.Module:
    """The model with a LoRA adapter that peft saved folded in; the adapter stays as it is.

    On rounded weights it is computed beside them instead, since rounding again would lose it.

    Raises:
        CheckpointError: (a ValueError) it is none, or belongs to another model.
    """
    check_adapter(model, family, base, folder)
    try:
        from peft import PeftModel
    except ImportError as error:
        raise CheckpointError("an adapter needs peft: pip install 'peft>=0.21,<0.22'") from error
    kept = {name: p.dtype for name, p in model.named_parameters()}
    adapted = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=True)
    if getattr(model, "is_quantized", False):
        beside: nn.Module = adapted.get_base_model()
        return beside.eval()
    out: nn.Module = adapted.merge_and_unload()
    for name, parameter in out.named_parameters():
        if parameter.is_floating_point() and parameter.dtype != kept[name]:
            parameter.data = parameter.data.to(kept[name])
    return out.eval()


def check_adapter(model: nn.Module, family: ChatFamily, base: Path, folder: Path) -> None:
    """CheckpointError, with what is wrong, for what is no LoRA adapter of this model."""
    if not (folder / PEFT).is_file():
        raise CheckpointError(
            f"{folder} holds no LoRA adapter ({PEFT} is missing): give the folder that training "
            "wrote (OUT/model), or one that peft saved"
        )
    if not (folder / PEFT_WEIGHTS).is_file():
        raise CheckpointError(
            f"{folder} has no {PEFT_WEIGHTS}: weights are read in that format alone, since pickled "
            "ones can run code; save the adapter with safe_serialization"
        )
    if (kind := read_json(folder / PEFT).get("peft_type")) != "LORA":
        raise CheckpointError(f"{folder} is an adapter of type {kind}: only LORA can be used")
    known = read_ours(folder).get("base")
    if known and known != (own := fingerprint(base)):
        raise CheckpointError(
            f"the adapter in {folder} was trained on weights {known}, but {base} holds {own}: give "
            "the model that it was trained on"
        )
    linear = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    shapes = {name: (layer.out_features, layer.in_features) for name, layer in linear.items()}
    try:
        with safe_open(folder / PEFT_WEIGHTS, framework="pt") as content:
            for name in content.keys():
                _check_pair(name, content.get_slice(name).get_shape(), shapes, family, folder, base)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder / PEFT_WEIGHTS} cannot be read ({error})") from error


def _check_pair(
    name: str,
    shape: list[int],
    shapes: Mapping[str, tuple[int, ...]],
    family: ChatFamily,
    folder: Path,
    base: Path,
) -> None:
    layer, _, which = name.removeprefix("base_model.model.").rpartition(".lora_")
    weight = shapes.get(layer)
    if not layer or weight is None:
        raise CheckpointError(
            f"the adapter in {folder} changes {name}, which {base} ({family.name}) lacks: give the "
            "model that it was trained on"
        )
    side, own = (weight[1], shape[-1]) if which.startswith("A") else (weight[0], shape[0])
    if side != own:
        raise CheckpointError(
            f"the adapter in {folder} has {own} where {layer} of {base} has {side}: it belongs to "
            "a model of another size"
        )
