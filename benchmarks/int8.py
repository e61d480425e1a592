# SPDX-License-Identifier: Apache-2.0
"""What rounding to 8 bits costs: the export in ONNX Runtime against PyTorch in 32 bits.

    python -m benchmarks.int8 [--model models/embedded] [--scenes 1000]

Both answer the same labelled scenes: all heads, and the poses of heads whose true boxes are given.
An export in 8 bits may be shipped if it costs at most 0.1 degree of mean absolute angle error and
0.005 of mean overlap; the exit status is 1 if it costs more. Export first:
python -m hpe_vlm_ros.vlm.export.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.machine import described
from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import box_iou
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.data.labels import read_labels
from training.data.sample import Sample
from training.evaluation.scoring import input_scale, true_heads
from training.testsets import SCENES

DEGREES, OVERLAP = 0.1, 0.005  # the most that 8 bits may cost
TITLES = ("", "MAE deg", "mean IoU", "recall", "precision", "s/scene")


class Tally:
    """What one runtime answers about all scenes."""

    def __init__(self, perceiver: HeadPerceiver):
        self.perceiver = perceiver
        self.seconds = 0.0
        self._own: list[metrics.Records] = []
        self._given: list[metrics.Records] = []
        self._overlaps: list[float] = []

    def add(self, sample: Sample) -> None:
        image, true = sample.load(), true_heads(sample)
        scale = input_scale(self.perceiver, sample)
        started = time.perf_counter()
        own = _heads(self.perceiver(image))
        self.seconds += time.perf_counter() - started
        given = _heads(self.perceiver.poses(image, list(true.boxes)))
        self._own.append(metrics.end_to_end(own, true, scale))
        self._given.append(metrics.given_boxes(given, true, scale))
        if len(true.boxes):
            overlaps = box_iou(true.boxes, own.boxes)
            best = overlaps.max(1) if overlaps.size else np.zeros(len(true.boxes))
            self._overlaps += best[best >= 0.5].tolist()

    def numbers(self) -> dict[str, float]:
        own, given = (metrics.score(metrics.merge(part)) for part in (self._own, self._given))
        return {
            "mae": given.mae,
            "iou": float(np.mean(self._overlaps)) if self._overlaps else float("nan"),
            "recall": own.recall,
            "precision": own.precision,
            "seconds": self.seconds / len(self._own),
        }


def _heads(estimates: list[HeadEstimate]) -> metrics.Heads:
    return metrics.heads(
        [head.box for head in estimates],
        [head.rotation for head in estimates],
        angles=[(head.yaw, head.pitch, head.roll) for head in estimates],
    )


def measure(model: str | None, samples: list[Sample], threads: int | None) -> dict[str, Any]:
    """Numbers of both sides, what 8 bits cost, and whether that is little enough."""
    # what the language model says: the refiner is the same for both
    report: dict[str, Any] = {"device": "cpu", "threads": threads, "refine": False}
    tallies = {
        "fp32": Tally(HeadPerceiver.load(model, backend="torch", **report)),
        "int8": Tally(HeadPerceiver.load(model, backend="onnx", **report)),
    }
    for sample in tqdm(samples, unit="scene"):
        for tally in tallies.values():
            tally.add(sample)
    sides = {name: tally.numbers() for name, tally in tallies.items()}
    degrees = sides["int8"]["mae"] - sides["fp32"]["mae"]
    overlap = sides["fp32"]["iou"] - sides["int8"]["iou"]
    verdict = {
        "model": tallies["int8"].perceiver.model_id,
        "scenes": len(samples),
        "mae_cost": round(degrees, 4),
        "iou_cost": round(overlap, 5),
        "fits": bool(degrees <= DEGREES and overlap <= OVERLAP),
    }
    return verdict | {
        name: {key: round(v, 4) for key, v in side.items()} for name, side in sides.items()
    }


def table(measured: dict[str, Any]) -> str:
    lines = ["".join(title.rjust(11) for title in TITLES)]
    for name in ("fp32", "int8"):
        side = measured[name]
        cells = (side["mae"], side["iou"], side["recall"], side["precision"], side["seconds"])
        lines.append(name.rjust(11) + "".join(f"{cell:11.3f}" for cell in cells))
    fits = "little enough" if measured["fits"] else "too much"
    return "\n".join(lines) + (
        f"\n8 bits cost {measured['mae_cost']:.3f} degrees (at most {DEGREES}) and "
        f"{measured['iou_cost']:.4f} of overlap (at most {OVERLAP}): {fits}"
    )


def parser() -> argparse.ArgumentParser:
    result = described("python -m benchmarks.int8", __doc__)
    add = result.add_argument
    add("--model", metavar="DIR", help="model folder (default: the embedded one)")
    add("--data", type=Path, default=SCENES, metavar="DIR", help="labelled scenes")
    add(
        "--scenes",
        type=int,
        default=1000,
        metavar="N",
        help="the first so many (1000); 300 leave 0.1 degree of chance",
    )
    add("--threads", type=int, metavar="N", help="of the arithmetic (default: all cores)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        samples = read_labels(options.data, options.scenes)
        measured = measure(options.model, samples, options.threads)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(measured))
    print(json.dumps(measured))
    return 0 if measured["fits"] else 1


if __name__ == "__main__":
    sys.exit(main())
