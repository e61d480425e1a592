# SPDX-License-Identifier: Apache-2.0
"""Frozen model and a regressor on its last hidden states, asked as HPE-CogVLM is.

    python -m training.reproduction.baselines.frozen_model --model runs/base/model \\
        --tokens visual --data '[runs/scenes/task]' \\
        --validation runs/scenes/validation --out runs/frozen_visual

--tokens visual pools the image's tokens, --tokens all those of the question, too (the paper's
variants A and B). In a causal decoder the image comes before the question, so the visual tokens
cannot know which head is asked about: variant A can only guess a scene's average head.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse import auto_cli

from hpe_vlm_ros.answers import grid_box, pose_prompt
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

from ...data.packing import pack
from ...data.prompts import Prompt
from ...data.sample import Sample
from ...model.init import trained_model
from .features import regress
from .loop import UsedBudget

ROW = 6  # questions a pass: longer rows cost more than they save


@torch.no_grad()
def hidden_states(
    model: CogVLMForCausalLM, processor: CogVLMProcessor, every: bool, sample: Sample
) -> torch.Tensor:
    """Pooled last hidden states (N, C) for the question about each true head of a scene.

    Mean over the image's tokens, or with `every` over those and the question's.
    """
    pixels = processor.image_tensor(sample.load())
    tokenizer, count = processor.tokenizer, model.config.num_image_tokens
    questions = []
    for head in sample.heads:
        text = pose_prompt(grid_box(head.box, sample.width, sample.height))
        questions.append(Prompt(tokenizer.encode(text, add_special_tokens=False), [], [], [], []))
    pooled = []
    for start in range(0, len(questions), ROW):
        asked = questions[start : start + ROW]
        batch = pack([pixels], [asked], [[]], [True], count, tokenizer)
        hidden = model.model(**batch.inputs(), use_cache=False).last_hidden_state[0]
        visual = hidden[1 : 1 + count]
        for place in batch.prompt_places(0):
            own = hidden[place]
            pooled.append(torch.cat([visual, own]).mean(0) if every else visual.mean(0))
    return torch.stack(pooled)


def train(model: Path, tokens: Literal["visual", "all"] = "visual", **options: Any) -> UsedBudget:
    """Train and score a regressor on a frozen model.

    Args:
        model: folder of the grounding model (stage 0's).
        tokens: which hidden states are pooled.
        **options: see `features.regress`.
    """
    network, processor = trained_model(model)
    extract = partial(hidden_states, network.eval(), processor, tokens == "all")
    return regress(f"Frozen model + regressor ({tokens})", extract, **options)


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
