# SPDX-License-Identifier: Apache-2.0
"""The paper's Figures 4, 5 and 6, and the curve of 6DRepNet, from kept results and a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..merging import report
from ..merging.stream import Outcome
from .tables import Result, origin_of

BARS = {  # Figure 4: model, results at 10 and at 25 % rehearsal, the paper's MAE and accuracy
    "HPE-CogVLM": ("stage4_10", "stage4_25", (7.36, 8.36)),
    "Non-merging": ("non_merging_10", "non_merging_25", (8.18, None)),
    "Task arithmetic": ("task_arithmetic_10", "task_arithmetic_25", (7.72, None)),
}
RATIOS = ("10 %", "25 %")


def rehearsal(path: Path, results: Mapping[str, Result]) -> bool:
    """Figure 4: pose error and accuracy of expressions by rehearsal ratio in stage 4."""
    from matplotlib.figure import Figure

    rows = {
        model: [results.get(name, {}).get("summary", {}) for name in names[:2]]
        for model, names in BARS.items()
    }
    rows = {model: pair for model, pair in rows.items() if any(pair)}
    if not rows:
        return False
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 2),
        ("mae", "rec_acc"),
        ("MAE, degrees", "accuracy of expressions"),
        strict=True,
    ):
        for offset, (model, pair) in enumerate(rows.items()):
            heights = [row.get(key) or 0 for row in pair]
            places = np.arange(2) + 0.27 * (offset - (len(rows) - 1) / 2)
            axes.bar(places, heights, 0.25, label=model)
        axes.set_xticks(range(2), [f"rehearsal {ratio}" for ratio in RATIOS])
        axes.set_ylabel(label)
        axes.set_xlim(-0.5, 1.5)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=110)
    return True


def trained_on(results: Mapping[str, Result]) -> str:
    """What the models of Figure 4 were trained on; what is the same for several is said once."""
    names = [name for names in BARS.values() for name in names[:2] if name in results]
    return "; ".join(dict.fromkeys(origin_of(results[name]) for name in names))


def curve(path: Path, result: Result | None) -> bool:
    """6DRepNet's error over the heads it saw."""
    from matplotlib.figure import Figure

    lines = (result or {}).get("curve", [])
    if not lines:
        return False
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([line["samples"] / 1000 for line in lines], [line["degrees"] for line in lines])
    axes.set_xlabel("thousand heads seen")
    axes.set_ylabel("median error on validation heads, degrees")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    return True


def merge_map(path: Path, kept: Path) -> bool:
    """Figure 6, from the merge.json of stage 3."""
    if not kept.is_file():
        return False
    layers = json.loads(kept.read_text())["layers"]
    report.draw(path, {name: Outcome(**outcome) for name, outcome in layers.items()})
    return path.exists()


def looked_at(path: Path, model: Path | None, picture: Any) -> bool:
    """Figure 5: where the model looks while it answers about each of two heads of a picture.

    picture: a sample with two or more large heads whose poses are known.
    """
    from matplotlib.figure import Figure

    from .attention import attention_maps

    heads = largest(picture)
    if len(heads) < 2:
        return False
    image = picture.load()
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, head, weights in zip(
        panels, heads, attention_maps(model, picture, heads), strict=True
    ):
        axes.imshow(image.mean(2), extent=(0, picture.width, picture.height, 0), cmap="gray")
        axes.imshow(
            weights,
            extent=(0, picture.width, picture.height, 0),
            cmap="inferno",
            alpha=0.6,
            interpolation="bicubic",
        )
        x0, y0, x1, y1 = head.box
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="cyan", lw=2)
        axes.set_axis_off()
        axes.set_title(f"{100 * share_inside(weights, head.box, picture):.0f} % of it in the box")
    figure.savefig(path, dpi=110)
    return True


def largest(picture: Any, count: int = 2) -> list[Any]:
    """The largest heads of a sample that are wholly visible and have a pose, from left to right."""
    fit = [h for h in picture.heads if h.rotation is not None and h.visible > 0.7]
    fit.sort(key=lambda head: -np.prod(head.box[2:] - head.box[:2]))
    return sorted(fit[:count], key=lambda head: head.box[0])


def share_inside(weights: np.ndarray, box: np.ndarray, picture: Any) -> float:
    """Share of the attention on the image (rows, columns) that lies on patches within a box."""
    rows, columns = weights.shape
    x = (np.arange(columns) + 0.5) / columns * picture.width
    y = (np.arange(rows) + 0.5) / rows * picture.height
    inside = ((y > box[1]) & (y < box[3]))[:, None] & ((x > box[0]) & (x < box[2]))[None]
    return float(weights[inside].sum() / weights.sum())
