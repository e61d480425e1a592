# SPDX-License-Identifier: Apache-2.0
"""A model folder to an engine, in whichever runtime serves it best."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from . import CheckpointError
from .backend import Backend
from .decoding.engine import Engine
from .facts import ModelFacts
from .families import ChatFamily, family_of
from .model_folder import load_config_file, load_facts, load_processor
from .onnxruntime.backend import EXPORT_AGAIN, OnnxBackend, find_export

BACKENDS = ("auto", "torch", "onnx")


def load_engine(
    folder: str | Path,
    device: str | None = None,
    backend: str = "auto",
    threads: int | None = None,
    quantization: str = "none",
    at_once: int = 1,
    adapter: str | Path | None = None,
) -> Engine:
    """The model of a folder, of any of the known families (`families`).

    Args:
        folder: with config.json, tokenizer and weights, or an export of them, or both.
        device: such as "cpu" or "cuda:0"; None is the CPU for an export, else the best there is.
        backend: "torch", "onnx", or "auto": on the CPU an export, if there is one, else PyTorch.
            "onnx" on a GPU takes onnxruntime-gpu and an fp32 export.
        threads: of the arithmetic; None is one per core for an export, and PyTorch's own setting.
        quantization: "none", or "int8" or "int4" to round PyTorch's weights while they are loaded.
        at_once: so many pictures will be asked about at once (`Backend.at_once`).
        adapter: folder of a LoRA adapter to the model; CogVLM's are folded into it beforehand.

    Raises:
        CheckpointError: (a ValueError) it cannot be used, and why.
    """
    if backend not in BACKENDS:
        raise CheckpointError(f'backend is "{backend}"; it must be one of {", ".join(BACKENDS)}')
    folder = Path(folder)
    config = load_config_file(folder)
    family = family_of(config, folder)
    if isinstance(family, ChatFamily):
        from .families.loading import load_chat_engine

        extra = None if adapter is None else Path(adapter).expanduser()
        return load_chat_engine(
            folder, family, config, device, backend, threads, quantization, extra
        )
    if adapter is not None:
        raise CheckpointError(
            f"adapters of {family.name} are folded into the model first: python -m "
            f"training.stage3_merge --method lora_folding --original {folder} --tuned {adapter} "
            "--out FOLDER, or training.fold_adapter for one of peft's"
        )
    facts = load_facts(folder)
    processor = load_processor(folder, facts)
    exported = _exported(folder, device, backend if quantization == "none" else "torch")
    if exported is None:
        return Engine(_torch(folder, device, quantization, threads), processor)
    return Engine(_onnx(folder, exported, facts, threads, device or "cpu", at_once), processor)


def _exported(folder: Path, device: str | None, backend: str) -> Path | None:
    """The export to use, or None to use PyTorch."""
    cpu = device in (None, "cpu")
    precision = None if cpu else "fp32"  # what 8 bits spare on a CPU they cost on a GPU
    here = find_export(folder, precision)
    if backend == "onnx":
        if not cpu and find_spec("onnxruntime") is not None and not _has_cuda():
            raise CheckpointError(
                f'the backend onnx cannot run on "{device}" here: install onnxruntime-gpu in place '
                'of onnxruntime, take the device "cpu", or the backend torch'
            )
        if here is None:
            kind, option = ("export", "") if cpu else ("fp32 export", " --precision fp32")
            raise CheckpointError(
                f"{folder} holds no {kind}: make it ({EXPORT_AGAIN} {folder}{option})"
            )
        return here
    usable = here is not None and cpu and find_spec("onnxruntime") is not None
    return here if usable and backend == "auto" else None


def _has_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _torch(folder: Path, device: str | None, quantization: str, threads: int | None) -> Backend:
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise CheckpointError(
            f"{folder} cannot be run: install PyTorch (pip install 'hpe_vlm_ros[torch]', or "
            "-r requirements-torch.txt), or, if the model is exported, ONNX Runtime (pip install "
            "onnxruntime)"
        )
    import torch

    from .pytorch.backend import TorchBackend, best_device
    from .pytorch.checkpoint import load_model

    if threads is not None:
        torch.set_num_threads(threads)
    place = best_device() if device is None else device
    return TorchBackend(load_model(folder, place, quantization=quantization))


def _onnx(
    folder: Path,
    exported: Path,
    facts: ModelFacts,
    threads: int | None,
    device: str,
    at_once: int,
) -> Backend:
    if find_spec("onnxruntime") is None:
        raise CheckpointError(
            "the backend onnx needs ONNX Runtime: pip install onnxruntime, or use the backend torch"
        )
    return OnnxBackend(folder, exported, facts, threads, device, at_once)
