# SPDX-License-Identifier: Apache-2.0
"""Latency, age and memory of a soak over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.rig import Record

BLUE, ORANGE, GREY = "#1f6fb2", "#d9731a", "0.4"


def by_second(times: NDArray, values: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Seconds in which there are values, and the least and the greatest value of each."""
    seconds, where = np.unique(times.astype(int), return_inverse=True)
    low, high = np.full(len(seconds), np.inf), np.full(len(seconds), -np.inf)
    np.minimum.at(low, where, values)
    np.maximum.at(high, where, values)
    return seconds, low, high


def plot(record: Record, max_age: float, title: str, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    answers, rows = np.array(record.answers), np.array(record.resources)
    newest = np.array(record.newest)
    figure, axes = pyplot.subplots(
        3, 1, figsize=(9, 7.5), sharex=True, height_ratios=(2, 2, 1), layout="constrained"
    )
    latency, age, memory = axes
    minutes = answers[:, 0] / 60
    latency.plot(minutes, answers[:, 2], ".", ms=3, color=BLUE, label="image's stamp to publishing")
    latency.plot(minutes, answers[:, 1], ".", ms=3, color=ORANGE, label="of this, in the model")
    latency.set(title=title, ylabel="end-to-end latency, s", ylim=(0, None))
    latency.legend(loc="upper right", ncols=2)
    seconds, low, high = by_second(newest[:, 0], newest[:, 1])
    age.fill_between(
        seconds / 60, low, high, step="mid", color=BLUE, alpha=0.35, lw=0,
        label="age of the newest result, least to greatest of each second",
    )  # fmt: skip
    age.axhline(max_age, color=GREY, ls="--", lw=1, label="max_age, beyond which none is published")
    age.set(ylabel="result age, s", ylim=(0, None))
    age.legend(loc="upper right")
    memory.plot(rows[:, 0] / 60, rows[:, 1], color=GREY)
    memory.set(xlabel="minutes", ylabel="memory, MB", ylim=(0, None))
    for axis in axes:
        axis.grid(alpha=0.25)
    for axis in (latency, age):
        axis.set_ylim(0, 1.25 * axis.get_ylim()[1])  # room for the legend
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
