# SPDX-License-Identifier: Apache-2.0
"""What the refiner learns from: squares of pictures around heads, and around what is none.

    python -m training.refiner.crops '[runs/photos,runs/scenes]' CROPS --candidates '[C.jsonl]'

Heads are those of the label files. What is none comes from pictures of which every head is known:
boxes that a model named (`candidates`), decoys of the labels, places beside heads and anywhere. The
squares are kept larger than the network sees them, so that learning can move, turn and scale them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli
from numpy.lib.format import open_memmap
from tqdm import tqdm

from hpe_vlm_ros.geometry import box_iou
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera
from hpe_vlm_ros.refinement import cut_out
from hpe_vlm_ros.tiles import square_around

from ..data.json_lines import whole_lines
from ..data.labels import read_labels
from ..data.sample import Head, Sample

STORED = 3.0  # side of a kept square, in longer sides of the box
STORED_SIDE = 208  # pixels
LEAST = 10.0  # pixels: shorter side of a box, below which nothing can be told
LEAST_VISIBLE = 0.35  # share of a head
APART = 0.2  # overlap (IoU) with any head below which a box is none of a head
BESIDE = 2  # places beside each head
ANYWHERE = 2  # places in each picture
PIXELS, FACTS = "pixels.npy", "facts.npz"


@dataclass(frozen=True, eq=False)
class Crops:
    """Squares (N, STORED_SIDE, STORED_SIDE, 3) uint8 RGB, and what each shows.

    boxes: (N, 4) in pixels of the square. heads: (N,) whether it is one of a head. rotations:
    (N, 3, 3) relative to the ray the head is seen along, NaN where unknown. spreads: (N, 3)
    standard deviations in degrees of yaw, pitch and roll, 0 where exact. photos: (N,) whether it
    comes from a photograph.
    """

    pixels: np.ndarray
    boxes: np.ndarray
    heads: np.ndarray
    rotations: np.ndarray
    spreads: np.ndarray
    photos: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> Crops:
        """Of a folder that `main` wrote; squares stay on the disk until they are asked for."""
        with np.load(folder / FACTS) as facts:
            return cls(np.load(folder / PIXELS, mmap_mode="r"), **facts)


@dataclass(frozen=True, eq=False)
class _Place:
    """A box of a picture, and the head in it, None where there is none."""

    box: np.ndarray
    head: Head | None


def places(
    sample: Sample, candidates: Sequence[Sequence[float]], rng: np.random.Generator
) -> Iterator[_Place]:
    """Boxes of a picture worth learning from."""
    known = [head.box for head in sample.heads]
    for head in sample.heads:
        if min(_sides(head.box)) >= LEAST and head.visible >= LEAST_VISIBLE:
            yield _Place(head.box, head)
    if not sample.all_heads:
        return
    wrong = [*candidates, *sample.decoys]
    wrong += [_beside(box, rng) for box in known for _ in range(BESIDE)]
    wrong += [_anywhere(sample, rng) for _ in range(ANYWHERE)]
    for box in wrong:
        if _is_none(box, known, sample):
            yield _Place(np.asarray(box, dtype=float), None)


def _sides(box: Sequence[float] | np.ndarray) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _is_none(box: Sequence[float] | np.ndarray, known: list[np.ndarray], sample: Sample) -> bool:
    if min(_sides(box)) < LEAST:
        return False
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    if not (0 < middle[0] < sample.width and 0 < middle[1] < sample.height):
        return False
    return not known or float(box_iou([box], known).max()) < APART


def _beside(box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of a head's shape a step away from it, such as a shoulder or half of the head."""
    size = np.array(_sides(box))
    way = rng.uniform(0, 2 * np.pi)
    step = rng.uniform(0.6, 1.6) * np.array([np.cos(way), np.sin(way)]) * size
    middle = box.reshape(2, 2).mean(0) + step
    half = size / 2 * np.exp(rng.uniform(-0.5, 0.5))
    return np.hstack([middle - half, middle + half])


def _anywhere(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    side = min(sample.width, sample.height) * np.exp(rng.uniform(np.log(0.05), np.log(0.5)))
    half = side / 2 * np.array([1.0, np.exp(rng.uniform(0.0, 0.5))])
    middle = rng.uniform((0, 0), (sample.width, sample.height))
    return np.hstack([middle - half, middle + half])


def crop(image: np.ndarray, sample: Sample, place: _Place) -> tuple[np.ndarray, dict]:
    """The square around a place, and its facts as in `Crops`."""
    tile = square_around(tuple(place.box), STORED)
    scale = STORED_SIDE / tile.width
    corner = np.array([tile.x, tile.y, tile.x, tile.y])
    facts = {
        "boxes": (place.box - corner) * scale,
        "heads": place.head is not None,
        "rotations": np.full((3, 3), np.nan),
        "spreads": np.zeros(3),
        "photos": sample.focal is None,
    }
    head = place.head
    if head is not None and head.rotation is not None:
        camera = sample.camera
        size = sample.height, sample.width
        matrix = usual_camera(size) if camera is None else camera.matrix
        facts["rotations"] = rotation_to_ray(matrix, head.box).T @ head.rotation
        if head.spread is not None:
            facts["spreads"] = head.spread
    return cut_out(image, tile, STORED_SIDE), facts


def main(
    labels: list[Path],
    out: Path,
    candidates: list[Path] | None = None,
    seed: int = 0,
) -> None:
    """Cut squares out of labelled pictures.

    Args:
        labels: folders of labelled pictures.
        out: folder to write.
        candidates: files of boxes that a model named on them (`training.refiner.candidates`).
        seed: of the places beside heads and anywhere.
    """
    named = {row["image"]: row["boxes"] for file in candidates or [] for row in whole_lines(file)}
    rng = np.random.default_rng(seed)
    unique = {s.image_path: s for folder in labels for s in read_labels(folder)}
    chosen = [
        (sample, list(places(sample, named.get(str(path), []), rng)))
        for path, sample in unique.items()
    ]
    count = sum(len(found) for _, found in chosen)
    if not count:
        raise ValueError(f"{', '.join(map(str, labels))}: no heads and no pictures without any")
    out.mkdir(parents=True, exist_ok=True)
    pixels = open_memmap(out / PIXELS, "w+", np.uint8, (count, STORED_SIDE, STORED_SIDE, 3))
    facts: list[dict] = []
    for sample, found in tqdm(chosen, unit="picture"):
        image = sample.load() if found else None
        for place in found:
            assert image is not None
            pixels[len(facts)], fact = crop(image, sample, place)
            facts.append(fact)
    pixels.flush()
    np.savez(out / FACTS, **{name: np.array([f[name] for f in facts]) for name in facts[0]})
    heads = sum(f["heads"] for f in facts)
    print(f"{out}: {heads} heads, {count - heads} boxes of none")


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
