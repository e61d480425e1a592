# SPDX-License-Identifier: Apache-2.0
"""Training batches that depend on (seed, step) alone, so that a resumed run sees what a whole run
saw."""

from __future__ import annotations

import numpy as np
from torch.utils.data import Dataset

from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from .augment import Augmentation, camera_faults, mirrored, render_view
from .collage import Collage, make_collage, subjects
from .describing import describe
from .packing import Batch, PackingOptions, Prompt, build_prompts, pack, referring_prompts
from .sample import Head, Sample


class StepBatches:
    """The batch of every step; every epoch is its own permutation of the samples.

    size = (height, width) of the pictures, num_image_tokens as in the model's config. Without
    `augmentation` pictures are only resized.
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
        collage: Collage | None = None,
    ) -> None:
        if len(samples) < batch_size:
            raise ValueError(f"{len(samples)} samples cannot fill a batch of {batch_size}")
        self.samples, self.processor = samples, processor
        self.size, self.num_image_tokens = size, num_image_tokens
        self.batch_size, self.seed = batch_size, seed
        self.packing, self.augmentation = packing, augmentation
        self.collage = collage if collage and collage.share > 0 else None
        self.subjects = subjects(samples, self.collage) if self.collage else []

    def indices(self, step: int) -> np.ndarray:
        """The samples of a step (batch_size,); the tail that does not fill a batch is left out."""
        steps_per_epoch = len(self.samples) // self.batch_size
        epoch, offset = divmod(step, steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.samples))
        return order[offset * self.batch_size : (offset + 1) * self.batch_size]

    def part(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """What process `rank` of `world` learns from at `step`. The pictures of a step are the same
        however many processes share them."""
        images, prompts, heads = [], [], []
        every = self.packing.ask_every
        asked = every > 0 and step % every == 0
        chosen = list(enumerate(self.indices(step)))[rank::world]
        for place, index in chosen:
            rng = np.random.default_rng((self.seed, step, place))
            sample = self.samples[index]
            view, seen = self._view(sample, rng)
            images.append(self.processor.image_tensor(view))
            heads.append(seen)
            prompts.append(self._prompts(seen, sample.all_heads, rng) if asked else [])
        return pack(images, prompts, heads, self.num_image_tokens, self.processor.tokenizer)

    def _prompts(
        self, heads: list[Head], all_heads: bool, rng: np.random.Generator
    ) -> list[Prompt]:
        tokenizer, count = self.processor.tokenizer, self.packing.max_referring
        prompts = build_prompts(heads, self.size, tokenizer, self.packing, rng, all_heads)
        if count:
            told = describe(heads, self.size[1])
            prompts += referring_prompts(told, self.size, tokenizer, count, rng)
        return prompts

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


class Shares(Dataset[Batch]):
    """The batches of `steps` steps cut for `world` processes: item step * world + rank, since that
    is how a sequence is dealt out to processes."""

    def __init__(self, batches: StepBatches, steps: int, world: int) -> None:
        self.batches, self.steps, self.world = batches, steps, world

    def __len__(self) -> int:
        return self.steps * self.world

    def __getitem__(self, index: int) -> Batch:
        return self.batches.part(*divmod(index, self.world), self.world)
