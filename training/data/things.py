# SPDX-License-Identifier: Apache-2.0
"""Named points of things as instruction data: views of one thing, and points in rounds.

As in CapeLLM (arXiv 2411.06869) the points of a thing are shuffled and cut into groups of k, and a
group is one conversation about one view: each round sees those before it. Groups are drawn anew in
every epoch. At test every point is asked for alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from hpe_vlm_ros.skeleton import ABSENT

from . import keypoints
from .augment import Augmentation, camera_faults, warp_box
from .bodies import cut_out, point_prompt
from .prompts import Prompt
from .sample import Sample, Thing


def groups(count: int, k: int, rng: np.random.Generator) -> list[list[int]]:
    """The numbers 0..count-1 shuffled and cut into groups of `k`, or of all if they are fewer; what
    the last group lacks are others, drawn at random. ValueError for a `k` below 1."""
    if k < 1:
        raise ValueError(f"a conversation has {k} rounds: set data_options.packing.max_points >= 1")
    order = rng.permutation(count).tolist()
    cut = [order[first : first + k] for first in range(0, count, k)]
    lacking = min(k, count) - len(cut[-1])
    cut[-1] += rng.permutation(order[: count - len(cut[-1])])[:lacking].tolist()
    return cut


def group_count(things: Sequence[Thing], k: int) -> int:
    """How many groups of `k` the points of all things make."""
    return sum(-(-len(thing.names) // k) for thing in things)


def thing_of(things: Sequence[Thing], number: int, k: int) -> tuple[Thing, int]:
    """Which thing the group `number` of all of a picture's is about, and which of its own it is."""
    for thing in things:
        if number < group_count([thing], k):
            return thing, number
        number -= group_count([thing], k)
    raise IndexError("a picture has fewer groups of points than that")


def thing_view(
    sample: Sample,
    thing: Thing,
    size: tuple[int, int],
    rng: np.random.Generator,
    options: Augmentation | None,
    resize: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, Thing]:
    """A view (H, W, 3) uint8 of `size` = (height, width) around a thing, and the thing in it; see
    `bodies.body_view`. It is never mirrored, since names may say left and right."""
    height, width = size
    view, homography = cut_out(sample, thing.box, size, rng, options, resize)
    box, _ = warp_box(thing.box, homography, width, height)
    points = keypoints.warped(thing.points, homography, width, height)
    if options is not None and options.colour:
        view = camera_faults(view, rng)
    return view, replace(thing, box=box, points=points)


def round_prompts(
    thing: Thing,
    chosen: Sequence[int],
    size: tuple[int, int],
    tokenizer: PreTrainedTokenizerBase,
    described: bool,
) -> list[Prompt]:
    """A conversation about these points of a thing, as a prompt for each round whose question holds
    the rounds before it. Points that are not in the view, or not marked, have no round.

    ValueError where the tokenizer lacks words of a question.
    """
    rounds: list[Prompt] = []
    for number in chosen:
        if thing.points[number, 2] == ABSENT:
            continue
        prompt = point_prompt(thing, number, size, tokenizer, described)
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in prompt.question:
            told = f", {thing.descriptions[number]}" if described else ""
            raise ValueError(
                f"the model's vocabulary lacks words of 'the {thing.names[number]}{told}' of the "
                f"{thing.category}: use a base model with an open vocabulary"
            )
        before = [*rounds[-1].question, *rounds[-1].answer] if rounds else []
        rounds.append(replace(prompt, question=[*before, *prompt.question]))
    return rounds


def shuffled_names(thing: Thing, rng: np.random.Generator) -> Thing:
    """The control: every point gets the name and the description of another one.

    A model that reads the question is wrong then; one that has learnt usual places is not.
    """
    order = rng.permutation(len(thing.names))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)  # one cycle, so that no point keeps its own
    names = tuple(thing.names[i] for i in other)
    return replace(thing, names=names, descriptions=tuple(thing.descriptions[i] for i in other))
