# SPDX-License-Identifier: Apache-2.0
"""Batches for models of other families than CogVLM (`hpe_vlm_ros.vlm.families`).

Pictures keep the shape that the family gives them, so rows of one batch differ in length. As
elsewhere a row holds a picture once and all its questions; families with recurrent layers get a
row for each question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpe_vlm_ros.vlm.families.family import Picture
from hpe_vlm_ros.vlm.families.processing import ChatProcessor

from .augment import resized_heads
from .batches import StepBatches
from .packing import Part, attention_mask, laid_out
from .prompts import Prompt
from .sample import Head, Sample


@dataclass
class ChatBatch:
    """Rows of a batch, padded on the right.

    input_ids, segments, parents, targets (B, T) int64 as in `packing.Batch`; position_ids (B, T),
    or (3, B, T) where the family counts rows and columns; pictures: what the model takes beside
    them, by name. packed: whether a row may hold several questions.
    """

    input_ids: Tensor
    position_ids: Tensor
    segments: Tensor
    parents: Tensor
    targets: Tensor
    pictures: dict[str, Tensor]
    packed: bool

    def to(self, device: torch.device | str) -> ChatBatch:
        """The same with all tensors on `device`."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        pictures = {k: v.to(device) for k, v in self.pictures.items()}
        return replace(self, **moved, pictures=pictures)

    def attention_mask(self) -> Tensor | None:
        """What tokens may attend to; None where causal is all there is to say."""
        return attention_mask(self.segments, self.parents) if self.packed else None


class ChatBatches(StepBatches):
    """As `StepBatches`, for a ChatProcessor, which knows the sizes itself: arguments go on with
    `batch_size`."""

    def __init__(
        self, samples: list[Sample], processor: ChatProcessor, *more: Any, **named: Any
    ) -> None:
        known: Any = processor  # of the other kind, but offers what is asked of it here
        side = processor.facts.image_size  # about; each picture has its own size
        super().__init__(samples, known, (side, side), 0, *more, **named)
        if self.closer:
            raise ValueError(
                f"{processor.family.name} cannot be asked for points: set data_options.unit to "
                '"picture" or "head"'
            )
        self._chat = processor

    def _view(
        self, sample: Sample, is_new: bool, what: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, list[Head]]:
        self.size = self._chat.seen(sample.width, sample.height)  # of its questions as well
        if self.augmentation is None or sample.expressions or sample.instructions:
            return sample.load(), resized_heads(sample, self.size)
        return super()._view(sample, is_new, what, rng)

    def _image(self, view: np.ndarray) -> Picture:
        return self._chat.pixels(view)

    def _packed(
        self,
        images: list[Picture],
        prompts: list[list[Prompt]],
        heads: list[list[Head]],
        complete: list[bool],
    ) -> ChatBatch:
        asked = [(image, row) for image, row in zip(images, prompts, strict=True) if row]
        asked = asked or [(images[0], [])]  # nothing to learn, but a batch all the same
        if not self._chat.family.packs:
            asked = [(image, [prompt]) for image, row in asked for prompt in row] or asked
        return pack_chat(self._chat, asked)


def pack_chat(
    processor: ChatProcessor, asked: Sequence[tuple[Picture, Sequence[Prompt]]]
) -> ChatBatch:
    """A row for each picture with its questions, which are as `prompts` builds them."""
    rows = [_row(processor, picture, prompts) for picture, prompts in asked]
    shape = (len(rows), max(row.ids.shape[-1] for row in rows))
    ids, targets = np.zeros(shape, np.int64), np.full(shape, -100, np.int64)
    segments, parents = np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
    positions = np.zeros((len(rows[0].positions), *shape), np.int64)
    for number, row in enumerate(rows):
        here = slice(row.ids.shape[-1])
        ids[number, here], targets[number, here] = row.ids, row.targets
        segments[number, here], parents[number, here] = row.segments, row.parents
        positions[:, number, here] = row.positions
    shown = processor.family.stacked([picture for picture, _ in asked])
    pictures = {
        name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in shown.items()
    }
    places = torch.from_numpy(positions if len(positions) > 1 else positions[0])
    as_tensor = torch.from_numpy
    return ChatBatch(
        as_tensor(ids), places, as_tensor(segments), as_tensor(parents), as_tensor(targets),
        pictures, processor.family.packs,
    )  # fmt: skip


@dataclass
class _Row:
    ids: np.ndarray
    positions: np.ndarray
    segments: np.ndarray
    parents: np.ndarray
    targets: np.ndarray


def _row(processor: ChatProcessor, picture: Picture, prompts: Sequence[Prompt]) -> _Row:
    """One picture and its questions, one behind the other."""
    before, places = processor.prefix(picture)
    start = int(places.max()) + 1
    ids, positions = [before], [places]
    segments, parents = [np.zeros_like(before)], [np.zeros_like(before)]
    targets = [np.full(len(before), -100)]
    for number, part in enumerate(laid_out([_turns(processor, p) for p in prompts]), start=1):
        count = len(part.ids)
        ids.append(np.array(part.ids))
        first = start + part.behind
        positions.append(np.tile(np.arange(first, first + count), (len(places), 1)))
        segments.append(np.full(count, number))
        parents.append(np.full(count, part.parent))
        targets.append(_learnt(part))
    return _Row(
        np.concatenate(ids),
        np.concatenate(positions, axis=1),
        *map(np.concatenate, (segments, parents, targets)),
    )


def _learnt(part: Part) -> np.ndarray:
    """(T,): the token before each token of an answer predicts it; -100 elsewhere."""
    targets = np.full(len(part.ids), -100)
    if part.prompt is not None:
        answer = part.prompt.answer
        targets[len(part.ids) - len(answer) - 1 : -1] = answer
    return targets


def _turns(processor: ChatProcessor, prompt: Prompt) -> Prompt:
    """The prompt with the text that the family's chat has around question and answer."""
    family = processor.family
    question = [*prompt.question, *processor.encode(family.after)]
    if not family.lead:
        return replace(prompt, question=question)
    *words, end = prompt.answer
    answer = [*processor.encode(family.lead + processor.decode(words)), end]
    return replace(prompt, question=question, answer=answer)
