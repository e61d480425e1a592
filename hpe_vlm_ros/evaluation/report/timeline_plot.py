# SPDX-License-Identifier: Apache-2.0
"""The plot of a timeline: a strip of heads, and below it a row for each person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

AMBER, GAP = "#f0a020", "#dddddd"
STRIP, ROW = 0.95, 0.85  # inches high
WIDTH = 9.4


def draw_timeline(figure: Any, timeline: dict[str, Any], blue: str, grey: str) -> None:
    """Draws one of `evaluation.timeline.timelines` into a matplotlib figure, which gets its size.

    Yaw is blue, pitch grey, in degrees; amber is where a person looks at the camera, light grey
    where there was no answer about them.
    """
    people = timeline["people"]
    figure.set_size_inches(WIDTH, STRIP + ROW * len(people) + 0.45)
    axes = figure.subplots(
        1 + len(people), sharex=True, squeeze=False, height_ratios=[STRIP, *[ROW] * len(people)]
    )[:, 0]
    _strip(axes[0], timeline, blue)
    for row, person in zip(axes[1:], people, strict=True):
        _person(row, person, blue, grey)
    in_time = timeline["unit"] == "s"
    axes[-1].set_xlabel("seconds since the first frame" if in_time else "picture")
    axes[-1].set_xlim(0, len(timeline["heads"]) * timeline["bin"])
    figure.align_ylabels(axes)


def _strip(axes: Any, timeline: dict[str, Any], colour: str) -> None:
    width, heads = timeline["bin"], timeline["heads"]
    starts = [number * width for number in range(len(heads) + 1)]
    axes.stairs([h or 0 for h in heads], starts, fill=True, color=colour)
    for start, value in zip(starts, heads, strict=False):
        if value is None:
            axes.axvspan(start, start + width, color=GAP, linewidth=0)
    most = max((h for h in heads if h is not None), default=0)
    axes.set_ylim(0, max(1.0, math.ceil(most)) * 1.05)
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    axes.set_ylabel("heads", rotation=0, ha="right", va="center")


def _person(axes: Any, person: dict[str, Any], blue: str, grey: str) -> None:
    for spans, colour, alpha in ((person["gaps"], GAP, 1.0), (person["looking"], AMBER, 0.35)):
        for start, end in spans:
            axes.axvspan(start, end, color=colour, alpha=alpha, linewidth=0)
    for column, colour in ((2, grey), (1, blue)):
        times, values = _broken(person["points"], column, person["gaps"])
        axes.plot(times, values, color=colour, linewidth=1.1)
    shown = [abs(value) for point in person["points"] for value in point[1:]]
    reach = 90 if max(shown, default=0) <= 90 else 180
    axes.set(ylim=(-reach, reach), yticks=(-reach, 0, reach))
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylabel(person["id"], rotation=0, ha="right", va="center")


def _broken(
    points: Sequence[Sequence[float]], column: int, gaps: Sequence[Sequence[float]]
) -> tuple[list[float], list[float]]:
    """A curve that is interrupted over gaps, and where an angle goes around at 180 degrees."""
    times, values = list[float](), list[float]()
    for point in points:
        time, value = point[0], point[column]
        if times:
            around = abs(value - values[-1]) > 180
            if around or any(times[-1] <= start and end <= time for start, end in gaps):
                times.append(time)
                values.append(math.nan)
        times.append(time)
        values.append(value)
    return times, values
