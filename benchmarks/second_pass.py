# SPDX-License-Identifier: Apache-2.0
"""What the second pass for small heads costs, by how many heads a picture shows.

    python -m benchmarks.second_pass PICTURES [--each 20]

PICTURES is a folder of photographs, at any depth. Every picture is processed in one pass and with
the default, `tiles: 0`, one after the other and on one thread, so that what else the machine does
hits both alike; times are those of the CPU. Prints a table and, as the last line, one JSON object:
for each group of pictures how many, the share of them with a second pass, and the mean ratio of the
default's time to that of one pass.
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
from hpe_vlm_ros.tiles import ADAPTIVE, adaptive_tile

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


def main(pictures: Path, each: int = 20, model: Path | None = None) -> None:
    """Print the table.

    Args:
        pictures: folder of photographs.
        each: how many pictures of each group.
        model: model folder; the embedded default if left out.
    """
    perceiver = HeadPerceiver.load(model, max_heads=60, threads=1)
    measured: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    paths = pictures_below(pictures)
    order = np.random.default_rng(0).permutation(len(paths))
    with tqdm(total=each * len(GROUPS), unit="picture", file=sys.stderr) as bar:
        for index in order:
            image = read_picture(pictures / paths[index])
            whole = perceiver(image, tiles=1)
            name = next(name for name, count in GROUPS.items() if len(whole) in count)
            if len(measured[name]) == each:
                continue
            turns = [(cpu_seconds(perceiver, image, 1), cpu_seconds(perceiver, image, ADAPTIVE))
                     for _ in range(REPEATS)]  # fmt: skip
            once, default = (min(seconds) for seconds in zip(*turns, strict=True))
            assert whole.presence is not None
            tile = adaptive_tile(whole, whole.presence, image.shape[:2], perceiver.input_size)
            measured[name].append((default / once, tile is not None))
            bar.update()
            if sum(map(len, measured.values())) == each * len(GROUPS):
                break
    numbers: dict[str, Any] = {"model": perceiver.model_id}
    print(f"{'heads':<12}{'pictures':>9}{'second pass':>13}{'time':>7}")
    for name in GROUPS:
        if rows := measured[name]:
            ratio, share = (float(np.mean(values)) for values in zip(*rows, strict=True))
            print(f"{name:<12}{len(rows):>9}{share:>12.0%} {ratio:>6.2f}")
            numbers[name] = {
                "pictures": len(rows),
                "share": round(share, 3),
                "ratio": round(ratio, 3),
            }
    print(json.dumps(numbers))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
