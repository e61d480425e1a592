# SPDX-License-Identifier: Apache-2.0
"""Boxes that a model takes for heads, or might, on labelled pictures.

    python -m training.refiner.candidates runs/photos runs/candidates.jsonl

A refiner must learn to tell apart exactly these. A line a picture is written, so that a run that
was killed goes on; `--part 0/2` and `--part 1/2` share the work between two processes.
"""

from __future__ import annotations

import json
from pathlib import Path

from jsonargparse import auto_cli
from tqdm import tqdm

from hpe_vlm_ros.perceiver import HeadPerceiver

from ..data.json_lines import whole_lines
from ..data.labels import read_labels


def main(
    pictures: Path,
    out: Path,
    model: Path | None = None,
    part: str = "0/1",
    threads: int = 1,
) -> None:
    """Ask a model for every box it would name.

    Args:
        pictures: folder of labelled pictures.
        out: file to write.
        model: model folder; the shipped one if left out.
        part: which of how many equal parts of the pictures.
        threads: of the arithmetic.
    """
    number, parts = (int(word) for word in part.split("/"))
    perceiver = HeadPerceiver.load(model, max_heads=60, threads=threads, refine=False)
    known = {row["image"] for row in whole_lines(out)}
    paths = sorted({str(sample.image_path): sample for sample in read_labels(pictures)}.items())
    with out.open("a") as file:
        for name, sample in tqdm(paths[number::parts], unit="picture"):
            if name not in known:
                proposals = perceiver.proposals(sample.load())
                boxes = [[round(v, 1) for v in one.box] for one in proposals]
                file.write(json.dumps({"image": name, "boxes": boxes}) + "\n")
                file.flush()


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
