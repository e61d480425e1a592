# SPDX-License-Identifier: Apache-2.0
"""What closer looks cost, by how many heads a picture shows.

    python -m benchmarks.closer_looks PICTURES [--each 20]

PICTURES is a folder of photographs, at any depth. Every picture is processed by the language model
alone in one pass, by it with an adaptive tile (`tiles: 0` without the refiner), and by the default:
one pass and the refiner. The ways take turns on one thread, so that what else the machine does hits
all alike; times are those of the CPU. Prints a table and, as the last line, one JSON object: for
each group of pictures how many, the mean number of squares that the refiner sees, and the mean
ratios of time to that of one pass.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray
from tqdm import tqdm

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.pictures import pictures_below, read_picture
from hpe_vlm_ros.refinement import AGAIN

GROUPS = {
    "nobody": range(1),
    "1 to 2": range(1, 3),
    "3 to 5": range(3, 6),
    "6 and more": range(6, 999),
}
REPEATS = 3  # of each picture, of which the fastest of each counts


def cpu_seconds(perceiver: HeadPerceiver, image: NDArray[np.uint8], tiles: int) -> float:
    """CPU time of one picture."""
    start = time.process_time()
    perceiver(image, tiles=tiles)
    return time.process_time() - start


def squares(perceiver: HeadPerceiver, image: NDArray[np.uint8]) -> int:
    """How many squares the refiner sees of a picture, in its first and second look."""
    if perceiver.refiner is None:
        return 0
    boxes = [one.box for one in perceiver.proposals(image)]
    return len(boxes) + int((perceiver.refiner(image, boxes).presence > AGAIN).sum())


def main(pictures: Path, each: int = 20, model: Path | None = None) -> None:
    """Print the table.

    Args:
        pictures: folder of photographs.
        each: how many pictures of each group.
        model: model folder; the embedded default if left out.
    """
    alone = HeadPerceiver.load(model, max_heads=60, threads=1, refine=False)
    default = HeadPerceiver.load(model, max_heads=60, threads=1)
    ways = {"one": (alone, 1), "tile": (alone, 0), "default": (default, 0)}
    measured: dict[str, list[list[float]]] = defaultdict(list)
    paths = pictures_below(pictures)
    order = np.random.default_rng(0).permutation(len(paths))
    with tqdm(total=each * len(GROUPS), unit="picture", file=sys.stderr) as bar:
        for index in order:
            image = read_picture(pictures / paths[index])
            count = len(default(image))
            name = next(name for name, counts in GROUPS.items() if count in counts)
            if len(measured[name]) == each:
                continue
            turns = [[cpu_seconds(p, image, t) for p, t in ways.values()] for _ in range(REPEATS)]
            one, tile, ours = np.min(turns, axis=0).tolist()
            measured[name].append([squares(default, image), tile / one, ours / one])
            bar.update()
            if sum(map(len, measured.values())) == each * len(GROUPS):
                break
    numbers: dict[str, Any] = {"model": default.model_id}
    print(f"{'heads':<12}{'pictures':>9}{'squares':>9}{'one pass and a tile':>21}{'default':>9}")
    for name in GROUPS:
        if rows := measured[name]:
            seen, tile, ours = np.mean(rows, axis=0).tolist()
            print(f"{name:<12}{len(rows):>9}{seen:>9.1f}{tile:>21.2f}{ours:>9.2f}")
            numbers[name] = {
                "pictures": len(rows),
                "squares": round(seen, 2),
                "tile": round(tile, 3),
                "ratio": round(ours, 3),
            }
    print(json.dumps(numbers))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
