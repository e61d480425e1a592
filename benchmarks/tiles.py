# SPDX-License-Identifier: Apache-2.0
"""What tiles and test-time flip find, and what they cost: each scene in one pass, with test-time
flip, and with that and 2 x 2 and 3 x 3 tiles.

    python -m benchmarks.tiles --images 100

Rendered test scenes with exact truth; a head counts from 14 pixels at the model's input on, where
the whole scene is that input. Poses are those of the heads found. Times are medians of one run.
The last line is one JSON object: recall, precision, geodesic_median and ms of one pass
("plain") and by number of tiles.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from hpe_vlm_ros.evaluation.metrics import (
    Records,
    Rules,
    by_size,
    end_to_end,
    format_table,
    merge,
    score,
)
from hpe_vlm_ros.evaluation.metrics import heads as as_heads
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.data.labels import read_labels
from training.data.sample import Sample
from training.evaluation.scoring import input_scale, true_heads
from training.testsets import SCENES

WAYS = {  # tiles a side, and whether with test-time flip
    "plain": ("whole, one pass", 1, False),
    "adaptive": ("one tile where small heads are likely, one pass each", 0, False),
    "1": ("whole", 1, True),
    "2": ("2 x 2", 2, True),
    "3": ("3 x 3", 3, True),
}
EDGES = (20.0, 32.0, 64.0)  # pixels at the model's input
RULES = Rules(min_size=14.0)


def answered(
    perceiver: HeadPerceiver, samples: Sequence[Sample], title: str
) -> tuple[Records, float]:
    """The records of all scenes as the perceiver is set, and the median seconds of one."""
    records, seconds = [], []
    for sample in tqdm(samples, desc=title, file=sys.stderr):
        image = sample.load()
        started = time.perf_counter()
        found = perceiver(image)
        seconds.append(time.perf_counter() - started)
        answers = as_heads([h.box for h in found], [h.rotation for h in found])
        scale = input_scale(perceiver, sample)
        records.append(end_to_end(answers, true_heads(sample), scale, RULES))
    return merge(records), float(np.median(seconds))


def main(images: int = 100, model: Path | None = None, scenes: Path = SCENES) -> None:
    """Print a table for each way of looking.

    Args:
        images: how many scenes, drawn once.
        model: model folder; the embedded default if left out.
        scenes: folder of labelled scenes.
    """
    every = read_labels(scenes)
    chosen = np.random.default_rng(0).permutation(len(every))[:images]
    numbers: dict[str, Any] = {"images": len(chosen)}
    for name, (title, tiles, mirror) in WAYS.items():
        perceiver = HeadPerceiver.load(model, tiles=tiles, mirror=mirror)
        numbers["model"] = perceiver.model_id
        records, seconds = answered(perceiver, [every[i] for i in chosen], title)
        whole = score(records)
        print(format_table(title, [("all", whole), *by_size(records, EDGES)]))
        print(f"{1000 * seconds:.0f} ms\n")
        numbers[name] = {
            "recall": round(whole.recall, 4),
            "precision": round(whole.precision, 4),
            "geodesic_median": round(whole.geodesic_median, 2),
            "ms": round(1000 * seconds, 1),
        }
    print(json.dumps(numbers))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
