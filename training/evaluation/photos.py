# SPDX-License-Identifier: Apache-2.0
"""How a model does on photographs of real people and rooms that no training has seen.

    python -m training.evaluation.photos PHOTOS [--model DIR] [--sheet FILE] [--curve FILE]

PHOTOS is the folder that the labels' paths begin in; photographs are not part of this repository,
their sha256 is in the labels (training/testsets/photos). Heads, and the sector that each faces,
were judged by eye; on photographs labelled whole every other box is a false positive. Nobody
measured these people's poses: faces are compared with the median of three public networks, where
those agree. Prints tables and, as the last line, one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray
from tqdm import tqdm

from hpe_vlm_ros.drawing import contact_sheet, draw_heads
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.pictures import decode

from ..data.json_lines import whole_lines
from ..testsets import PHOTOS
from . import photo_measures as measures
from .asking import head_rows
from .photo_measures import Photo

LABELS = PHOTOS / "labels.jsonl"
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
ANSWERS = "photos.jsonl"  # in the folder that keeps answers
WARM_UP = 3  # pictures that are not timed


def read_photo(folder: Path, label: dict[str, Any]) -> NDArray[np.uint8]:
    """The photograph of a label, RGB. FileNotFoundError or ValueError name one that is missing or
    is another picture than was labelled."""
    path = folder / label["image"]
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such photograph; is PHOTOS the right folder?")
    content, digest = path.read_bytes(), label.get("sha256")
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path}: not the picture that was labelled; its sha256 must be {digest}")
    return decode(content)


def print_tables(photos: list[Photo], numbers: dict[str, float]) -> None:
    """The tables for people."""
    print(f"{'facing':<8}{'heads':>7}{'recall':>8}{'side right':>12}   (32 pixels and more)")
    for name, row in measures.by_facing(photos).items():
        print(f"{name:<8}{row['heads']:>7}{row['recall']:>8.3f}{row['side right']:>12.3f}")
    slope = measures.slopes(photos)
    for name, rows in measures.by_range(photos).items():
        print(f"{name}, degrees; slope against the teachers {slope[name]:.2f}")
        for row in rows:
            print(f"  {row['from']:>5.0f} to {row['to']:>4.0f}{row['heads']:>7}"
                  f"   error {row['absolute']:>5.1f}, signed {row['signed']:>+5.1f}")  # fmt: skip
    print(f"{'score':<8}{'recall':>8}{'precision':>11}{'false per empty':>17}   (labelled whole)")
    for row in measures.curve(photos, THRESHOLDS):
        print(f"{row['score']:<8}{row['recall']:>8.3f}{row['precision']:>11.3f}"
              f"{row['false_per_empty']:>17.3f}")  # fmt: skip
    for name, value in numbers.items():
        print(f"{name:<26}{value:>10.3f}")


def draw_curve(photos: list[Photo], file: Path) -> None:
    """Precision against recall, with the scores written beside."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    every = measures.curve(photos, THRESHOLDS)
    # below the least score of the model all thresholds give the same point: one of them is drawn
    rows = [row for row, after in zip(every, [*every[1:], {}], strict=True)
            if row["recall"] != after.get("recall")]  # fmt: skip
    figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
    axes.plot([r["recall"] for r in rows], [r["precision"] for r in rows], "o-", markersize=3)
    for row in rows:
        axes.annotate(f"{row['score']}", (row["recall"], row["precision"]), fontsize=7,
                      xytext=(3, 3), textcoords="offset points")  # fmt: skip
    axes.set(xlabel="recall, heads of 32 pixels and more", ylabel="precision",
             title="Photographs labelled whole, by least score")  # fmt: skip
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main(
    photos: Path,
    model: Path | None = None,
    labels: Path = LABELS,
    tiles: int = 0,
    mirror: bool | None = None,
    refine: bool = True,
    threads: int | None = None,
    limit: int | None = None,
    sheet: Path | None = None,
    curve: Path | None = None,
    out: Path | None = None,
) -> None:
    """Compare a model's answers with labels of photographs.

    Args:
        photos: folder that the labels' paths begin in.
        model: model folder; the shipped one if left out.
        labels: file of labels.
        tiles: parts of each photograph that are looked at as well, see `HeadPerceiver.load`.
        mirror: whether test-time flip is used; as the model says if left out.
        refine: whether the refiner is used.
        threads: of the arithmetic; one per core if left out.
        limit: only every so many-th label, for a quick look.
        sheet: picture to write: photographs with people, with the answers drawn.
        curve: picture to write: precision against recall by score.
        out: folder that keeps the answers, for `training.guard`.
    """
    perceiver = HeadPerceiver.load(
        model, max_heads=60, tiles=tiles, mirror=mirror, refine=refine, threads=threads
    )
    rows = whole_lines(labels)[:: limit or 1]
    compared: list[Photo] = []
    drawn, seconds, kept = [], [], []
    for row in tqdm(rows, unit="photo"):
        image = read_photo(photos, row)
        start = time.perf_counter()
        found = perceiver(image)
        seconds.append(time.perf_counter() - start)
        compared.append(measures.compare(row, found, perceiver.input_size))
        kept.append(
            {"image": row["image"], "side": perceiver.input_size, "seconds": seconds[-1]}
            | {"own": head_rows(found)}
        )
        if sheet is not None and row["heads"]:
            drawn.append(draw_heads(image, found))
    numbers = measures.summary(compared)
    numbers["ms"] = float(np.median(seconds[WARM_UP:] or seconds) * 1000)
    print_tables(compared, numbers)
    if sheet is not None:
        picture = contact_sheet(drawn, 6, cell=(320, 240))
        cv2.imwrite(str(sheet), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if curve is not None:
        draw_curve(compared, curve)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / ANSWERS).write_text("".join(json.dumps(line) + "\n" for line in kept))
    print(json.dumps({k: None if v != v else round(v, 4) for k, v in numbers.items()}))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
