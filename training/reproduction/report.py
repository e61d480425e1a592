# SPDX-License-Identifier: Apache-2.0
"""The reproduction report: a counterpart of every table and figure of the paper's experiments.

    python -m training.reproduction.report

Reads the results that stages and baselines kept in training/reproduction/results (`--keep` of
`training.stage5_evaluate` and of `training.reproduction.baselines`), so it takes seconds. Writes
docs/reproduction.md and its figures. Rows without a result say so and why.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from ..data.labels import read_labels
from ..evaluation.results import RESULTS
from ..testsets import PANOPTIC
from . import figures
from .claims import verdicts
from .tables import TABLES, markdown

DOCS = Path(__file__).parents[2] / "docs"
MERGED, HIGHEST = "merge.json", 0.98  # of stage 3; the highest threshold in the paper
SCANNED = 300  # scenes among which the picture of Figure 5 is chosen
INTRODUCTION = """# Reproduction of HPE-CogVLM at embedded size

Counterparts of Tables III to XI and Figures 4 to 6 of arXiv 2406.01914, written by
`python -m training.reproduction.report`. The paper trains CogVLM-17B on photographs and tests on
CMU Panoptic. Here a model of 14 million parameters is trained on rendered scenes and tested on the
Panoptic-style test set (`training/testsets/panoptic`): rendered scenes with other cameras, light,
people and backgrounds. Compare numbers within a column, never between the paper and here. MAE and
geodesic errors are in degrees. E_angle is that of answers decoded without a grammar. Rows that were
not run have no result in `training/reproduction/results`. Verdicts compare the numbers without
intervals: between rows scored on 400 scenes, two degrees of MAE or three points of accuracy may be
chance. Rows of 5207 heads were scored before 109 heads that reach behind the camera had labels.
"""


def read_results(folder: Path) -> dict[str, Any]:
    """All results of a folder by name; ValueError naming a file that is none."""
    results = {}
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error}); evaluate again or delete it") from error
        if "summary" in content:
            results[path.stem] = content
    return results


def cosines(kept: Path) -> str:
    """What stage 3 found, from its merge.json, for those who ask about thresholds."""
    if not kept.is_file():
        return ""
    lowest = min(layer["similarity"] for layer in json.loads(kept.read_text())["layers"].values())
    return f"Stage 3's lowest cosine here is {lowest:.5f}" + (
        ": all of the paper's thresholds choose the same layers." if lowest >= HIGHEST else "."
    )


def report(results: dict[str, Any], drawn: dict[str, bool], merged: str = "") -> str:
    """The whole report in Markdown; `drawn` says which figures there are, `merged` is a remark on
    Table VI."""
    parts = [INTRODUCTION]
    for table in TABLES:
        parts.append(markdown(table, results))
        parts += [merged] if merged and table.number == "VI" else []
        judgements = verdicts(table.number, results)
        parts += ["Claims of the paper:", "\n".join(judgements)] if judgements else []
    for name, title in TITLES.items():
        parts.append(f"## {title}")
        parts.append(f"![{title}](figures/{name}.png)" if drawn[name] else WHY[name])
        if name == "reproduction_4" and drawn[name]:
            parts.append(f"Trained on: {figures.trained_on(results)}.")
    return "\n\n".join(parts).replace("\n\n\n", "\n\n") + "\n"


TITLES = {
    "reproduction_4": "Figure 4: rehearsal ratio in stage 4",
    "reproduction_5": "Figure 5: attention while answering about one of two heads",
    "reproduction_6": "Figure 6: which layers the merge kept",
    "reproduction_6drepnet": "6DRepNet's curve",
}
WHY = {
    "reproduction_4": "not run: no training/reproduction/results/stage4_10.json or stage4_25.json",
    "reproduction_5": "not run: no scene with two large heads was given",
    "reproduction_6": "not run: no training/reproduction/results/merge.json, which stage 3 writes",
    "reproduction_6drepnet": "not run: no training/reproduction/results/sixdrepnet.json",
}


def main(
    results: Path = RESULTS,
    model: Path | None = None,
    data: Path = PANOPTIC,
    out: Path = DOCS,
) -> None:
    """Write the report.

    Args:
        results: folder of kept results; merge.json of stage 3 belongs there, too.
        model: model folder for Figure 5; without it the embedded default of the package.
        data: labelled scenes for Figure 5.
        out: folder for reproduction.md and figures/.
    """
    found, pictures = read_results(results), out / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    paths = {name: pictures / f"{name}.png" for name in TITLES}
    scenes = read_labels(data, SCANNED)
    best = max(scenes, key=_clearness)
    drawn = {
        "reproduction_4": figures.rehearsal(paths["reproduction_4"], found),
        "reproduction_5": figures.looked_at(paths["reproduction_5"], model, best),
        "reproduction_6": figures.merge_map(paths["reproduction_6"], results / MERGED),
        "reproduction_6drepnet": figures.curve(
            paths["reproduction_6drepnet"], found.get("sixdrepnet")
        ),
    }
    (out / "reproduction.md").write_text(report(found, drawn, cosines(results / MERGED)))
    print(f"{out / 'reproduction.md'}: {len(found)} results, {sum(drawn.values())} figures")


def _clearness(scene: Any) -> float:
    """How well a scene shows two heads apart and whole: the height of the smaller one."""
    heads = figures.largest(scene)
    if len(heads) < 2:
        return 0.0
    first, second = (head.box for head in heads)
    sizes = [(box[3] - box[1]) for box in (first, second)]
    apart = second[0] - first[2] > 0.5 * max(sizes)
    inside = first[0] > 1 and second[2] < scene.width - 1 and max(sizes) < 0.45 * scene.height
    return float(min(sizes)) if apart and inside else 0.0


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
