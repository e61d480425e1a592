# SPDX-License-Identifier: Apache-2.0
"""Ways to the same answers about one picture: ours, what of it is the grammar, and two that ask
prompt by prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.answers import DETECTION_PROMPT, Box, parse_boxes, pose_prompt
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.backend import Backend
from hpe_vlm_ros.vlm.decoding.constrained import Answer
from hpe_vlm_ros.vlm.decoding.grammar import Grammar
from hpe_vlm_ros.vlm.decoding.sequences import Sequences
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

Rgb = NDArray[np.uint8]
Way = Callable[[], object]
MOST = 20  # heads
TOKENS = 200  # an answer of plain generate() may take, about 20 boxes


def shared(perceiver: HeadPerceiver, image: Rgb) -> Way:
    """The perceiver as it is: one encoding, heads as one batch, fixed text in chunks."""
    return lambda: perceiver(image)


def apart(perceiver: HeadPerceiver, image: Rgb, boxes: Sequence[Box]) -> Way:
    """The same runtime and weights, but for each prompt a full generate of its own.

    The picture is prepared and encoded anew for each, and every token of the answer is one forward.
    """
    engine = perceiver._engine
    rules = engine.grammar

    def run() -> None:
        greedy(engine.backend, engine.processor, image, DETECTION_PROMPT, rules.boxes(MOST))
        for box in boxes:
            greedy(engine.backend, engine.processor, image, pose_prompt(box), rules.angles())

    return run


def greedy(
    backend: Backend, processor: CogVLMProcessor, image: Rgb, prompt: str, grammar: Grammar
) -> list[int]:
    """Tokens of the answer under its grammar, one forward each."""
    sequences = Sequences(backend.encode(processor.pixels(image)))
    (sequence,) = sequences.open(1)
    answer: list[int] = []
    chunk = processor.encode_prompt(prompt)
    try:
        choice = next(grammar)
        while True:
            ((row,),) = sequences.feed([sequence], [chunk], [1])
            token = int(choice.allowed[row[choice.allowed].argmax()])
            answer.append(token)
            chunk = [token]
            choice = grammar.send(token)
    except StopIteration:
        return answer


def grammar_alone(perceiver: HeadPerceiver, image: Rgb) -> Way:
    """What keeping the answers valid costs: the tokens of `shared`, taken without a model."""
    rules = perceiver._engine.grammar
    found, posed = answers(perceiver, image)

    def run() -> None:
        follow(rules.boxes(MOST), found.tokens)
        for answer in posed:
            follow(rules.angles(), answer.tokens)

    return run


def answers(perceiver: HeadPerceiver, image: Rgb) -> tuple[Answer, list[Answer]]:
    """The answer that names the boxes, and those about the poses of the heads in them."""
    engine, look = perceiver._engine, perceiver.look(image)
    rules = engine.grammar
    (found,) = look.ask([DETECTION_PROMPT], [rules.boxes(MOST)])
    boxes = parse_boxes(engine.processor.decode(found.tokens)).value or []
    posed = look.ask([pose_prompt(box) for box in boxes], [rules.angles() for _ in boxes])
    return found, posed


def follow(grammar: Grammar, tokens: Sequence[int]) -> int:
    """Take an answer's tokens, all that are allowed looked up; how many those were in all."""
    choice = next(grammar)
    allowed = len(choice.allowed)
    for token in tokens[:-1]:
        choice = grammar.send(token)
        allowed += len(choice.allowed)
    return allowed


def transformers(model: Path, image: Rgb, boxes: Sequence[Box]) -> Way:
    """transformers' `generate()` per prompt, eager, 32 bits, without any grammar."""
    import torch

    from hpe_vlm_ros.vlm.pytorch.checkpoint import load_config, load_model, load_processor

    config = load_config(model)
    loaded, processor = load_model(model, "cpu", torch.float32), load_processor(model, config)

    def run() -> None:
        for prompt in (DETECTION_PROMPT, *map(pose_prompt, boxes)):
            batch = processor(image, prompt)
            with torch.inference_mode():
                loaded.generate(**batch, do_sample=False, max_new_tokens=TOKENS)

    return run
