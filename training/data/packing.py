# SPDX-License-Identifier: Apache-2.0
"""One image and all its prompts in one row: the image prefix is computed once, as on the robot.

Row: [BOS BOI patches EOI] [question 1, answer 1, EOS] [question 2, answer 2, EOS] ...
Each prompt sees the prefix and itself, never another prompt, and its positions start after the
image's. The words with which neighbours begin alike stand there once, and each of them sees those.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hpe_vlm_ros.vlm.decoding.constrained import shared_beginning
from hpe_vlm_ros.vlm.pytorch.language import PADDING_TYPE

from .prompts import Prompt
from .sample import Head

LEAST_SHARED = 4  # tokens that neighbours must begin with alike to be of one kind
FIRST_TEXT_POSITION = 4  # BOS 0, BOI 1, all patches 2, EOI 3: the public model's numbering


@dataclass
class Batch:
    """Packed rows. T is the longest row; rows are padded on the right with segment -1 and token
    type -1.

    pixel_values (B, 3, H, W); input_ids, token_type_ids, position_ids, segments (B, T) int64;
    parents (B, T) int64: the segment that a token sees beside the image's (0) and its own;
    targets, kinds, about (B, T) int64 and values, widths (B, T) float: the token that position t
    must predict, -100 where nothing is learnt, the least width of its soft target, and the index in
    `heads` of whom it is about (-1: none);
    complete (B,) bool: whether `heads` are all heads of the picture.
    """

    pixel_values: torch.Tensor
    input_ids: torch.Tensor
    token_type_ids: torch.Tensor
    position_ids: torch.Tensor
    segments: torch.Tensor
    parents: torch.Tensor
    targets: torch.Tensor
    kinds: torch.Tensor
    values: torch.Tensor
    widths: torch.Tensor
    about: torch.Tensor
    complete: torch.Tensor
    heads: list[list[Head]]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self.pixel_values.shape[-2], self.pixel_values.shape[-1]

    def inputs(self) -> dict[str, torch.Tensor]:
        """What the model's forward takes, with the attention mask of the segments."""
        names = ("input_ids", "pixel_values", "token_type_ids", "position_ids")
        return {n: getattr(self, n) for n in names} | {"attention_mask": self.attention_mask()}

    def prompt_places(self, row: int) -> list[torch.Tensor]:
        """(T,) bool for each prompt of a row: its tokens, those that it shares included."""
        segments, parents = self.segments[row], self.parents[row]
        own = set(segments[segments > 0].tolist()) - set(parents.tolist())
        places = [segments == number for number in sorted(own)]
        shared = [int(parents[place][0]) for place in places]
        return [p | (segments == n) if n else p for p, n in zip(places, shared, strict=True)]

    def to(self, device: torch.device | str) -> Batch:
        """The same with all tensors on `device`."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **moved)

    def attention_mask(self) -> torch.Tensor:
        """(B, 1, T, T) bool, True = may attend: causal, in the prefix, the own prompt and its
        beginning."""
        return attention_mask(self.segments, self.parents)


def attention_mask(segments: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
    """(B, 1, T, T) bool of rows with segments and parents (B, T), see `Batch`."""
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    query, key = segments[:, :, None], segments[:, None, :]
    allowed = causal & ((key == 0) | (key == query) | (key == parents[:, :, None]))
    # padding sees itself: a row of the mask with nothing in it would make NaN
    return (allowed | torch.eye(length, dtype=torch.bool, device=segments.device))[:, None]


def pack(
    images: list[torch.Tensor],
    prompts: list[list[Prompt]],
    heads: list[list[Head]],
    complete: list[bool],
    num_image_tokens: int,
    tokenizer: PreTrainedTokenizerBase,
) -> Batch:
    """Rows of a batch. images: (3, H, W) float each; complete: whether all their heads are given;
    num_image_tokens counts BOI, patches and EOI."""
    prefix = 1 + num_image_tokens
    rows = [laid_out(row) for row in prompts]
    shape = (len(prompts), prefix + max(sum(len(p.ids) for p in row) for row in rows))
    ids = np.full(shape, tokenizer.pad_token_id, np.int64)
    types, positions = np.full(shape, PADDING_TYPE, np.int64), np.zeros(shape, np.int64)
    segments, targets = np.full(shape, -1, np.int64), np.full(shape, -100, np.int64)
    parents, kinds = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    values, widths = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    about = np.full(shape, -1, np.int64)
    ids[:, 0] = tokenizer.bos_token_id
    types[:, 0], types[:, 1:prefix] = 0, 1
    positions[:, 1], positions[:, 2 : prefix - 1], positions[:, prefix - 1] = 1, 2, 3
    segments[:, :prefix] = 0
    for row, parts in enumerate(rows):
        end = prefix
        for number, part in enumerate(parts, start=1):
            start, end = end, end + len(part.ids)
            ids[row, start:end] = part.ids
            types[row, start:end] = 0
            first = FIRST_TEXT_POSITION + part.behind
            positions[row, start:end] = np.arange(first, first + len(part.ids))
            segments[row, start:end], parents[row, start:end] = number, part.parent
            if part.prompt is not None:
                # the token before each answer token predicts it
                learnt = slice(end - len(part.prompt.answer) - 1, end - 1)
                targets[row, learnt], kinds[row, learnt] = part.prompt.answer, part.prompt.kinds
                values[row, learnt], about[row, learnt] = part.prompt.values, part.prompt.about
                widths[row, learnt] = part.prompt.widths or 0
    as_tensor = torch.from_numpy
    return Batch(
        torch.stack(images), as_tensor(ids), as_tensor(types), as_tensor(positions),
        as_tensor(segments), as_tensor(parents), as_tensor(targets), as_tensor(kinds),
        as_tensor(values), as_tensor(widths), as_tensor(about), torch.tensor(complete), heads,
    )  # fmt: skip


@dataclass
class Part:
    """A segment of a row: a prompt, or what is left of one behind the `behind` tokens of the
    segment `parent`; without `prompt`, such a beginning."""

    ids: list[int]
    prompt: Prompt | None
    parent: int = 0
    behind: int = 0


def laid_out(prompts: list[Prompt]) -> list[Part]:
    """The segments 1, 2, ... of a row."""
    parts: list[Part] = []
    for _, group in itertools.groupby(prompts, lambda p: p.question[:LEAST_SHARED]):
        alike = list(group)
        shared, parent = shared_beginning([p.question for p in alike]), 0
        if shared:
            parts.append(Part(alike[0].question[:shared], None))
            parent = len(parts)
        parts += [Part(p.question[shared:] + p.answer, p, parent, shared) for p in alike]
    return parts
