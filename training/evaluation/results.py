# SPDX-License-Identifier: Apache-2.0
"""An evaluation's numbers as one JSON object, and its tables for people.

Results of stages and baselines are kept in `training/reproduction/results/NAME.json`. Later
evaluations take the base model's and 6DRepNet's numbers from there,
and `training.reproduction.report` reads them all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpe_vlm_ros.evaluation import metrics

from .lenses import by_lens
from .measures import (
    AnsweredScene,
    Evaluation,
    by_format,
    by_prompt,
    by_range,
    by_scene,
    by_tone,
    by_view,
    by_visibility,
    evaluation,
    invalid_boxes,
    referring,
)

RESULTS = Path(__file__).parents[1] / "reproduction" / "results"


def summary(scored: Evaluation) -> dict[str, Any]:
    """The numbers about heads. `mae*` and `geodesic_median` are with true boxes; degrees. `*_free`
    are of answers without a grammar, as the paper has them."""
    own, given = metrics.score(scored.end_to_end), metrics.score(scored.true_boxes)
    free = metrics.score(scored.free)
    return for_json(
        {
            "recall": own.recall,
            "precision": own.precision,
            "mae": given.mae,
            "mae_front": given.mae_front,
            "mae_back": given.mae_back,
            "geodesic_median": given.geodesic_median,
            "mae_end_to_end": own.mae,
            "geodesic_median_end_to_end": own.geodesic_median,
            "mae_free": free.mae,
            "e_angle_free": 1 - free.recall,
            "e_angle": 1 - given.recall,
            "heads": given.heads,
        }
    )


def result(asked: Sequence[AnsweredScene]) -> dict[str, Any]:
    """Every number of an evaluation, by table; `summary` holds those of stage 5's last line."""
    scored, words = evaluation(asked), referring(asked)
    short = summary(scored) | for_json({"e_bbox": invalid_boxes(asked), **words})
    return {
        "summary": short,
        "formats": for_json(by_format(asked)),
        "prompts": for_json(by_prompt(asked)),
        "ranges": for_json(by_range(scored.true_boxes)),
        "scenes": for_json(by_scene(scored)),
        "tones": for_json(by_tone(scored)),
        "shown": for_json(by_visibility(scored)),
        "views": for_json(by_view(scored)),
        "lenses": for_json(by_lens(asked)),
        "yaw": _scores(metrics.by_yaw(scored.true_boxes)),
        "size": _scores(metrics.by_size(scored.true_boxes)),
        "size_end_to_end": _scores(metrics.by_size(scored.end_to_end)),
    }


def _scores(rows: Sequence[tuple[str, metrics.Score]]) -> dict[str, Any]:
    return {name: for_json(score.as_dict()) for name, score in rows}


def stored(path: Path, key: str, scenes: Mapping[str, Any]) -> tuple[float | None, str]:
    """A number of a kept result, and where it is from, or None and why.

    `scenes` holds `data` and `pictures` of the evaluation at hand: a result on other scenes cannot
    be compared.
    """
    if not path.is_file():
        return None, f"not run: {path.name} is not there"
    kept = json.loads(path.read_text())
    if any(kept.get(name) != value for name, value in scenes.items()):
        found = ", ".join(f"{name} {kept.get(name)}" for name in scenes)
        return None, f"{path.name} is of other scenes ({found})"
    number = kept["summary"].get(key)
    return number, f"of {path.name}" if number is not None else f"{path.name} has none"


def for_json(numbers: Any) -> Any:
    """The same with four decimals, and None in place of NaN, which JSON has not."""
    if isinstance(numbers, Mapping):
        return {name: for_json(value) for name, value in numbers.items()}
    if isinstance(numbers, float):
        return None if math.isnan(numbers) else round(numbers, 4)
    return numbers


def tables(scored: Evaluation) -> str:
    """Tables of both protocols for people: totals, by yaw and by head size."""
    parts = []
    for title, records in (("END TO END", scored.end_to_end), ("TRUE BOXES", scored.true_boxes)):
        rows = [
            ("all", metrics.score(records)),
            *metrics.by_yaw(records),
            *metrics.by_size(records),
        ]
        parts.append(metrics.format_table(title, rows))
    total = metrics.score(scored.true_boxes)
    parts.append(
        f"{total.without_triple} of {total.heads} heads have no yaw, pitch, roll triple:\n"
        "they count in the geodesic error only. Sizes are pixels at the model's input;\n"
        "angles are degrees."
    )
    return "\n\n".join(parts)


SHARES = ("e_angle", "e_bbox", "recall")  # printed as percent


def grouped_table(title: str, rows: Mapping[str, Mapping[str, float | None]]) -> str:
    """A table for people of one row a group; shares in percent, '-' where there is nothing."""
    if not rows:
        return ""
    columns = list(next(iter(rows.values())))
    heads = [f"{name} %" if name in SHARES else name for name in columns]
    width = max(len(title), *(len(name) for name in rows)) + 2
    lines = [f"{title:<{width}}" + "".join(f"{head:>17}" for head in heads)]
    for name, row in rows.items():
        cells = [_cell(column, row[column]) for column in columns]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    if column in SHARES:
        return f"{100 * value:.3f}"
    return str(value) if isinstance(value, int) else f"{value:.2f}"
