# SPDX-License-Identifier: Apache-2.0
"""Models of other families than CogVLM, to be trained: LoRA by peft on the family's projections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from hpe_vlm_ros.vlm.families import ChatFamily
from hpe_vlm_ros.vlm.families.loading import chat_processor
from hpe_vlm_ros.vlm.families.processing import ChatProcessor
from hpe_vlm_ros.vlm.families.weights import load_model
from hpe_vlm_ros.vlm.model_folder import fingerprint, load_config_file, read_ours, write_ours
from hpe_vlm_ros.vlm.pytorch.backend import best_device

from .lora import LoraOptions


def chat_model(
    folder: Path, family: ChatFamily, quantization: str = "none"
) -> tuple[Any, ChatProcessor]:
    """Weights and processor. Questions are the paper's alone: what is taught needs no explaining.

    With `quantization` the base is rounded (QLoRA, Dettmers et al., arXiv 2305.14314), which also
    decides where it lies.
    """
    processor = chat_processor(folder, family, load_config_file(folder))
    processor.taught = True
    device = "cpu" if quantization == "none" else best_device()
    return load_model(folder, family, device, quantization=quantization), processor


def add_chat_lora(model: Any, family: ChatFamily, options: LoraOptions) -> Any:
    """The model with adapters on the projections of decoder and tower; all else is frozen."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ValueError("LoRA needs peft: pip install 'peft>=0.21,<0.22'") from error
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # may be a fraction: peft only divides it
        target_modules=family.adapted,
    )
    adapted: nn.Module = get_peft_model(model, config)
    return adapted


def save_chat_adapter(folder: Path, adapted: Any, base: Path) -> None:
    """What peft and servers take, and hpe_vlm.json, which says whose adapter it is."""
    adapted.save_pretrained(str(folder))
    known = {k: v for k, v in read_ours(base).items() if k == "size"}
    write_ours(folder, known | {"taught": True, "base": fingerprint(base)})
