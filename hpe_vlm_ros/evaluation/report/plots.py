# SPDX-License-Identifier: Apache-2.0
"""The report's plots, as SVG inside data addresses: no files, no network, sharp in print."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

from hpe_vlm_ros.recordings.frames import ReplayError

from .timeline_plot import draw_timeline

BLUE, ORANGE, GREY = "#1f5f8b", "#c8641e", "#888888"
MOST_TIMELINES = 12  # on a page
STYLE: Any = {
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.hashsalt": "replay",  # or equal plots would differ
}


def plots(report: dict[str, Any]) -> dict[str, str]:
    """Name to address of each plot that the report has numbers for. ReplayError without
    matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise ReplayError("report.html needs matplotlib: pip install matplotlib") from error
    makers: dict[str, tuple[Callable[..., bool], tuple[float, float]]] = {
        "size": (_size, (6.4, 2.5)),
        "yaw": (_yaw, (6.4, 2.5)),
        "error": (_error, (3.1, 2.5)),
        "conditions": (_conditions, (6.4, 2.4)),
        "reliability": (_reliability, (3.1, 2.8)),
        "looking": (_looking, (3.1, 2.8)),
    }
    with matplotlib.rc_context(STYLE):
        drawn = {n: _draw(make, size, report) for n, (make, size) in makers.items()}
    return {name: address for name, address in drawn.items() if address}


def _draw(
    make: Callable[..., bool], size: tuple[float, float], report: dict[str, Any]
) -> str | None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return _address(figure) if make(figure, report) else None


def _address(figure: Any) -> str:
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def timeline_plots(report: dict[str, Any]) -> list[str]:
    """Addresses of the plots of the report's first timelines, in order."""
    import matplotlib
    from matplotlib.figure import Figure

    addresses = []
    with matplotlib.rc_context(STYLE):
        for timeline in report["timelines"][:MOST_TIMELINES]:
            figure = Figure(layout="constrained")
            draw_timeline(figure, timeline, BLUE, GREY)
            addresses.append(_address(figure))
    return addresses


def _size(figure: Any, report: dict[str, Any]) -> bool:
    rows = _rows(report, "by_size")
    left, right = figure.subplots(1, 2)
    _detection(left, rows)
    _bars(right, rows, "geodesic_median", BLUE)
    right.set(ylabel="degrees")
    right.set_title("Geodesic error, median", loc="left")
    for axes in (left, right):
        axes.set_xlabel("head size at the model's input, pixels")
    return bool(rows)


def _yaw(figure: Any, report: dict[str, Any]) -> bool:
    rows = [row for row in _rows(report, "by_yaw") if row["name"] != "no triple"]
    left, right = figure.subplots(1, 2)
    _detection(left, rows)
    _bars(right, rows, "geodesic_median", BLUE, -0.2, "geodesic, median")
    _bars(right, rows, "mae", GREY, 0.2, "angles, mean")
    right.set(ylabel="degrees")
    right.set_title("Error", loc="left")
    _legend(right)
    for axes in (left, right):
        axes.set_xlabel("|yaw| in degrees; 180: back of the head")
    return bool(rows)


def _detection(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    _bars(axes, rows, "recall", BLUE, -0.2, "recall")
    _bars(axes, rows, "precision", ORANGE, 0.2, "precision")
    axes.set(ylim=(0, 1.05), ylabel="share")
    axes.set_title("Detection", loc="left")
    _legend(axes)


def _legend(axes: Any) -> None:
    """Above the plot, where it hides nothing."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.02, 0.98), ncols=2, frameon=False, fontsize=7,
        handlelength=1, columnspacing=0.8, borderpad=0.2,
    )  # fmt: skip


def _error(figure: Any, report: dict[str, Any]) -> bool:
    curve = report["geodesic_curve"]
    if not curve:
        return False
    axes = figure.subplots()
    axes.plot(curve, [2 * i for i in range(len(curve))], color=BLUE)
    axes.set(
        xlabel="geodesic error, degrees", ylabel="% of heads below", ylim=(0, 101), xlim=(0, None)
    )
    axes.set_title("Distribution of the error")
    return True


def _conditions(figure: Any, report: dict[str, Any]) -> bool:
    names = (
        ("by_distance", "distance, m"),
        ("by_visible", "visible share"),
        ("by_people", "heads in the frame"),
    )
    known = [(rows, label) for name, label in names if len(rows := _rows(report, name)) > 1]
    if not known:
        return False
    figure.set_size_inches(2.15 * len(known), 2.4)
    for axes, (rows, label) in zip(
        figure.subplots(1, len(known), squeeze=False)[0], known, strict=True
    ):
        _bars(axes, rows, "geodesic_median", BLUE)
        axes.set(xlabel=label, ylabel="geodesic error, median, °")
    return True


def _reliability(figure: Any, report: dict[str, Any]) -> bool:
    found = report["calibration"]
    if not found:
        return False
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.plot(found["stated"], found["found"], color=BLUE, marker="o", markersize=2.5)
    axes.set(xlabel="stated share of errors", ylabel="share found within", aspect="equal")
    axes.text(0.97, 0.03, "overconfident", ha="right", color=GREY, transform=axes.transAxes)
    axes.text(0.03, 0.93, "too cautious", color=GREY, transform=axes.transAxes)
    axes.set_title(f"Reliability of the covariance (n = {found['n']})")
    return True


def _looking(figure: Any, report: dict[str, Any]) -> bool:
    found = report["looking"]
    if not found:
        return False
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.plot(found["false_alarm"], found["hit"], color=BLUE)
    at = found["at_angle"]
    axes.plot([at["false_alarm"]], [at["hit"]], "o", color=ORANGE, markersize=5)
    axes.annotate(
        f"within {found['angle']:g}°", (at["false_alarm"], at["hit"]), (7, 3),
        textcoords="offset points", color=ORANGE,
    )  # fmt: skip
    axes.set(xlabel="false alarms", ylabel="hits", aspect="equal", title="Looking at the camera")
    return True


def _bars(
    axes: Any,
    rows: Sequence[dict[str, Any]],
    name: str,
    colour: str,
    shift: float = 0.0,
    label: str | None = None,
) -> None:
    """A bar for each row with its interval, and below it the bin's name."""
    heights = [cell["value"] or 0 if (cell := row.get(name)) else 0 for row in rows]
    places = [i + shift for i in range(len(rows))]
    axes.bar(places, heights, 0.38 if shift else 0.6, color=colour, label=label)
    for place, row in zip(places, rows, strict=True):
        cell = row.get(name)
        if cell and cell["low"] is not None:
            axes.plot([place, place], [cell["low"], cell["high"]], color="#222222", linewidth=0.9)
    bins = [row["name"].removesuffix(" px").removesuffix(" m").rstrip("°") for row in rows]
    slanted = max(map(len, bins), default=0) * len(bins) > 26
    axes.set_xticks(range(len(rows)), bins, rotation=35 if slanted else 0, fontsize=7.5)
    axes.grid(visible=False, axis="x")


def _rows(report: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = report["tables"].get(name, {}).get("rows", [])
    return [row for row in rows if row["recall"]["n"]]
