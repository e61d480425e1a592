# SPDX-License-Identifier: Apache-2.0
"""The paper's Table III, with a row of our own: answers without a grammar, about every head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpe_vlm_ros.evaluation import metrics

from .measures import AnsweredScene, evaluation, invalid_boxes, referring

EVERY_HEAD = metrics.Rules(min_size=0, min_visible=0)
SETS = {"refcoco": 3785, "refcoco+": 3773, "refcocog": 5023}  # and references that are asked about
HEADS = 32_738  # of CMU Panoptic's test set


@dataclass(frozen=True)
class Row:
    """Percent found and percent invalid of each data set, and mean error and percent invalid of
    poses; None where nothing was asked."""

    acc: Mapping[str, float | None]
    e_bbox: Mapping[str, float | None]
    mae: float | None
    e_angle: float | None


def _papers(accuracy: Sequence[float], mae: float | None, e_angle: float | None) -> Row:
    return Row(dict(zip(SETS, accuracy, strict=True)), dict.fromkeys(SETS, 0.0), mae, e_angle)


PAPER = {
    "Original Grounding CogVLM": _papers((91.4, 86.7, 90.2), None, None),
    "Non-merging CogVLM": _papers((91.1, 85.2, 88.9), 8.18, 0.13),
    "TA merging CogVLM": _papers((89.5, 82.3, 86.1), 7.72, 68.9),
    "HPE-CogVLM": _papers((90.5, 84.7, 87.8), 7.36, 0.052),
}


def numbers(
    poses: Sequence[AnsweredScene], references: Mapping[str, Sequence[AnsweredScene]]
) -> dict[str, Any]:
    """What the row of a model holds, fit for JSON but for NaN: `sets` by name with acc, e_bbox and
    the count, and of `poses` every head's mae and e_angle, free and by the grammar."""
    every = evaluation([replace(scene, rules=EVERY_HEAD) for scene in poses])
    free, ruled = metrics.score(every.free), metrics.score(every.true_boxes)
    sets = {}
    for name, asked in references.items():
        found = referring(asked)
        count = found["rec_answers"]
        sets[name] = {
            "acc": found["rec_acc_taught"],
            "e_bbox": found["rec_e_bbox"],
            "references": count,
        }
    return {
        "sets": sets,
        "heads": free.heads,
        "mae_free": free.mae,
        "e_angle_free": 1 - free.recall,
        "mae_grammar": ruled.mae,
        "e_angle_grammar": 1 - ruled.recall,
        "e_bbox_heads": invalid_boxes(poses),
    }


def table(found: Mapping[str, Any], name: str) -> str:
    """The paper's rows and two of `name`, without and with a grammar, for people."""
    rows = dict(PAPER)
    sets = found["sets"]
    acc = {key: _percent(sets[key]["acc"]) if key in sets else None for key in SETS}
    e_bbox = {key: _percent(sets[key]["e_bbox"]) if key in sets else None for key in SETS}
    rows[f"{name}"] = Row(acc, e_bbox, _finite(found["mae_free"]), _percent(found["e_angle_free"]))
    ruled = _finite(found["mae_grammar"]), _percent(found["e_angle_grammar"])
    rows[f"{name}, grammar"] = Row(dict.fromkeys(SETS), dict.fromkeys(SETS), *ruled)
    width = max(map(len, rows)) + 2
    heads = [title for key in SETS for title in (f"{key} ACC %", "E_bbox %")]
    heads += ["MAE", "E_angle %"]
    lines = [f"{'TABLE III':<{width}}" + "".join(f"{head:>16}" for head in heads)]
    for title, row in rows.items():
        cells = [c for key in SETS for c in (_cell(row.acc[key], 1), _cell(row.e_bbox[key], 3))]
        cells += [_cell(row.mae, 2), _cell(row.e_angle, 3)]
        lines.append(f"{title:<{width}}" + "".join(f"{cell:>16}" for cell in cells))
    counts = [f"{key} {sets[key]['references']:,} ({SETS[key]:,})" for key in SETS if key in sets]
    asked = ", ".join([*counts, f"heads {found['heads']:,} ({HEADS:,})"])
    lines.append(f"Asked about, in brackets the paper's counts: {asked}.")
    return "\n".join(lines)


def set_name(folder: Path) -> str:
    """Which of SETS a folder of labelled references is; ValueError where its name does not say."""
    if folder.name not in SETS:
        raise ValueError(f"{folder}: the folder must be called one of {', '.join(SETS)}")
    return folder.name


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _percent(value: float | None) -> float | None:
    return None if _finite(value) is None else 100 * value  # type: ignore[operator]


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
