# SPDX-License-Identifier: Apache-2.0
"""Frozen vision tower and a regressor on the mean of its patches, shown crops of heads.

    python -m training.baselines.vision_tower --model runs/base/model \\
        --data '[runs/scenes/task]' --validation runs/scenes/watched --out runs/tower
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli

from hpe_vlm_ros.vlm.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from ..data.sample import Sample
from ..data.synthetic import read_synthetic
from ..init import trained_model
from ..stage import read
from .crops import cut
from .features import regress
from .frozen_model import BUDGET, PACE
from .loop import Budget, Pace, Spent
from .sixdrepnet import PANOPTIC, WATCHED


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


def train(
    model: Path,
    data: list[Path],
    validation: Path,
    out: Path,
    heads: int = 20_000,
    test: Path = PANOPTIC,
    threads: int = 2,
    budget: Budget = BUDGET,
    pace: Pace = PACE,
    limit: int | None = None,
    keep: Path | None = None,
) -> Spent:
    """Train and score a regressor on a frozen vision tower.

    Args:
        model: folder of the grounding model (stage 0's).
        data: folders of labelled pictures to learn from.
        validation: folder of pictures to watch (never learnt).
        out: where features, checkpoint, log, curve and result go; a run there is continued.
        heads: so many heads are learnt from.
        test: labelled scenes to score on at the end.
        threads: threads of the arithmetic.
        budget: how long to learn.
        pace: rate, batch and checkpoints.
        limit: only the first so many scenes of `test`.
        keep: also write the result here, such as training/results/vision_tower.json for the report.
    """
    torch.set_num_threads(threads)
    network, processor = trained_model(model)
    extract = partial(patch_means, network.eval(), processor)
    watched = read_synthetic(validation, WATCHED // 4)
    name, tested = "Vision tower + regressor", (test.name, read_synthetic(test, limit))
    return regress(name, extract, read(data), watched, tested, out, heads, budget, pace, keep)


if __name__ == "__main__":
    auto_cli(train, as_positional=False)
