# SPDX-License-Identifier: Apache-2.0
"""Peers on rendered scenes with exact truth, see benchmarks.peers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.peers.contenders import (
    Boxes,
    Found,
    Peer,
    Poses,
    Rgb,
    detector_and_regressor,
    face_finder,
    make_ready,
    mediapipe_or_why,
    ours,
    sixdrepnet,
    take_turns,
    whenet,
)
from benchmarks.peers.faces import LEAST_FACE, Array, Detector, face_boxes, fit_growth, haar
from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.data.labels import read_labels
from training.data.sample import Sample
from training.evaluation.scoring import input_scale, true_heads


def grown(detect: Detector, fit_on: Sequence[Sample]) -> Boxes:
    """Head boxes from a detector of faces, as they grow on other scenes; scores are 1."""
    grow = fit_growth(detect, fit_on)

    def find(image: Rgb) -> tuple[Array, Array]:
        boxes = grow(detect(image))
        return boxes, np.ones(len(boxes))

    return find


def contenders(
    options: argparse.Namespace, perceiver: HeadPerceiver, fit_on: Sequence[Sample]
) -> dict[str, Peer | str]:
    """Each, made ready, or why it is not run."""

    def pair(detect: Callable[[], Detector], pose: Callable[[], Poses]) -> Peer:
        return detector_and_regressor(grown(detect(), fit_on), pose())

    def yunet() -> Detector:
        return face_boxes(face_finder(options.yunet, LEAST_FACE))

    ways: dict[str, Callable[[], Peer]] = {
        "mediapipe face mesh": lambda: mediapipe_or_why(options.mediapipe, fit_on),
        "YuNet + WHENet": lambda: pair(yunet, lambda: whenet(options.whenet)),
        "Haar + WHENet": lambda: pair(haar, lambda: whenet(options.whenet)),
        "YuNet + 6DRepNet": lambda: pair(yunet, lambda: sixdrepnet(options.sixdrepnet)),
    }
    return {"ours": ours(perceiver)} | make_ready(ways)


def records_of(
    result: Found, samples: Sequence[Sample], perceiver: HeadPerceiver
) -> metrics.Records:
    def heads(found: Sequence[Any]) -> metrics.Heads:
        triples = [(h.yaw, h.pitch, h.roll) for h in found]
        return metrics.heads([h.box for h in found], [h.rotation for h in found], triples)

    return metrics.merge(
        metrics.end_to_end(heads(found), true_heads(sample), input_scale(perceiver, sample))
        for (found, _), sample in zip(result, samples, strict=True)
    )


def shared(theirs: metrics.Records, ours: metrics.Records) -> dict[str, Any]:
    """Median geodesic errors of both on the heads that both found."""
    both = theirs.found & ours.found & np.isfinite(theirs.geodesic + ours.geodesic)
    errors = {"theirs": theirs.geodesic[both], "ours": ours.geodesic[both]}
    medians = {k: round(float(np.median(v)), 3) if len(v) else None for k, v in errors.items()}
    return {"heads": int(both.sum()), **medians}


def scored(result: Found, records: metrics.Records, ours: metrics.Records) -> dict[str, Any]:
    """Numbers of one row."""
    row: dict[str, Any] = {"ms": round(float(np.median([elapsed for _, elapsed in result])), 1)}
    parts = [("all", metrics.score(records)), *metrics.by_yaw(records)[:3]]
    for name, part in parts:
        numbers = part.as_dict()
        chosen = ("heads", "recall", "mae", "geodesic_median")
        row[name] = {key: _rounded(numbers[key]) for key in chosen}
    row["precision"] = _rounded(parts[0][1].as_dict()["precision"])
    row["both"] = shared(records, ours)
    return row


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 3) if isinstance(value, float) else value


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Recall and median geodesic error in degrees, by where faces point."""
    parts = ("all", *metrics.sides([]))
    titles = "".join(f"{part:>16}" for part in parts)
    lines = [f"{'':<22}{'ms':>9}{'precision':>11}{titles}{'both: it, ours':>18}"]
    for name, row in rows.items():
        if "not_run" in row:
            lines.append(f"{name:<22}{'not run':>9}  {row['not_run']}")
            continue
        cells = "".join(f"{_part(row[part]):>16}" for part in parts)
        precision = "-" if row["precision"] is None else f"{row['precision']:.2f}"
        both = (
            "-" if row["both"]["ours"] is None else "{theirs:.1f} {ours:.1f}".format(**row["both"])
        )
        lines.append(f"{name:<22}{row['ms']:>9.1f}{precision:>11}{cells}{both:>18}")
    return "\n".join([*lines, "columns by yaw: recall, median geodesic error in degrees"])


def _part(part: dict[str, Any]) -> str:
    error = part["geodesic_median"]
    recall = part["recall"]
    return ("-" if recall is None else f"{recall:.2f}") + (
        "      -" if error is None else f" {error:6.1f}"
    )


def run(options: argparse.Namespace, perceiver: HeadPerceiver) -> dict[str, Any]:
    """How many scenes, and rows by contender; prints their table for people."""
    every = read_labels(options.scenes)
    order = np.random.default_rng(0).permutation(len(every))
    samples = [every[i] for i in order[: options.images]]
    fit_on = [every[i] for i in order[options.images : options.images + options.fit_images]]
    ready = contenders(options, perceiver, fit_on)
    results = take_turns(ready, [(sample.image_path, sample.load) for sample in samples])
    records = {name: records_of(found, samples, perceiver) for name, found in results.items()}
    rows: dict[str, dict[str, Any]] = {name: {"not_run": why} for name, why in ready.items()}
    for name, found in results.items():
        rows[name] = scored(found, records[name], records["ours"])
    print(f"{len(samples)} scenes")
    print(table(rows))
    return {"images": len(samples), "rows": rows}
