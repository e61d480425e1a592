# SPDX-License-Identifier: Apache-2.0
"""Training batches that depend on (seed, step) alone, so that a resumed run sees what a whole run
saw."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from .augment import Augmentation, camera_faults, mirrored, render_view
from .collage import Collage, make_collage, subjects
from .packing import Batch, PackingOptions, build_prompts, pack
from .sample import Head, Sample


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
        collage: Collage | None = None,
    ) -> None:
        if len(samples) < batch_size:
            raise ValueError(f"{len(samples)} samples cannot fill a batch of {batch_size}")
        self.samples, self.processor = samples, processor
        self.size, self.num_image_tokens = size, num_image_tokens
        self.batch_size, self.seed = batch_size, seed
        self.packing, self.augmentation = packing, augmentation
        self.rank, self.world = share
        self.collage = collage if collage and collage.share > 0 else None
        self.subjects = subjects(samples, self.collage) if self.collage else []

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
            view, seen = self._view(self.samples[index], rng)
            images.append(self.processor.image_tensor(view))
            prompts.append(
                build_prompts(
                    seen,
                    self.size,
                    self.processor.tokenizer,
                    self.packing,
                    rng,
                    self.samples[index].all_heads,
                )
            )
            heads.append(seen)
        return pack(images, prompts, heads, self.num_image_tokens, self.processor.tokenizer)

    def _view(self, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, list[Head]]:
        """The sample as it is, as a random camera sees it, or a collage in its place."""
        if self.augmentation is None:
            return render_view(sample, sample.load(), self.size)
        if self.collage is None or rng.random() >= self.collage.share:
            return render_view(sample, sample.load(), self.size, rng, self.augmentation)
        view, heads = make_collage(self.subjects, self.size, rng, self.collage)
        if self.augmentation.mirror and rng.random() < 0.5:
            view, heads = mirrored(view, heads)
        return (camera_faults(view, rng) if self.augmentation.colour else view), heads


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
