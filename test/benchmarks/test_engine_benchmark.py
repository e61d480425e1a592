# SPDX-License-Identifier: Apache-2.0
"""The engine's benchmark compares ways that answer alike, and computes its ratios rightly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.engine.__main__ import summary, table
from benchmarks.engine.ways import follow, greedy
from hpe_vlm_ros.answers import DETECTION_PROMPT, pose_prompt
from hpe_vlm_ros.vlm.decoding.constrained import ask
from hpe_vlm_ros.vlm.decoding.sequences import Sequences
from hpe_vlm_ros.vlm.loading import load_engine

BOXES = [(10, 20, 300, 400), (0, 0, 999, 999)]


def test_prompt_by_prompt_gives_the_engines_tokens(tiny_model: Path) -> None:
    engine = load_engine(tiny_model, "cpu", "torch")
    backend, processor, rules = engine.backend, engine.processor, engine.grammar
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    sequences = Sequences(backend.encode(processor.pixels(image)))
    prompts = [DETECTION_PROMPT, *map(pose_prompt, BOXES)]
    grammars = [rules.boxes(3), rules.angles(), rules.angles()]
    answers = ask(sequences, [processor.encode_prompt(prompt) for prompt in prompts], grammars)
    again = [rules.boxes(3), rules.angles(), rules.angles()]
    for prompt, grammar, answer in zip(prompts, again, answers, strict=True):
        assert greedy(backend, processor, image, prompt, grammar) == answer.tokens
    tokens = answers[0].tokens
    assert follow(rules.boxes(3), tokens) > len(tokens)
    assert follow(rules.angles(), answers[1].tokens) == 3 * 360 + len(answers[1].tokens) - 3


def test_ratios_are_of_the_same_row() -> None:
    rows = [
        {"heads": 1, "picture": "a", "shipped": 32.0, "ours": 20.0, "apart": 50.0, "grammar": 0.1},
        {
            "heads": 2,
            "picture": "b",
            "shipped": 40.0,
            "ours": 25.0,
            "apart": 100.0,
            "generate": 250.0,
            "grammar": 0.2,
        },
        {"heads": 4, "picture": None},
    ]
    numbers = summary(rows)
    assert (numbers["speedup_1"], numbers["speedup_2"], numbers["speedup_hf_2"]) == (2.5, 4.0, 10.0)
    assert numbers["fps_2_heads"] == 25.0 and numbers["ms_per_head"] == 8.0
    assert numbers["grammar_share"] == 0.008
    assert numbers["pictures"][4] is None and "speedup_4" not in numbers
    assert len(table(rows).splitlines()) == 4
