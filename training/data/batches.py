# SPDX-License-Identifier: Apache-2.0
"""Training batches that depend on (seed, step) alone, so that a resumed run sees what a whole run
saw."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from hpe_vlm_ros.perceiver import OPEN_VOCABULARY
from hpe_vlm_ros.pictures import ImageError
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from .augment import Augmentation, camera_faults, mirrored, render_view, resized_heads
from .bodies import body_view, point_prompts
from .collage import Collage, decoys_of, make_collage, subjects
from .describing import describe
from .packing import Batch, pack
from .prompts import PackingOptions, Prompt, build_prompts, instruction_prompts, referring_prompts
from .referring import wordings
from .sample import Expression, Head, Sample, Thing
from .things import groups, round_prompts, thing_of, thing_view
from .units import ALL, BOXES, draws

_log = logging.getLogger(__name__)
MOST_DAMAGED = 10  # pictures in a row: then something else is wrong, such as a disk that has gone
REHEARSED = PackingOptions(max_poses=0, max_referring=3)


class StepBatches:
    """The batch of every step; every epoch is its own permutation of the draws (`units.draws`).

    size = (height, width) of the pictures, num_image_tokens as in the model's config. Without
    `augmentation` pictures are only resized, as for the model that answers. Pictures of `rehearsal`
    are mixed in, each as often as any other draw, and asked about as REHEARSED says: so that what
    was learnt before is kept. ValueError for collages where `unit` is not "picture".
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
        rehearsal: Sequence[Sample] = (),
        unit: str = "picture",
    ) -> None:
        self.samples, self.processor = [*samples, *rehearsal], processor
        self.wordings = wordings(processor.facts.vocab_size >= OPEN_VOCABULARY)
        self.taught = len(samples)  # the first so many are new, the others rehearsed
        old = draws(rehearsal, "picture", packing, size[1]) + (self.taught, 0)
        self.draws = np.concatenate([draws(samples, unit, packing, size[1]), old])
        if len(self.draws) < batch_size:
            raise ValueError(f"{len(self.draws)} samples cannot fill a batch of {batch_size}")
        if unit != "picture" and collage and collage.share > 0:
            raise ValueError(
                f'collages show other heads: set data_options.collage.share 0 for unit "{unit}"'
            )
        self.bodies, self.things = unit == "body", unit == "thing"
        self.closer = self.bodies or self.things
        self.size, self.num_image_tokens = size, num_image_tokens
        self.batch_size, self.seed = batch_size, seed
        self.packing, self.augmentation = packing, augmentation
        self.collage = collage if collage and collage.share > 0 else None
        self.subjects = subjects(samples, self.collage) if self.collage else []
        self.decoys = decoys_of(samples, self.collage) if self.collage else []

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the draws."""
        return len(self.draws) // self.batch_size

    def indices(self, step: int) -> np.ndarray:
        """The draws of a step (batch_size,); the tail that does not fill a batch is left out."""
        epoch, offset = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.draws))
        return order[offset * self.batch_size : (offset + 1) * self.batch_size]

    def part(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """What process `rank` of `world` learns from at `step`. The pictures of a step are the same
        however many processes share them."""
        images, prompts, heads, complete = [], [], [], []
        every = self.packing.ask_every
        asked = every > 0 and step % every == 0
        chosen = list(enumerate(self.indices(step)))[rank::world]
        for place, index in chosen:
            rng = np.random.default_rng((self.seed, step, place))
            (sample, is_new, what), view, shown = self._readable(int(index), rng)
            images.append(self._image(view))
            heads.append([one for one in shown if isinstance(one, Head)])
            complete.append(sample.all_heads and not (self.things and what >= 0))
            packing = self.packing if is_new else REHEARSED
            if asked and self.things and what >= 0:
                prompts.append(self._rounds(shown[0], sample, what, step // self.steps_per_epoch))
            else:
                prompts.append(self._prompts(shown, sample, what, packing, rng) if asked else [])
        return self._packed(images, prompts, heads, complete)

    def _image(self, view: np.ndarray) -> Any:
        """A view (H, W, 3) uint8 as the model takes it."""
        return self.processor.image_tensor(view)

    def _packed(
        self,
        images: list[Any],
        prompts: list[list[Prompt]],
        heads: list[list[Head]],
        complete: list[bool],
    ) -> Any:
        tokenizer = self.processor.tokenizer
        return pack(images, prompts, heads, complete, self.num_image_tokens, tokenizer)

    def _readable(
        self, index: int, rng: np.random.Generator
    ) -> tuple[tuple[Sample, bool, int], np.ndarray, list[Any]]:
        """A draw (sample, whether it is new, what is asked about it) and how it is seen.

        In the place of a picture that cannot be read the next one is taken, so that one damaged
        file does not end a long run; after MOST_DAMAGED of them in a row it does (ImageError).
        """
        for _ in range(MOST_DAMAGED):
            number, what = map(int, self.draws[index])
            sample, is_new = self.samples[number], number < self.taught
            try:
                return (sample, is_new, what), *self._view(sample, is_new, what, rng)
            except ImageError as error:
                failure = error
                _log.warning("%s; the picture after it is taken", error)
            after = int(np.searchsorted(self.draws[:, 0], number, side="right"))
            index = after % len(self.draws)
        raise failure

    def _rounds(self, seen: Thing, sample: Sample, what: int, epoch: int) -> list[Prompt]:
        """A group of points of a thing; groups are anew in every epoch and hold each point."""
        rng = np.random.default_rng((self.seed, epoch, zlib.crc32(sample.image_path.name.encode())))
        _, group = thing_of(sample.things, what, self.packing.max_points)
        chosen = groups(len(seen.names), self.packing.max_points, rng)[group]
        tokenizer, described = self.processor.tokenizer, self.packing.described
        return round_prompts(seen, chosen, self.size, tokenizer, described)

    def _prompts(
        self,
        heads: list[Head],
        sample: Sample,
        what: int,
        packing: PackingOptions,
        rng: np.random.Generator,
    ) -> list[Prompt]:
        tokenizer, count = self.processor.tokenizer, packing.max_referring
        if self.bodies and what >= 0:
            points, whole = packing.max_points, sample.all_heads
            return point_prompts(heads[what], self.size, tokenizer, points, rng, whole)
        if what == BOXES:
            packing = replace(packing, max_poses=0)
        about = what if what >= 0 else None
        prompts = build_prompts(heads, self.size, tokenizer, packing, rng, sample.all_heads, about)
        if count and what == ALL:
            expressions = self._expressions(sample) or describe(heads, self.size[1])
            prompts += referring_prompts(
                expressions, self.size, tokenizer, count, rng, self.wordings
            )
        if packing.max_telling and what == ALL:
            prompts += instruction_prompts(sample.instructions, tokenizer, packing.max_telling, rng)
        return prompts

    def _expressions(self, sample: Sample) -> list[Expression]:
        """Expressions that came with a picture, in pixels of the model's input: such pictures are
        never turned or mirrored, since their words may say left and right."""
        height, width = self.size
        scale = np.array([width / sample.width, height / sample.height] * 2)
        return [
            replace(expression, box=expression.box * scale) for expression in sample.expressions
        ]

    def _view(
        self, sample: Sample, is_new: bool, what: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, list[Any]]:
        """The sample as it is, as a random camera sees it, or a collage in its place, and its
        heads; or a body; or a thing, which stands in the place of heads."""
        if self.things and what >= 0:
            thing, _ = thing_of(sample.things, what, self.packing.max_points)
            resize = self.processor.images.resize
            view, seen = thing_view(sample, thing, self.size, rng, self.augmentation, resize)
            return view, [seen]
        if self.bodies and what >= 0:
            resize = self.processor.images.resize
            return body_view(sample, what, self.size, rng, self.augmentation, resize)
        if self.augmentation is None or sample.expressions or sample.instructions:
            view = self.processor.images.resize(sample.load())
            return view, resized_heads(sample, self.size)
        if not is_new or self.collage is None or rng.random() >= self.collage.share:
            return render_view(sample, sample.load(), self.size, rng, self.augmentation)
        view, heads = make_collage(self.subjects, self.size, rng, self.collage, self.decoys)
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
