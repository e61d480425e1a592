# SPDX-License-Identifier: Apache-2.0
"""A report as a table for the terminal, and as plain values by name."""

from __future__ import annotations

from typing import Any

UNITS = {
    "mae": "°", "mae_yaw": "°", "mae_pitch": "°", "mae_roll": "°", "mae_front": "°",
    "mae_back": "°", "geodesic_mean": "°", "geodesic_median": "°",
    "geodesic_p90": "°", "jitter_median": "°", "jitter_p90": "°",
}  # fmt: skip
LABELS = {
    "recall": "Recall",
    "precision": "Precision",
    "mae": "Mean absolute error of the angles",
    "mae_yaw": "Yaw error, mean",
    "mae_pitch": "Pitch error, mean",
    "mae_roll": "Roll error, mean",
    "mae_front": "Angle error, front (|yaw| < 90°)",
    "mae_back": "Angle error, back (|yaw| >= 90°)",
    "geodesic_mean": "Geodesic error, mean",
    "geodesic_median": "Geodesic error, median",
    "geodesic_p90": "Geodesic error, 90 % are below",
    "looking_auc": "Looking at the camera, area under ROC",
    "within_1_sigma": "Errors within 1 stated sigma (68 %)",
    "within_2_sigma": "Errors within 2 stated sigma (95 %)",
    "e_angle": "E_angle: invalid answers without grammar",
    "frames_with_heads": "Frames with at least one head",
    "heads_per_frame": "Heads in a frame",
    "jitter_median": "Jitter on still heads, median",
    "jitter_p90": "Jitter on still heads, 90 % are below",
    "box_jitter_median": "Box jitter on still heads, of its side",
    "breaks_per_100_heads": "Track breaks in 100 heads",
}


def values(report: dict[str, Any]) -> dict[str, float | None]:
    """Every measure by its name, NAME.low and NAME.high, and the numbers under `times`."""
    found: dict[str, float | None] = {}
    for name, cell in report["scores"].items():
        found |= {name: cell["value"], f"{name}.low": cell["low"], f"{name}.high": cell["high"]}
    times = report["times"]
    return found | {k: float(v) for k, v in times.items() if isinstance(v, (int, float))}


def number(value: float | None, name: str = "") -> str:
    """For people: degrees to 0.1, shares to 0.001; a dash where there is none."""
    if value is None:
        return "–"
    unit = UNITS.get(name, "")
    return f"{value:.1f}{unit}" if unit else f"{value:.3f}"


def table(report: dict[str, Any]) -> str:
    """The scores, one a line."""
    lines = [f"{'':<44}{'value':>9}{'95 % interval':>20}{'n':>9}"]
    for name, label in LABELS.items():
        cell = report["scores"].get(name)
        if cell is None or not cell["n"]:
            continue
        low, high = number(cell["low"], name), number(cell["high"], name)
        span = "" if cell["low"] is None else f"{low} to {high}"
        lines.append(f"{label:<44}{number(cell['value'], name):>9}{span:>20}{cell['n']:>9}")
    if not report["intervals"]["reliable"]:
        lines.append(f"Intervals rest on {report['intervals']['blocks']} blocks only: too few.")
    times = report["times"]
    if "latency_p50_ms" in times:
        lines.append(
            f"Model: {times['latency_p50_ms']:.0f} ms a frame (median), "
            f"{times['latency_p95_ms']:.0f} ms (95 %), {times['model_fps']:.1f} frames a second"
        )
    return "\n".join(lines)
