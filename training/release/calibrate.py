# SPDX-License-Identifier: Apache-2.0
"""Calibrate a model's predicted covariances and scores, on scenes that it never learnt from.

    python -m training.release.calibrate models/embedded scenes/val

Every scene is perceived once; predictions are kept under --raw, so that a killed run goes on and
another fit costs nothing. Four numbers are fitted (`hpe_vlm_ros.spread.Calibration`), written into
the model's config.json, and checked on other scenes: coverage at 1 and 2 sigma as
`training.release.calibration` defines it, Brier score and calibration error of the boxes' scores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import rotation_vector
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.spread import Calibration

from ..data.labels import read_labels
from ..data.sample import Sample
from ..evaluation.scoring import input_scale, true_heads
from ..testsets import SCENES
from .calibration import (
    Stated,
    brier,
    calibrated_scores,
    calibration_error,
    coverage,
    fit,
    likelihood,
)

RAW = Path("runs") / "calibration"
Find = Callable[[Sample], Sequence[HeadEstimate]]


def stated_heads(
    found: Sequence[HeadEstimate], sample: Sample, scale: tuple[float, float]
) -> dict[str, Any]:
    """One scene's line: each box's score and whether it is one of a head that counts, and for those
    that are, the turn to the true rotation with its stated covariance."""
    predicted = metrics.heads([h.box for h in found], [h.rotation for h in found])
    result = metrics.assign(predicted, true_heads(sample), scale)
    right = {int(i): j for j, i in enumerate(result.answer) if i >= 0}
    line: dict[str, Any] = {"boxes": [], "heads": []}
    for index, head in enumerate(found):
        if index in right or index in result.false_alarms:
            line["boxes"].append([round(head.score, 6), index in right])
        truth = sample.heads[right[index]].rotation if index in right else None
        if truth is None or head.rotation_covariance is None:
            continue
        yaw = float(metrics.heads([head.box], [truth]).angles[0, 0])
        line["heads"].append(
            {
                "turn": rotation_vector(truth @ head.rotation.T).round(6).tolist(),
                "covariance": head.rotation_covariance.ravel().round(8).tolist(),
                "yaw": round(yaw, 2) if np.isfinite(yaw) else None,
            }
        )
    return line


def collect(
    find: Find, samples: Sequence[Sample], scale: Callable[[Sample], Any], file: Path
) -> list[dict[str, Any]]:
    """A line for each sample, from the file where it is there already, in order."""
    file.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, dict[str, Any]] = {}
    if file.is_file():
        for text in file.read_text().splitlines():
            try:
                line = json.loads(text)
                known[line["scene"]] = line
            except (ValueError, KeyError):  # cut short by a kill
                continue
    names = [sample.image_path.name for sample in samples]
    with file.open("a") as out:
        for name, sample in zip(tqdm(names, file.stem, file=sys.stderr), samples, strict=True):
            if name not in known:
                known[name] = {"scene": name, **stated_heads(find(sample), sample, scale(sample))}
                out.write("\n" * bool(out.tell()) + json.dumps(known[name]))
                out.flush()
    return [known[name] for name in names]


def as_stated(lines: Sequence[dict[str, Any]]) -> Stated:
    """Lines as of `stated_heads`, of all pictures together; NaN is the yaw of heads without a
    triple."""
    heads = [head for line in lines for head in line["heads"]]
    boxes = [box for line in lines for box in line["boxes"]]
    return Stated(
        np.array([h["turn"] for h in heads]).reshape(-1, 3),
        np.array([h["covariance"] for h in heads]).reshape(-1, 3, 3),
        np.array([np.nan if h["yaw"] is None else h["yaw"] for h in heads]),
        np.array([score for score, _ in boxes], dtype=float),
        np.array([hit for _, hit in boxes], dtype=bool),
    )


def report(stated: Stated, calibration: Calibration) -> dict[str, float]:
    """Prints the table of one set of scenes; what the last line says of it."""
    plain = Calibration()
    (axes_before, whole_before), (axes, whole) = (coverage(stated, c) for c in (plain, calibration))
    print(f"\n{len(stated.turns)} heads        coverage: nominal 68.3  95.5   stated plainly")
    rows = [*zip("xyz", axes, axes_before, strict=True)]
    rows += [("all axes", axes.mean(0), axes_before.mean(0)), ("whole", whole, whole_before)]
    for name, after, before in rows:
        values = "  ".join(f"{100 * v:5.1f}" for v in (*after, *before))
        print(f"  {name:<28}{values}")
    for name, chosen in metrics.sides(stated.yaws).items():
        if chosen.sum() >= 10:
            part = replace(
                stated,
                turns=stated.turns[chosen],
                covariances=stated.covariances[chosen],
                yaws=stated.yaws[chosen],
            )
            values = "  ".join(f"{100 * v:5.1f}" for v in coverage(part, calibration)[1])
            print(f"  whole, {name:<21}{values}          n = {chosen.sum()}")
    scores = calibrated_scores(stated, calibration)
    found = {
        "coverage_1": axes.mean(0)[0], "coverage_2": axes.mean(0)[1],
        "coverage_1_whole": whole[0], "coverage_2_whole": whole[1],
        "nll": likelihood(stated, calibration),
        "brier": brier(scores, stated.hits), "brier_plain": brier(stated.scores, stated.hits),
        "ece": calibration_error(scores, stated.hits),
        "ece_plain": calibration_error(stated.scores, stated.hits),
    }  # fmt: skip
    print(
        f"  scores of {len(scores)} boxes: Brier {found['brier']:.3f} (plainly "
        f"{found['brier_plain']:.3f}), calibration error {found['ece']:.3f} "
        f"({found['ece_plain']:.3f})"
    )
    return {name: round(float(value), 4) for name, value in found.items()}


def store(model: Path, calibration: Calibration) -> None:
    """Write it into the model folder's config.json."""
    file = model / "config.json"
    config = json.loads(file.read_text()) | {"calibration": calibration.as_dict()}
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main(
    model: Path,
    scenes: Path,
    check: Path = SCENES,
    images: int = 400,
    checked: int = 400,
    raw: Path = RAW,
    write: bool = True,
    threads: int = 1,
) -> None:
    """Fit, write and check.

    Args:
        model: model folder; its config.json gets the fitted numbers.
        scenes: labelled scenes to fit on (as `training.synthetic.render` writes them), not learnt.
        check: other labelled scenes, to check on.
        images: how many scenes to fit on, drawn once.
        checked: how many to check on.
        raw: folder for what was stated; a second run reads it. Files are named after weights,
            runtime and scenes.
        write: false only prints.
        threads: of the arithmetic.
    """
    if scenes.resolve() == check.resolve():
        raise SystemExit(f"error: {scenes} cannot check what was fitted on it: give other scenes")
    perceiver = HeadPerceiver.load(model, threads=threads, refine=False)
    perceiver.calibration = Calibration()  # what is stated plainly
    parts = []
    for folder, count in ((scenes, images), (check, checked)):
        every = read_labels(folder)
        chosen = np.random.default_rng(0).permutation(len(every))[:count]
        name = f"{perceiver.model_id}-{perceiver.backend}-{folder.resolve().name}"
        parts.append(
            collect(
                lambda sample: perceiver(sample.load()),
                [every[i] for i in sorted(chosen)],
                lambda sample: input_scale(perceiver, sample),
                raw / f"{name}.jsonl",
            )
        )
    fitted_on, checked_on = map(as_stated, parts)
    calibration = fit(fitted_on)
    print(f"{perceiver.model_id}: {calibration}\n\nfitted on {scenes}", end="")
    report(fitted_on, calibration)
    print(f"\nchecked on {check}", end="")
    found = report(checked_on, calibration)
    if write:
        store(model, calibration)
        print(f"\nwritten into {model / 'config.json'}")
    print(json.dumps({"heads": len(checked_on.turns), **found, **calibration.as_dict()}))


if __name__ == "__main__":
    auto_cli(main)
