# SPDX-License-Identifier: Apache-2.0
"""What a picture is asked in training, and what every token of the answers says about whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from hpe_vlm_ros import answers
from hpe_vlm_ros.facing import facing_of
from hpe_vlm_ros.geometry import angles_from_rotation
from hpe_vlm_ros.tasks import facing

from .referring import SLOT, wordings
from .sample import Expression, Head, Instruction

NO_NUMBER, COORDINATE, ANGLE = 0, 1, 2
RARE = {"up": 3, "down": 2, "left": 1, "right": 1}  # the larger the rarer, of facing's words


@dataclass
class PackingOptions:
    """min_size: smallest head (sqrt of the box area, pixels at model input) that is taught.
    min_visible: least visible share. max_poses: pose prompts drawn per image and step.
    box_jitter: the pose prompt's box is moved by up to this share of its size. ask_every: only
    every so many steps anything is asked (0: never); the others teach the vision tower alone, or,
    where that stays as it is, the decoder's image tokens.
    max_referring: questions for somebody described in words drawn per image and step. detection:
    whether the detection prompt is asked. max_facing: questions for the way a head faces, in a
    word, drawn per image and step; rare ways come first. max_telling: questions with answers in
    sentences (`telling`) drawn per image and step. max_points: points asked for in a view, where
    the unit is "body" or "thing". described: whether points of things are described, not only
    named.
    """

    min_size: float = 13.0
    min_visible: float = 0.2
    max_poses: int = 3
    max_heads: int = 12
    box_jitter: float = 0.08
    ask_every: int = 1
    max_referring: int = 0
    detection: bool = True
    max_facing: int = 0
    max_telling: int = 0
    max_points: int = 6
    described: bool = True


@dataclass
class Prompt:
    """Token ids of question and answer, and for every answer token which kind of number it is
    (NO_NUMBER, COORDINATE, ANGLE), its real value (grid units or degrees), the index of the head
    it tells about (-1 = none) and the least width of its soft target (same units; none: 0)."""

    question: list[int]
    answer: list[int]
    kinds: list[int]
    values: list[float]
    about: list[int]
    widths: list[float] = field(default_factory=list)


def build_prompts(
    heads: list[Head],
    size: tuple[int, int],
    tokenizer: PreTrainedTokenizerBase,
    options: PackingOptions,
    rng: np.random.Generator,
    all_heads: bool = True,
    about: int | None = None,
) -> list[Prompt]:
    """The detection prompt and up to `max_poses` pose prompts of one picture of `size` = (h, w).

    Without `all_heads` there is no detection prompt: an unlabelled head must not be denied. With
    `about`, the index of a head, the only question is the one for its pose.
    """
    height, width = size
    if about is not None:
        asked = _pose_prompt(heads, about, width, height, tokenizer, options.box_jitter, rng)
        return [] if asked is None else [asked]
    taught = [i for i, head in enumerate(heads) if is_taught(head.box, head.visible, options)]
    taught.sort(key=lambda index: -_size(heads[index].box))
    taught = sorted(taught[: options.max_heads], key=lambda index: heads[index].box[0])
    prompts = []
    if all_heads and options.detection:
        prompts.append(_detection_prompt(heads, taught, width, height, tokenizer))
    for index in rng.permutation(taught)[: options.max_poses]:
        prompt = _pose_prompt(heads, index, width, height, tokenizer, options.box_jitter, rng)
        if prompt is not None:
            prompts.append(prompt)
    if options.max_facing:
        prompts += _facing_prompts(heads, taught, size, tokenizer, options, rng)
    return prompts


def _facing_prompts(
    heads: list[Head],
    taught: list[int],
    size: tuple[int, int],
    tokenizer: PreTrainedTokenizerBase,
    options: PackingOptions,
    rng: np.random.Generator,
) -> list[Prompt]:
    """Which way heads with a rotation face, up to `max_facing` of them, rare words first."""
    words = {
        index: facing.LABELS[int(facing_of([heads[index].rotation])[0])]
        for index in rng.permutation(taught)
        if heads[index].rotation is not None
    }
    chosen = sorted(words, key=lambda index: -RARE.get(words[index], 0))[: options.max_facing]
    prompts = []
    for index in chosen:
        asked = _jittered(heads[index], options.box_jitter, rng)
        question = facing.question(answers.grid_box(asked, size[1], size[0]))
        answer = facing.TASK.format(words[index])
        prompts.append(prompt_of(question, answer, NO_NUMBER, [], tokenizer))
    return prompts


def _jittered(head: Head, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Its box, moved by up to this share of its size."""
    extent = np.tile(head.box[2:] - head.box[:2], 2)
    return np.asarray(head.box + rng.uniform(-jitter, jitter, 4) * extent)


def instruction_prompts(
    instructions: Sequence[Instruction],
    tokenizer: PreTrainedTokenizerBase,
    count: int,
    rng: np.random.Generator,
) -> list[Prompt]:
    """Up to `count` questions with answers in sentences, drawn kind by kind."""
    drawn = [instructions[index] for index in rng.permutation(len(instructions))]
    by_kind = [
        [one for one in drawn if one.kind == kind] for kind in {one.kind: 0 for one in drawn}
    ]
    dealt = [kind[i] for i in range(count) for kind in by_kind if i < len(kind)]
    return [prompt_of(one.question, one.answer, NO_NUMBER, [], tokenizer) for one in dealt[:count]]


def referring_prompts(
    expressions: list[Expression],
    size: tuple[int, int],
    tokenizer: PreTrainedTokenizerBase,
    count: int,
    rng: np.random.Generator,
    wordings: Sequence[str] = wordings(open_vocabulary=False),
) -> list[Prompt]:
    """Up to `count` questions for the box of what is described, one sentence of each drawn, and of
    several `wordings` (`referring.wordings`) one.

    Boxes are in pixels of a picture of `size` = (height, width).
    """
    height, width = size
    prompts = []
    for index in rng.permutation(len(expressions))[:count]:
        expression = expressions[index]
        sentence = expression.sentences[rng.integers(len(expression.sentences))]
        answer = answers.format_referred(answers.grid_box(expression.box, width, height))
        values = [(value, -1) for value in exact_grid(expression.box, width, height)]
        wording = wordings[rng.integers(len(wordings)) if len(wordings) > 1 else 0]
        question = wording.replace(SLOT, sentence)
        prompts.append(prompt_of(question, answer, COORDINATE, values, tokenizer))
    return prompts


def _size(box: np.ndarray) -> float:
    x0, y0, x1, y1 = box
    return float(np.sqrt(max(x1 - x0, 0) * max(y1 - y0, 0)))


def is_taught(box: np.ndarray, visible: float, options: PackingOptions) -> bool:
    """Whether anything is asked about a head; its box in pixels of the model's input."""
    return visible >= options.min_visible and _size(box) >= options.min_size


def exact_grid(box: np.ndarray, width: int, height: int) -> list[float]:
    """Real-valued coordinates on the 0..999 grid, so that soft targets keep the sub-cell part."""
    grid = np.asarray(box, dtype=float) / (width, height, width, height) * 1000 - 0.5
    return [float(v) for v in np.clip(grid, 0, 999)]


def _detection_prompt(
    heads: list[Head],
    taught: list[int],
    width: int,
    height: int,
    tokenizer: PreTrainedTokenizerBase,
) -> Prompt:
    boxes = [answers.grid_box(heads[index].box, width, height) for index in taught]
    values = [
        (value, index) for index in taught for value in exact_grid(heads[index].box, width, height)
    ]
    text = answers.format_boxes(boxes)
    return prompt_of(answers.DETECTION_PROMPT, text, COORDINATE, values, tokenizer)


def _pose_prompt(
    heads: list[Head],
    index: int,
    width: int,
    height: int,
    tokenizer: PreTrainedTokenizerBase,
    jitter: float,
    rng: np.random.Generator,
) -> Prompt | None:
    head = heads[index]
    angles = None if head.rotation is None else angles_from_rotation(head.rotation)
    if angles is None:
        return None
    asked = _jittered(head, jitter, rng)
    question = answers.pose_prompt(answers.grid_box(asked, width, height))
    values = [(angle % 360, index) for angle in angles]
    widths = [0.0] * 3 if head.spread is None else head.spread.tolist()
    return prompt_of(question, answers.format_angles(*angles), ANGLE, values, tokenizer, widths)


def prompt_of(
    question: str,
    answer: str,
    kind: int,
    values: list[tuple[float, int]],
    tokenizer: PreTrainedTokenizerBase,
    widths: Sequence[float] | None = None,
) -> Prompt:
    """`values`: for each number of the answer its real value and whom it is about; `widths`: the
    least width of its target (0 where left out).

    Where the tokenizer spells numbers in digits, all tokens are learnt as text, as in the paper;
    so are those of answers whose `kind` is NO_NUMBER.
    """
    question_ids = tokenizer.encode(question, add_special_tokens=False)
    answer_ids = tokenizer.encode(answer, add_special_tokens=False) + [tokenizer.eos_token_id]
    first = first_number(tokenizer)
    as_text = first is None or kind == NO_NUMBER
    numbers = range(0) if as_text else range(first or 0, (first or 0) + 1000)
    each = zip(values, widths or [0.0] * len(values), strict=True)
    remaining = iter(list(each) if numbers else ())
    prompt = Prompt(question_ids, answer_ids, [], [], [], [])
    for token in answer_ids:
        (value, about), width = next(remaining) if token in numbers else ((0.0, -1), 0.0)
        prompt.widths.append(width)
        prompt.kinds.append(kind if token in numbers else NO_NUMBER)
        prompt.values.append(value)
        prompt.about.append(about)
    if next(remaining, None) is not None:
        raise ValueError(f"the tokenizer does not keep every number of {answer!r} as one token")
    return prompt


def first_number(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Id of the token 000, which 001..999 follow; None where numbers are spelt in digits."""
    ids = tokenizer.convert_tokens_to_ids(["000", "999"])
    return ids[0] if None not in ids and ids[1] - ids[0] == 999 else None
