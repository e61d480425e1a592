# SPDX-License-Identifier: Apache-2.0
"""The learning stages for models of other families than CogVLM: LoRA on the answers' tokens."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hpe_vlm_ros.vlm.families.processing import ChatProcessor
from hpe_vlm_ros.vlm.hub import find_model

from ..data.chat_batches import ChatBatch, ChatBatches
from ..data.sample import Sample
from ..model.chat import add_chat_lora, save_chat_adapter
from ..model.lora import LoraOptions
from ..model.sharding import is_first
from .learner import total_loss
from .trainer import Schedule, StageTrainer


class ChatLearner(nn.Module):
    """A call gives a batch's loss: {"text": mean cross-entropy of the answers' tokens}."""

    def __init__(self, adapted: Any) -> None:
        super().__init__()
        self.model = adapted

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """What the Trainer asks for under `activation_checkpointing`."""
        self.model.get_base_model().activation_checkpointing_enable(**options)
        self.model.enable_input_require_grads()  # else nothing of a frozen start is computed twice

    def forward(self, batch: ChatBatch) -> dict[str, torch.Tensor]:
        """The loss of a batch by its name, a zero with a gradient where nothing is asked."""
        model = self.model.get_base_model()
        hidden = model.model(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask(),
            use_cache=False,
            **batch.pictures,
        ).last_hidden_state
        learnt = batch.targets >= 0
        logits = model.lm_head(hidden[learnt]).float()
        if not len(logits):
            return {"text": hidden.sum() * 0}
        return {"text": nn.functional.cross_entropy(logits, batch.targets[learnt])}


def learn_chat(
    model: Any,
    processor: ChatProcessor,
    samples: list[Sample],
    validation: list[Sample],
    out: Path,
    schedule: Schedule,
    data_options: Any,
    rehearsal: Sequence[Sample],
    lora: LoraOptions | None,
    base: Path,
) -> None:
    """As `stage.learn`; OUT/model is an adapter to `base`, as peft saves it."""
    if lora is None:
        raise ValueError(
            f"{processor.family.name} is trained by adapters: give --lora.rank 16 --lora.alpha 32, "
            "or a recipe of config/training that does"
        )
    base, seed = find_model(base), schedule.seed
    torch.manual_seed(seed)
    adapted = add_chat_lora(model, processor.family, lora)
    calm = replace(data_options.packing, ask_every=1)
    batches = ChatBatches(
        samples, processor, data_options.batch_size, seed, data_options.packing,
        data_options.augmentation, data_options.collage, rehearsal,
        data_options.unit,
    )  # fmt: skip
    unseen = ChatBatches(validation, processor, data_options.batch_size, seed, calm, None)
    count = min(data_options.validation_batches, len(unseen.draws) // data_options.batch_size)

    def deploy(folder: Path) -> None:
        if is_first():
            save_chat_adapter(folder, adapted, base)

    trainer = StageTrainer(
        ChatLearner(adapted),
        schedule.arguments(out),
        batches,
        [unseen.part(step) for step in range(count)],  # type: ignore[misc]
        deploy,
    )
    if is_first():
        print(measured_cost(trainer, unseen.part(0), schedule), flush=True)
    trainer.run()


def measured_cost(trainer: StageTrainer, batch: ChatBatch, schedule: Schedule) -> str:
    """Memory and time of a run, measured on one batch, forward and backward, before it starts."""
    device = trainer.args.device
    learner: Any = trainer.model
    learner.train()
    start = time.perf_counter()
    with trainer.compute_loss_context_manager():
        loss = total_loss(learner(batch.to(device)))
    loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    learner.zero_grad(set_to_none=True)
    learnt = sum(p.numel() for p in learner.parameters() if p.requires_grad)
    every = sum(p.numel() for p in learner.parameters())
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated()
    else:
        used = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used += 8 * learnt  # AdamW's two moments in float32, which come with the first step
    hours = seconds * schedule.steps / 3600
    return (
        f"{learnt / 1e6:.2f} M of {every / 1e6:.1f} M weights learn. Measured on one batch on "
        f"{device}: {used / 1e9:.1f} GB of memory, {seconds:.2f} s a step without reading "
        f"pictures, so at least {hours:.1f} hours for {schedule.steps} steps."
    )
