# SPDX-License-Identifier: Apache-2.0
"""report.html: one file that needs no network, opens in any browser and prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpe_vlm_ros.recordings.frames import ReplayError

from .notes import all_notes
from .plots import plots, timeline_plots
from .tables import LABELS, number

TEMPLATE = "report.html.j2"


def html(report: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """The page of a report. pictures: addresses of pictures of the worst cases, if wanted.

    ReplayError when matplotlib or jinja2 is missing.
    """
    try:
        from jinja2 import Environment, FileSystemLoader
    except ImportError as error:
        raise ReplayError("report.html needs jinja2: pip install jinja2") from error
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    run = report["run"]
    config = {
        k: run[k]
        for k in ("truth", "tracking", "settings", "environment", "head_shape", "input_size")
    }
    return templates.get_template(TEMPLATE).render(
        **report,
        names=_names(run),
        warnings=all_notes(report),
        plots=plots(report),
        timeline_plots=timeline_plots(report),
        pictures=pictures,
        labels=LABELS,
        number=number,
        angles=_angles,
        config=json.dumps(config, indent=1),
    )


def _names(run: dict[str, Any]) -> str:
    names = [recording["id"] for recording in run["recordings"]]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _angles(triple: Sequence[float | None]) -> str:
    return ", ".join("–" if angle is None else f"{angle:.0f}" for angle in triple)
