# SPDX-License-Identifier: Apache-2.0
"""LoRA as the CogVLM authors trained it, through `peft`.

Adapters sit on the fused query-key-value projections, with an independent pair of matrices for each
of Q, K and V, and on the output projections ("dense"): of the language expert in every decoder
layer, and of every layer of the vision tower. Some of the tower's MLPs are trained whole.

    add_lora(model)                   # in place; everything else is frozen
    ...                               # train
    save_adapter("adapter", model)    # what was trained, or
    fold_lora(model)                  # in place: an ordinary model again

What is trained is kept in float32 whatever the model's own precision, since small steps vanish in
bfloat16: run such a model under `torch.autocast`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as PeftLinear
from peft.tuners.tuners_utils import check_adapters_to_merge
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hpe_vlm_ros.vlm.diagnosis import ADAPTER_OPTIONS, ADAPTER_WEIGHTS
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

from ..merging.lora_folding import fold, low_rank_update
from .sharding import is_first, whole

FUSED = "query_key_value"  # ends the names of projections with Q, K and V in one
ADAPTER = "default"  # peft's name for the only adapter


@dataclass(frozen=True)
class LoraOptions:
    """What is trained, and how; the defaults are those of the public CogVLM fine-tuning script.

    Attributes:
        rank: of each pair of matrices.
        alpha: the update is alpha / rank * B A.
        targets: ends of the names of adapted projections.
        trained_mlps: first and last layer of the vision tower whose MLP is trained whole, and of
            how many: scaled to the tower's depth. None trains none.
    """

    rank: int = 10
    alpha: float = 1.0
    targets: tuple[str, ...] = (
        "self_attn.language_expert_query_key_value",
        "self_attn.language_expert_dense",
        "attention.query_key_value",
        "attention.dense",
    )
    trained_mlps: tuple[int, int, int] | None = (46, 54, 63)


def trained_layers(depth: int, trained_mlps: tuple[int, int, int] | None) -> range:
    """The layers of a tower of `depth` whose MLPs are trained: at least one, unless None."""
    if trained_mlps is None:
        return range(0)
    first, last, of = trained_mlps
    start = min(round(first * depth / of), depth - 1)
    return range(start, max(round((last + 1) * depth / of), start + 1))


class BlockLinear(nn.Linear):
    """(..., blocks * rank) to (..., out): each row block of the weight has its own inputs."""

    def forward(self, x: Tensor) -> Tensor:
        rank = self.in_features
        parts = x.unflatten(-1, (-1, rank))
        weight = self.weight.view(parts.shape[-2], -1, rank)
        return torch.einsum("...pr,por->...po", parts, weight).flatten(-2)


class ProjectionLora(PeftLinear):
    """peft's linear adapter with a pair each for Q, K and V where they are fused; folds exactly."""

    def update_layer(self, adapter_name: str, r: int, **kwargs: Any) -> None:
        """As peft's; of a fused projection A is (3 * r, in) and B (out, r), a pair for each of Q, K
        and V."""
        super().update_layer(adapter_name, r, **kwargs)
        if not kwargs["target_name"].endswith(FUSED):
            return
        self.lora_A[adapter_name] = nn.Linear(self.in_features, 3 * r, bias=False)
        self.lora_B[adapter_name] = BlockLinear(r, self.out_features, bias=False)
        nn.init.kaiming_uniform_(self.lora_A[adapter_name].weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B[adapter_name].weight)
        self._move_adapter_to_device_of_base_layer(adapter_name)

    def _pair(self, adapter: str) -> tuple[Tensor, Tensor, float]:
        return self.lora_A[adapter].weight, self.lora_B[adapter].weight, self.scaling[adapter]

    def get_delta_weight(self, adapter: str) -> Tensor:
        """What the adapter adds to the weight, (out, in), in float32 or better."""
        return low_rank_update(*self._pair(adapter))

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Folds adapters into the weight, each rounded once (see `merging.lora_folding.fold`)."""
        weight = self.get_base_layer().weight
        for adapter in check_adapters_to_merge(self, adapter_names):
            weight.copy_(fold(weight, *self._pair(adapter)))
            self.merged_adapters.append(adapter)


def add_lora(model: CogVLMForCausalLM, options: LoraOptions = LoraOptions()) -> None:
    """Adapters into `model`, in place; only they and the chosen MLPs can be trained afterwards.

    ValueError if an entry of `options.targets` names no linear layer of the model.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    for target in options.targets:
        if not any(f".{name}".endswith(f".{target}") for name in linear):
            raise ValueError(f"LoRA target {target!r} ends the name of no linear layer")
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # may be a fraction: peft only divides it
        target_modules=list(options.targets),
    )
    config._register_custom_module({nn.Linear: ProjectionLora})
    inject_adapter_in_model(config, model)
    tower = model.model.vision.transformer.layers
    for layer in trained_layers(len(tower), options.trained_mlps):
        tower[layer].mlp.requires_grad_(True)
    for parameter in trainable(model):
        parameter.data = parameter.data.float()


def trainable(model: nn.Module) -> Iterable[nn.Parameter]:
    """The parameters that training changes."""
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


@torch.no_grad()
def fold_lora(model: CogVLMForCausalLM) -> None:
    """Add the updates to the weights and take the adapters out, in place.

    The model then has the names and the precision it had before `add_lora`, all frozen, and says
    what it said with the adapters.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, ProjectionLora):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
    del model.peft_config
    model.requires_grad_(False)
    model.to(model.dtype)


def adapter_state(model: CogVLMForCausalLM) -> dict[str, Tensor]:
    """What was trained: pairs as "<projection>.lora_A.weight", "...lora_B.weight", whole MLPs."""
    return {
        name.replace(f".{ADAPTER}.", "."): whole(parameter.detach())
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def save_adapter(
    folder: str | Path,
    model: CogVLMForCausalLM,
    options: LoraOptions = LoraOptions(),
    base: str | None = None,
) -> None:
    """Write what was trained, some hundredths of the model, and the options it was made with.

    `base` is the fingerprint of the weights it was trained on, so that folding can refuse others.
    Where weights are in shards every process takes part, and the first one writes.
    """
    folder, trained = Path(folder), adapter_state(model)
    if not is_first():
        return
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(options) | {"base": base}, indent=2) + "\n"
    (folder / ADAPTER_OPTIONS).write_text(text, encoding="utf-8")
    state = {name: tensor.cpu().contiguous() for name, tensor in trained.items()}
    part = folder / (ADAPTER_WEIGHTS + ".part")  # so that a reader never sees half a file
    save_file(state, part)
    part.replace(folder / ADAPTER_WEIGHTS)


@torch.no_grad()
def load_adapter(folder: str | Path, model: CogVLMForCausalLM) -> LoraOptions:
    """Add a saved adapter to the model it was trained on, in place; returns its options."""
    folder = Path(folder)
    fields = json.loads((folder / ADAPTER_OPTIONS).read_text(encoding="utf-8"))
    fields.pop("base", None)
    lists = {name: tuple(v) for name, v in fields.items() if isinstance(v, list)}
    options = LoraOptions(**fields | lists)
    add_lora(model, options)
    saved, own = load_file(folder / ADAPTER_WEIGHTS), adapter_state(model)
    for name in sorted(saved.keys() | own.keys()):
        if name not in saved or name not in own or saved[name].shape != own[name].shape:
            raise ValueError(
                f"{folder} does not fit the model: {name} is missing or of another shape; use the "
                "model that the adapter was trained on"
            )
        own[name].copy_(saved[name])
    return options
