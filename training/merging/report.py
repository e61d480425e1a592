# SPDX-License-Identifier: Apache-2.0
"""What a merge did, for people: a histogram with thresholds, and a picture of all layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .stream import BLEND, ORIGINAL, SAME, TUNED, Outcome
from .winner_takes_all import quantile_threshold

BINS, BAR = 10, 40
SHARES = (0.05, 0.1, 0.25, 0.5)
COLOURS = {  # distinct for colour-blind eyes, too (Okabe & Ito)
    SAME: ("#d9d9d9", "same in both"),
    ORIGINAL: ("#0072b2", "original"),
    TUNED: ("#e69f00", "HPE-oriented"),
    BLEND: ("#cc79a7", "blend"),
}
Grid = dict[str, dict[int, Outcome]]  # by kind of projection, by layer


def histogram(cosines: Mapping[str, float]) -> str:
    """The similarities as bars, and the thresholds that would keep some shares of the layers."""
    if not cosines:
        return "no projection differs between the two models"
    counts, edges = np.histogram(list(cosines.values()), BINS)
    lines = [f"similarity of the {len(cosines)} projections that differ"]
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        bar = "#" * -(-BAR * int(count) // int(counts.max()))
        lines.append(f"  {low:.6f} - {high:.6f} {count:5d}  {bar}".rstrip())
    shares = [f"{s:.0%} below {quantile_threshold(cosines, s):.6f}" for s in SHARES]
    return "\n".join([*lines, f"  quantiles: {', '.join(shares)}"])


def counts(outcomes: Mapping[str, Outcome]) -> dict[str, int]:
    """How many projections went to which side."""
    sides = [outcome.side for outcome in outcomes.values()]
    return {side: sides.count(side) for side in COLOURS}


def by_tower(outcomes: Mapping[str, Outcome]) -> dict[str, Grid]:
    """Kinds of projections that differ, layer by layer; what is in no stack of layers by name."""
    towers: dict[str, Grid] = {}
    for name, outcome in outcomes.items():
        title, kind, layer = _place(name)
        towers.setdefault(title, {}).setdefault(kind, {})[layer] = outcome
    changed = {
        title: {k: row for k, row in grid.items() if any(o.side != SAME for o in row.values())}
        for title, grid in towers.items()
    }
    return {title: grid for title, grid in changed.items() if grid}


def _place(name: str) -> tuple[str, str, int]:
    """Tower, kind and layer of a projection."""
    match = re.fullmatch(r"(.*)\.(?:layers|blocks)\.(\d+)\.(.*)", name)
    if not match:
        return "other", name, 0
    stack, layer, kind = match.groups()
    return "vision tower" if "vision" in stack or "visual" in stack else "decoder", kind, int(layer)


def draw(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """The map of layers: which side each projection came from, and how alike the two models were.

    The paper's Figure 6, as a picture. Kinds of projections that are the same in both models are
    left out.
    """
    from matplotlib.figure import Figure  # takes a second to import

    towers = by_tower(outcomes)
    if not towers:
        return
    rows = [len(grid) for grid in towers.values()]
    figure = Figure(figsize=(12, 1.6 + 0.62 * sum(rows) + 1.5 * len(rows)), layout="constrained")
    panels = figure.subplots(2 * len(rows), 1, squeeze=False, height_ratios=np.repeat(rows, 2))
    alike = [o.similarity for o in outcomes.values() if o.side != SAME]
    for index, (title, grid) in enumerate(towers.items()):
        above, below = panels[2 * index, 0], panels[2 * index + 1, 0]
        _sides(above, grid)
        above.set_title(f"{title}: where each layer comes from", loc="left")
        shown = _similarities(below, grid, (min(alike), max(alike)))
        below.set_title(f"{title}: similarity of the two models", loc="left")
        if title == "other":
            below.set_xticks([])
            above.set_xticks([])
        else:
            below.set_xlabel("layer")
        figure.colorbar(shown, ax=below, pad=0.01)
    _legend(figure, {o.side for o in outcomes.values()})
    figure.savefig(path, dpi=110)


def _axes(axes: Any, grid: Grid) -> int:
    depth = 1 + max(max(row) for row in grid.values())
    axes.set_yticks(range(len(grid)), list(grid))
    axes.set_xticks(range(0, depth, 1 if depth <= 16 else 5))
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(depth + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(grid) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    return depth


def _sides(axes: Any, grid: Grid) -> None:
    from matplotlib.colors import to_rgb

    picture = np.ones((len(grid), _axes(axes, grid), 3))
    for row, outcomes in enumerate(grid.values()):
        for layer, outcome in outcomes.items():
            picture[row, layer] = to_rgb(COLOURS[outcome.side][0])
    axes.imshow(picture, aspect="auto")


def _similarities(axes: Any, grid: Grid, span: tuple[float, float]) -> Any:
    picture = np.full((len(grid), _axes(axes, grid)), np.nan)
    for row, outcomes in enumerate(grid.values()):
        for layer, outcome in outcomes.items():
            if outcome.side != SAME:
                picture[row, layer] = outcome.similarity
    return axes.imshow(picture, aspect="auto", vmin=span[0], vmax=span[1], cmap="cividis")


def _legend(figure: Any, sides: set[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=c, label=label) for side, (c, label) in COLOURS.items() if side in sides]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False)
