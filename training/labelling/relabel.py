# SPDX-License-Identifier: Apache-2.0
"""A folder of labels made from other labels, picture by picture; a killed run goes on."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..data.json_lines import whole_lines
from ..data.labels import sample_record
from ..data.sample import Sample

LABELS, SETTINGS = "labels.jsonl", "settings.json"
Change = Callable[[Sample, np.ndarray], Sample]


def relabel(
    samples: Sequence[Sample], output: Path, change: Change, counts: Counter[str], unit: str
) -> None:
    """Write what `change` makes of each sample and its image (H, W, 3) RGB to OUTPUT/labels.jsonl.

    Pictures done before are passed over, those that cannot be read are left out; `counts` gets how
    many, `unit` being what they are called there.
    """
    file = output / LABELS
    output.mkdir(parents=True, exist_ok=True)
    done = {line["image"] for line in whole_lines(file)}
    with file.open("a") as out:
        for sample in tqdm(samples, unit=unit.removesuffix("s")):
            if os.path.relpath(sample.image_path, output) in done:
                counts[f"{unit} done before"] += 1
                continue
            try:
                image = sample.load()
            except (OSError, ValueError):
                counts[f"{unit} that cannot be read"] += 1
                continue
            out.write(json.dumps(sample_record(change(sample, image), output)) + "\n")
            counts[f"{unit} labelled"] += 1
