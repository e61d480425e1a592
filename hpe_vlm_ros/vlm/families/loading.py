# SPDX-License-Identifier: Apache-2.0
"""A folder of a chat family's model, and perhaps an adapter, to an engine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.model_folder import load_config_file, read_ours

from . import family_of
from .family import ChatFamily

if TYPE_CHECKING:
    from hpe_vlm_ros.vlm.decoding.engine import Engine

    from .processing import ChatProcessor


def load_chat_engine(
    folder: Path,
    family: ChatFamily,
    config: Mapping[str, Any],
    device: str | None = None,
    backend: str = "auto",
    threads: int | None = None,
    quantization: str = "none",
    adapter: Path | None = None,
) -> Engine:
    """See `vlm.loading.load_engine`; `adapter` is a LoRA adapter that training or peft saved.

    Raises:
        CheckpointError: (a ValueError) it cannot be used, and why.
    """
    if backend == "onnx":
        raise CheckpointError(f"{family.name} is not exported for ONNX Runtime: take backend torch")
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise CheckpointError(
            f"{family.name} runs in PyTorch: pip install 'hpe_vlm_ros[torch]' (or "
            "-r requirements-torch.txt)"
        )
    import torch

    from hpe_vlm_ros.vlm.decoding.engine import Engine
    from hpe_vlm_ros.vlm.pytorch.backend import best_device

    from .backend import ChatBackend
    from .weights import load_model, with_adapter

    if threads is not None:
        torch.set_num_threads(threads)
    place = best_device() if device is None else device
    processor = chat_processor(folder, family, config, adapter)
    model = load_model(folder, family, place, quantization=quantization)
    if adapter is not None:
        model = with_adapter(model, family, folder, adapter)
    try:
        backend_of: Any = ChatBackend(model, processor)  # its pictures are several arrays each
        engine = Engine(backend_of, processor)
        next(engine.grammar.boxes(1))  # a tokenizer that splits numbers in another way is told now
        return engine
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def chat_processor(
    folder: Path, family: ChatFamily, config: Mapping[str, Any], adapter: Path | None = None
) -> ChatProcessor:
    """Tokenizer and image processor of a folder; what an adapter's hpe_vlm.json says counts more
    than what the model's does."""
    from .processing import ChatProcessor

    ours = read_ours(folder)
    if adapter is not None:
        ours |= {"taught": True} | read_ours(adapter)
    return ChatProcessor.load(folder, family, config, ours)


def chat_family(folder: Path) -> ChatFamily | None:
    """The family of a model folder; None for CogVLM."""
    family = family_of(load_config_file(folder), folder)
    return family if isinstance(family, ChatFamily) else None
