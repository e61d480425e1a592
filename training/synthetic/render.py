# SPDX-License-Identifier: Apache-2.0
"""Render scenes of people with exact head-pose labels, from several processes, resumably.

    python -m training.synthetic.render OUT --scenes 20000 --seed 1 --split train \\
        --assets ASSETS --panoramas PANORAMAS --workers 2

The committed test sets are made by

    python -m training.synthetic.render OUT --scenes 1000 --seed 2026 --split test \\
        --assets ASSETS --panoramas PANORAMAS
    python -m training.synthetic.render OUT --scenes 2400 --seed 2027 --split panoptic \\
        --assets ASSETS

ASSETS is a folder of MakeHuman's CC0 system assets (see `wardrobe`), PANORAMAS one of HDR panoramas
(see `lights`: unpack npm's @pmndrs/assets and Debian's blender-data into it); both are optional.
Sets to learn from (train, task) also take `--avatars AVATARS`, a folder of rigged people as glTF
(see `avatars`), who then stand in for three in ten.
Everything depends on seed, split and scene index alone, never on the number of workers.

OUT/images/000123.jpg are the pictures; OUT/labels_00001.jsonl hold one JSON object a line:
image (relative path), width, height, focal (pixels, square, principal point in the middle), seed,
scene, and heads with
  box        [x0, y0, x1, y1] pixels of head, hair above the chin and hat, clipped to the image
  full_box   the same before clipping
  rotation   3x3, head axes (subject's left, down, back) to optical axes (right, down, forward)
  angles     [yaw, pitch, roll] degrees (DirectMHP / 300W-LP) or null where no triple is valid
  visible    share of the head's silhouette neither occluded nor outside, 0..1
  position   of the nose bridge between the eyes, metres, optical frame
  skin       light, medium or dark
  keypoints  17 times [x, y, v] in COCO's order (`hpe_vlm_ros.skeleton`): pixels, and 0 outside the
             image, 1 covered, 2 seen
  looks      what words can say: body (box of all that shows, or null), area (its pixels), top (a
             colour or null), wears (glasses, mask, beard, hat, cap, helmet, hood)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np

from ..data.json_lines import write_lines
from . import Array, Integers
from .clothes.wardrobe import base_mesh_path, build_wardrobe
from .drawing.compose import Canvas
from .drawing.textures import TextureStore
from .people.avatars import SHARE, dress_avatar, read_avatars
from .people.bodies import load_bank
from .people.dressing import dress
from .people.person import Person
from .scene.backgrounds import room_textures
from .scene.lights import load_panoramas
from .scene.sampling import render_scene
from .scene.world import Surroundings, World
from .shards import run_tasks, write_picture
from .splits import SPLITS, number_of

SHARD = 100  # scenes whose labels are written together


def make_world(args: argparse.Namespace) -> tuple[World, Canvas]:
    """Load everything that scenes draw from."""
    count = _identities(args)
    bank = load_bank(args.cache, args.split, args.seed, count)
    wardrobe = build_wardrobe(bank.rig, base_mesh_path(), args.assets)

    avatars = []
    if args.avatars is not None:
        avatars = read_avatars(args.avatars, args.split, bank.rig, wardrobe.store)

    @lru_cache(maxsize=1500)
    def person(index: int) -> Person:
        chance = np.random.default_rng([args.seed, number_of(args.split), 78, index]).random()
        if avatars and chance < SHARE:
            return dress_avatar(avatars, wardrobe, args.split, args.seed, index)
        return dress(bank, wardrobe, args.split, args.seed, index)

    cloth = [g.texture for g in wardrobe.choices("cover", args.split)]
    cloth += [g.texture for g in wardrobe.choices("clothes", args.split)]
    texels, tables = wardrobe.store.arrays()
    around = vars(surroundings(args, cloth, wardrobe.store))
    world = World(**around, rig=bank.rig, person=person, identities=count)
    return world, Canvas(args.size[0], args.size[1], args.supersample, texels, tables)


def surroundings(args: argparse.Namespace, cloth: list[int], store: TextureStore) -> Surroundings:
    """Rooms, light and photographs of args.split; `cloth` are the textures of what lies about."""
    panoramas = load_panoramas(args.panoramas, args.split)

    @cache
    def room(index: int) -> Array:
        rng = np.random.default_rng([args.seed, number_of(args.split), 74, index])
        scenery = panoramas[rng.integers(len(panoramas))].image if panoramas else None
        return room_textures(rng, scenery)

    photos = _photos(args.split)
    return Surroundings(room, panoramas, photos, cloth, store.means, args.split, args.seed)


def _photos(split: str) -> list[Integers]:
    import importlib.util

    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "data"
    images = [cv2.imread(str(folder / name)) for name in SPLITS[split].photos]
    return [np.ascontiguousarray(image[..., ::-1]) for image in images if image is not None]


_STATE: list[tuple[World, Canvas]] = []


def _start(args: argparse.Namespace) -> None:
    cv2.setNumThreads(1)
    _STATE[:] = [make_world(args)]


def _identities(args: argparse.Namespace) -> int:
    return args.identities or SPLITS[args.split].identities


def _render_shard(task: tuple[Path, int, int]) -> int:
    """Render scenes first..last-1 and then write their labels; returns how many."""
    out, first, last = task
    world, canvas = _STATE[0]
    lines = []
    for index in range(first, last):
        image, label = render_scene(world, canvas, index)
        name = f"images/{index:06d}.jpg"
        write_picture(out / name, image, SPLITS[world.split].quality + index % 5)
        lines.append({"image": name, **label})
    write_lines(_shard_path(out, first), lines)
    return last - first


def _shard_path(out: Path, first: int) -> Path:
    return out / f"labels_{first // SHARD:05d}.jsonl"


def _tasks(out: Path, scenes: int) -> Iterator[tuple[Path, int, int]]:
    for first in range(0, scenes, SHARD):
        if not _shard_path(out, first).exists():
            yield out, first, min(first + SHARD, scenes)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line to options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_world_options(parser)
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args(arguments)


def add_world_options(parser: argparse.ArgumentParser) -> None:
    """What `make_world` reads, and where to write."""
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--split", choices=tuple(SPLITS), required=True)
    parser.add_argument("--assets", type=Path, help="folder of MakeHuman CC0 assets")
    parser.add_argument("--panoramas", type=Path, help="folder of HDR panoramas")
    parser.add_argument(
        "--avatars", type=Path, help="folder of rigged people (.glb), for splits to learn from"
    )
    parser.add_argument("--size", type=image_size, default=(320, 240), help="WIDTHxHEIGHT")
    parser.add_argument("--supersample", type=int, default=2)
    parser.add_argument("--identities", type=int, help="people to draw from")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache/hpe_vlm_ros/synthetic",
        help="folder for the bank of bodies",
    )


def image_size(text: str) -> tuple[int, int]:
    """Width and height from "320x240"."""
    width, height = text.lower().split("x")
    return int(width), int(height)


def main(arguments: list[str] | None = None) -> None:
    """Render what is missing of a set."""
    args = parse(arguments)
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    tasks = list(_tasks(args.out, args.scenes))
    if not tasks:
        print(f"{args.out}: all {args.scenes} scenes are there")
        return
    # made once, not by each worker
    bank = load_bank(args.cache, args.split, args.seed, _identities(args))
    if args.avatars is not None:
        # what is amiss with them ends the run here; in a worker, another would be started for ever
        read_avatars(args.avatars, args.split, bank.rig, TextureStore())
    total = sum(last - first for _, first, last in tasks)
    run_tasks(tasks, _render_shard, _start, args, args.workers, total)


if __name__ == "__main__":
    main()
