# SPDX-License-Identifier: Apache-2.0
"""Frozen vision tower and a regressor on the mean of its patches, shown crops of heads.

    python -m training.reproduction.baselines.vision_tower --model runs/base/model \\
        --data '[runs/scenes/task]' --validation runs/scenes/validation --out runs/tower
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli

from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

from ...data.sample import Sample
from ...labelling.networks.crops import cut
from ...model.init import trained_model
from .features import regress
from .loop import UsedBudget


@torch.no_grad()
def patch_means(
    model: CogVLMForCausalLM, processor: CogVLMProcessor, sample: Sample
) -> torch.Tensor:
    """Mean patch features (N, C) of a crop of each true head of a scene."""
    image, side = sample.load(), model.config.vision_config.image_size
    crops = [processor.image_tensor(cut(image, head.box, side)) for head in sample.heads]
    tower = model.model.vision
    features = tower.transformer(tower.patch_embedding(torch.stack(crops)))
    return features[:, 1:].mean(1)  # the class token is first


def train(model: Path, **options: Any) -> UsedBudget:
    """Train and score a regressor on a frozen vision tower.

    Args:
        model: folder of the grounding model (stage 0's).
        **options: see `features.regress`.
    """
    network, processor = trained_model(model)
    extract = partial(patch_means, network.eval(), processor)
    return regress("Vision tower + regressor", extract, **options)


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
