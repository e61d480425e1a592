# SPDX-License-Identifier: Apache-2.0
"""The loop all stages share: transformers' Trainer over batches that depend on the step alone.

The Trainer brings mixed precision, several processes (`torchrun`), FSDP (`accelerate launch`),
TensorBoard and resuming. Added here: rates per part, losses by name in OUT/log.jsonl, checkpoints
that count only when they are whole, and the deployable model in OUT/model.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..data.batches import Shares, StepBatches
from ..data.packing import Batch
from ..model.sharding import is_sharded
from .learner import total_loss

WHOLE = "whole"  # written into a checkpoint's folder when all the rest is there


@dataclass
class Schedule:
    """How a stage learns.

    Args:
        steps: optimiser steps of the whole run.
        rate: peak learning rate of AdamW.
        warmup: steps of linear warm-up.
        decay: "linear", to zero over the cooldown, or "cosine", to a tenth from the warm-up on, as
            CogVLM's own fine-tuning.
        cooldown: share of the steps over which a linear decay falls, at the end.
        weight_decay: of matrices; vectors do not decay.
        clip: largest gradient norm.
        adam_beta2: decay of AdamW's second moments; 0.95 in CogVLM's own fine-tuning.
        save_every: steps between checkpoints and validations.
        log_every: steps between lines of the log.
        seed: of weights, order and augmentation.
        workers: processes that prepare batches.
        bf16: mixed precision, for GPUs.
        activation_checkpointing: compute twice, remember less.
    """

    steps: int = 4000
    rate: float = 3e-4
    warmup: int = 100
    decay: str = "linear"
    cooldown: float = 0.35
    weight_decay: float = 0.03
    clip: float = 1.0
    adam_beta2: float = 0.98
    save_every: int = 200
    log_every: int = 20
    seed: int = 1
    workers: int = 1
    bf16: bool = False
    activation_checkpointing: bool = False

    def arguments(self, out: Path) -> TrainingArguments:
        """The same in the Trainer's words; ValueError for a decay that is none."""
        linear = {"num_decay_steps": round(self.steps * self.cooldown)}
        shapes = {
            "linear": ("warmup_stable_decay", linear),
            "cosine": ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
        }
        if self.decay not in shapes:
            raise ValueError(f"schedule.decay is {self.decay!r}; it must be linear or cosine")
        kind, options = shapes[self.decay]
        return TrainingArguments(
            output_dir=str(out),
            max_steps=self.steps,
            learning_rate=self.rate,
            lr_scheduler_type=kind,
            lr_scheduler_kwargs=options,
            warmup_steps=self.warmup,
            weight_decay=self.weight_decay,
            adam_beta2=self.adam_beta2,
            max_grad_norm=self.clip,
            per_device_train_batch_size=1,  # an item of the data set is a batch already
            train_sampling_strategy="sequential",
            dataloader_num_workers=self.workers,
            dataloader_prefetch_factor=4 if self.workers else None,
            save_steps=self.save_every,
            save_total_limit=2,
            logging_steps=self.log_every,
            logging_nan_inf_filter=False,
            report_to=["tensorboard"],
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            ddp_find_unused_parameters=True,
            seed=self.seed,
            bf16=self.bf16,
            use_cpu=not torch.cuda.is_available(),  # else no process shares a step
            activation_checkpointing=self.activation_checkpointing,
            disable_tqdm=False,
        )


class StageTrainer(Trainer):
    """Trains a module that maps a `Batch` to losses by name (see `learner`).

    `rate_factor(name)` multiplies a parameter's rate; `validation` are batches that every
    checkpoint reports losses on; `deploy(folder)` writes the model as it is shipped.
    """

    def __init__(
        self,
        learner: nn.Module,
        arguments: TrainingArguments,
        batches: StepBatches,
        validation: list[Batch],
        deploy: Callable[[Path], None],
        rate_factor: Callable[[str], float] = lambda name: 1.0,
    ) -> None:
        shares = Shares(batches, arguments.max_steps, arguments.world_size)
        super().__init__(
            learner, arguments, data_collator=lambda items: items[0], train_dataset=shares
        )
        self.validation, self.rate_factor = validation, rate_factor
        self._sums: dict[str, list[float]] = {}
        self.add_callback(_Keeper(self, deploy))

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW; matrices decay, vectors (biases, norms) do not."""
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                key = self.rate_factor(name), parameter.ndim > 1
                groups.setdefault(key, []).append(parameter)
        arguments = self.args
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "lr": arguments.learning_rate * factor,
                    "weight_decay": arguments.weight_decay if is_matrix else 0.0,
                }
                for (factor, is_matrix), parameters in groups.items()
            ],
            betas=(arguments.adam_beta1, arguments.adam_beta2),
            fused=True,
        )
        return self.optimizer

    def _prepare_inputs(self, inputs: Batch) -> Batch:  # type: ignore[override]
        return inputs.to(self.args.device)

    def _get_num_items_in_batch(self, *_: Any) -> None:
        """Not counted: every loss is a mean over its own kind of answer."""

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the Trainer would go by the number of tokens, which leaves out pictures."""
        return 0

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, **_: Any
    ) -> torch.Tensor:
        """The weighed sum of a batch's losses; FloatingPointError, which ends the run, where it is
        not finite."""
        losses = model(inputs)
        total = total_loss(losses)
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"step {self.state.global_step}: loss is {total.item()}; lower the rate and resume"
            )
        for name, value in losses.items():
            self._sums.setdefault(name, []).append(value.item())
        return total

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """What training changes, in plain memory order: safetensors refuses channels-last filters.

        Frozen weights are the base model's, from which a resumed run starts as well.
        """
        state = self.model.state_dict() if state_dict is None else state_dict
        frozen = {name for name, p in self.model.named_parameters() if not p.requires_grad}
        kept = {name: t.contiguous() for name, t in state.items() if name not in frozen}
        super()._save(output_dir, kept)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Frozen weights are not in a checkpoint; anything else must be."""
        learnt = {name for name, p in self.model.named_parameters() if p.requires_grad}
        lost = sorted(learnt & set(load_result.missing_keys) | set(load_result.unexpected_keys))
        if lost:
            raise ValueError(
                f"the checkpoint in {self.args.output_dir} is of another model ({lost[0]} does not "
                "fit): give the options it was begun with, or another --out"
            )

    def log(self, logs: dict[str, float], *args: Any, **options: Any) -> None:
        """Adds the means of all losses since the last time."""
        logs |= _means(self._sums)
        self._sums.clear()
        super().log(logs, *args, **options)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean losses over the validation batches, names prefixed with `val_`."""
        sums: dict[str, list[float]] = {}
        self.model.eval()
        for batch in self.validation:
            for name, value in self.model(batch.to(self.args.device)).items():
                sums.setdefault(f"val_{name}", []).append(value.item())
        return _means(sums)

    def run(self) -> None:
        """Train, or go on where the last whole checkpoint stands."""
        last = last_checkpoint(Path(str(self.args.output_dir)))
        self.train(resume_from_checkpoint=str(last) if last else None)


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    """Mean of the finite numbers of each list; a batch without a number has nothing to say."""
    finite = {name: [v for v in numbers if math.isfinite(v)] for name, numbers in values.items()}
    return {name: sum(v) / len(v) for name, v in finite.items() if v}


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint in `out`; halves, which a kill leaves, are cleared away."""
    folders = sorted(
        out.glob(f"{PREFIX_CHECKPOINT_DIR}-*"), key=lambda folder: int(folder.name.split("-")[-1])
    )
    whole = [folder for folder in folders if (folder / WHOLE).exists()]
    # they are no use to anybody, and the Trainer would count them among those that it keeps
    for folder in set(folders) - set(whole):
        shutil.rmtree(folder, ignore_errors=True)  # several processes clear at once
    return whole[-1] if whole else None


class _Keeper(TrainerCallback):
    """Writes the log, and at every checkpoint the validation and the deployable model."""

    def __init__(self, trainer: StageTrainer, deploy: Callable[[Path], None]) -> None:
        self.trainer, self.deploy = trainer, deploy

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in logs.items()}
        with (Path(args.output_dir) / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": state.global_step} | rounded) + "\n")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        first, out = state.is_world_process_zero, Path(args.output_dir)
        if first or is_sharded(self.trainer.model):  # shards: all processes must take part
            self.trainer.log(self.trainer.validate())
            self.deploy(out / "model")
        if first:
            (out / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}" / WHOLE).touch()
