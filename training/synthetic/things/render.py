# SPDX-License-Identifier: Apache-2.0
"""Render pictures of things with named points, from several processes, resumably.

    python -m training.synthetic.things.render OUT --each 400 --seed 1 --split train \\
        --panoramas PANORAMAS --workers 2

OUT/images/mug_00012.jpg are the pictures; OUT/labels_mug_00000.jsonl are their label files
(`training.data.labels`), of all categories or of those named by --categories.
Which categories are learnt from and which are kept apart is not the renderer's matter:
`catalogue.split` parts them. --split says whose rooms, light and photographs are shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ...data.json_lines import write_lines
from ..drawing.compose import Canvas
from ..drawing.textures import TextureStore
from ..render import SHARD, image_size, surroundings
from ..scene.world import Surroundings
from ..shards import run_tasks, write_picture
from ..splits import SPLITS, number_of
from .catalogue import CATEGORIES
from .materials import add_textures
from .scene import render_thing

Task = tuple[Path, str, int, int]  # folder, category, first picture and the one after the last
_STATE: list[tuple[Surroundings, dict[str, list[int]], Canvas]] = []


def start(args: argparse.Namespace) -> None:
    """Make what pictures are drawn from."""
    cv2.setNumThreads(1)
    store = TextureStore()
    rng = np.random.default_rng([args.seed, number_of(args.split), 80])
    textures = add_textures(store, rng)
    world = surroundings(args, textures["cloth"] + textures["plain"], store)
    canvas = Canvas(args.size[0], args.size[1], args.supersample, *store.arrays())
    _STATE[:] = [(world, textures, canvas)]


def _render_shard(task: Task) -> int:
    out, name, first, last = task
    world, textures, canvas = _STATE[0]
    lines = []
    for index in range(first, last):
        picture, label = render_thing(world, textures, canvas, CATEGORIES[name], index)
        path = f"images/{_short(name)}_{index:05d}.jpg"
        write_picture(out / path, picture, SPLITS[world.split].quality + index % 5)
        lines.append({"image": path, **label})
    write_lines(_shard_path(out, name, first), lines)
    return last - first


def _short(name: str) -> str:
    return name.replace(" ", "_")


def _shard_path(out: Path, name: str, first: int) -> Path:
    return out / f"labels_{_short(name)}_{first // SHARD:05d}.jsonl"


def _tasks(args: argparse.Namespace) -> Iterator[Task]:
    for name in args.categories:
        for first in range(0, args.each, SHARD):
            if not _shard_path(args.out, name, first).exists():
                yield args.out, name, first, min(first + SHARD, args.each)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line to options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--each", type=int, required=True, help="pictures of each category")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--split", choices=tuple(SPLITS), required=True)
    parser.add_argument("--panoramas", type=Path, help="folder of HDR panoramas")
    parser.add_argument(
        "--categories", nargs="+", choices=tuple(CATEGORIES), default=tuple(CATEGORIES),
        metavar="NAME", help="all unless named",
    )  # fmt: skip
    parser.add_argument("--size", type=image_size, default=(320, 320), help="WIDTHxHEIGHT")
    parser.add_argument("--supersample", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Render what is missing of a set."""
    args = parse(arguments)
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    tasks = list(_tasks(args))
    total = sum(last - first for *_, first, last in tasks)
    run_tasks(tasks, _render_shard, start, args, args.workers, total)


if __name__ == "__main__":
    main()
