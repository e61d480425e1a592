# SPDX-License-Identifier: Apache-2.0
"""Training batches that depend on (seed, step) alone, so that a resumed run sees what a whole run
saw."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from .augment import Augmentation, render_view
from .packing import Batch, PackingOptions, build_prompts, pack
from .sample import Sample


class StepDataset(Dataset[Batch]):
    """Item number `step` is that step's batch; every epoch is its own permutation.

    With `share` = (rank, world) it is one process's part of the batch.
    """

    def __init__(
        self,
        samples: list[Sample],
        processor: CogVLMProcessor,
        size: tuple[int, int],
        num_image_tokens: int,
        batch_size: int,
        seed: int,
        packing: PackingOptions,
        augmentation: Augmentation | None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if len(samples) < batch_size:
            raise ValueError(f"{len(samples)} samples cannot fill a batch of {batch_size}")
        self.samples, self.processor = samples, processor
        self.size, self.num_image_tokens = size, num_image_tokens
        self.batch_size, self.seed = batch_size, seed
        self.packing, self.augmentation = packing, augmentation
        self.rank, self.world = share

    def indices(self, step: int) -> np.ndarray:
        """The samples of a step (batch_size,); the tail that does not fill a batch is left out."""
        steps_per_epoch = len(self.samples) // self.batch_size
        epoch, offset = divmod(step, steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.samples))
        return order[offset * self.batch_size : (offset + 1) * self.batch_size]

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step, 1 + self.rank))
        images, prompts, heads = [], [], []
        for index in self.indices(step)[self.rank :: self.world]:
            sample = self.samples[index]
            view, seen = render_view(
                sample,
                sample.load(),
                self.size,
                rng if self.augmentation else None,
                self.augmentation,
            )
            images.append(self.processor.image_tensor(view))
            prompts.append(
                build_prompts(seen, self.size, self.processor.tokenizer, self.packing, rng)
            )
            heads.append(seen)
        return pack(images, prompts, heads, self.num_image_tokens, self.processor.tokenizer)


def step_loader(dataset: StepDataset, first: int, last: int, workers: int) -> DataLoader:
    """Batches of the steps first..last-1, prepared ahead by `workers` processes."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=lambda _: torch.set_num_threads(1),
    )
