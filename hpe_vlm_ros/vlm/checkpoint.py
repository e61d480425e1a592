# SPDX-License-Identifier: Apache-2.0
"""Model folders: config.json, model.safetensors (or shards with an index), tokenizer files.

The public CogVLM checkpoints load as they are, our own in the same way. Weights in pickle format
are refused always, since loading them can run any code.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from . import CheckpointError
from .configuration import CogVLMConfig
from .modeling import CogVLMForCausalLM
from .processing import PROCESSOR_FILE, CogVLMProcessor, ImageSettings

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
IGNORED = "rotary_emb.inv_freq"  # a constant that some exporters store
DEFAULT = Path("models") / "embedded"
SHARE = Path("share") / "hpe_vlm_ros"


def default_folder() -> Path:
    """The embedded default: in the source checkout, or where an install has put it."""
    here = Path(__file__).resolve()
    prefixes = [*here.parents, *map(Path, filter(None, _prefix_path()))]
    places = [here.parents[2] / DEFAULT, *(prefix / SHARE / DEFAULT for prefix in prefixes)]
    for place in places:
        if (place / "config.json").is_file():
            return place
    raise CheckpointError(
        f"the default model is neither in {places[0]} nor under {SHARE} of this install: "
        "build the package again, or name a model folder"
    )


def _prefix_path() -> list[str]:
    return os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)


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
    part = folder / (WEIGHTS + ".part")  # so that a reader never sees half a file
    save_file(tensors, part, metadata={"format": "pt"})
    shutil.move(part, folder / WEIGHTS)


def load_config(folder: Path) -> CogVLMConfig:
    if not folder.is_dir():
        raise CheckpointError(f"there is no model folder {folder}: check the path")
    content = _json(folder / "config.json")
    try:
        return CogVLMConfig.from_dict(content)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error


def load_model(
    folder: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> CogVLMForCausalLM:
    """The model in evaluation mode; `dtype` None computes in config.json's, else in float32."""
    folder = Path(folder)
    config = load_config(folder)
    files = weight_files(folder)
    _check_device(device)
    with torch.device("meta"):  # shapes only; the memory comes with the file's tensors
        model = CogVLMForCausalLM(config)
    compute = dtype or getattr(torch, str(config.dtype).removeprefix("torch."), torch.float32)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    state: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in _tensors(file, shapes):
            state[name] = tensor.to(device=device, dtype=compute)
    if missing := sorted(shapes.keys() - state.keys()):
        raise CheckpointError(
            f"{files[0]} lacks {len(missing)} tensors of the model in config.json, first "
            f"{missing[0]}: the files do not belong together or are incomplete; copy them again"
        )
    model.load_state_dict(state, assign=True)
    return model.eval()


def _check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f'device "{device}" cannot be used ({reason}): try "cpu"') from error


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, all present."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        content = _json(folder / INDEX)
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
    raise CheckpointError(f"{folder} has no {WEIGHTS}: copy the model folder again")


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


def load_processor(folder: str | Path, config: CogVLMConfig) -> CogVLMProcessor:
    """Tokenizer and image settings; a folder without the latter uses the public CogVLM's."""
    folder = Path(folder)
    tokenizer = _tokenizer(folder)
    if len(tokenizer) > config.vocab_size:
        raise CheckpointError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model {config.vocab_size}:"
            " use the tokenizer files that belong to it"
        )
    settings: dict[str, Any] = {"image_size": config.vision_config.image_size}
    if (folder / PROCESSOR_FILE).is_file():
        known = {field.name for field in fields(ImageSettings)}
        content = _json(folder / PROCESSOR_FILE)
        settings |= {key: value for key, value in content.items() if key in known}
    try:
        return CogVLMProcessor(tokenizer, config, ImageSettings(**settings))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / PROCESSOR_FILE}: {error}") from error


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    if (folder / "tokenizer.json").is_file():
        kind: Any = PreTrainedTokenizerFast
    elif (folder / "tokenizer.model").is_file():
        kind = AutoTokenizer
    else:
        raise CheckpointError(
            f"{folder} has no tokenizer.json: copy the model folder again (the public CogVLM "
            "takes the tokenizer files of lmsys/vicuna-7b-v1.5)"
        )
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"the tokenizer in {folder} cannot be read: {error}") from error


def fingerprint(folder: str | Path) -> str:
    """Eight hexadecimal digits that change with the weights (with the index, if sharded)."""
    file = Path(folder) / WEIGHTS
    digest = hashlib.sha256()
    with open(file if file.is_file() else Path(folder) / INDEX, "rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:8]


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing: copy the model folder again") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} is not readable JSON ({error}): copy it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no JSON object: copy it again")
    return content
