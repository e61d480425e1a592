# SPDX-License-Identifier: Apache-2.0
"""Learning curves of stages: validation errors against pictures learnt from.

    python -m training.evaluation.learning_curve runs/stage1 runs/decoder --out curve.png --chained

Each run is the OUT folder of a stage, or a log.jsonl. A panel for each measure that some run
logged: the error of the angle tokens, that of the vision tower's own read-out, recall. The last
line printed is one JSON object with where each run ended.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BATCH = 16  # pictures a step of the recipes in config/training


@dataclass(frozen=True)
class Measure:
    """A number of the log, how a panel names it, and its unit in that panel's."""

    key: str
    title: str
    unit: float = 1.0


MEASURES = (
    Measure("val_angle_error", "angle tokens:\nmean error, degrees"),
    # logged as a share of half a turn
    Measure("val_dense_angle", "tower's read-out:\nmean error, degrees", 180.0),
    Measure("val_recall", "recall of heads"),
)


@dataclass(frozen=True)
class Run:
    """points: by measure, (pictures seen, value), in order. end: pictures seen in all."""

    name: str
    points: dict[str, list[tuple[int, float]]]
    end: int


def read_run(path: Path, name: str, batch: int, before: int = 0) -> Run:
    """The validations of a log; of steps that a resumed run repeated, the last counts.

    `before` pictures were seen by earlier runs. Raises FileNotFoundError or ValueError naming what
    is wrong.
    """
    file = path / "log.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no log; name the OUT folder of a stage")
    found: dict[str, dict[int, float]] = {measure.key: {} for measure in MEASURES}
    last = 0
    for number, text in enumerate(file.read_text().splitlines(), start=1):
        try:
            line = json.loads(text)
            last = max(last, int(line["step"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}, line {number}: no line of a stage's log") from error
        for measure in MEASURES:
            if measure.key in line:
                found[measure.key][line["step"]] = measure.unit * line[measure.key]
    if not any(found.values()):
        raise ValueError(f"{file}: nothing was validated yet; wait for the first checkpoint")
    points = {
        key: [(before + step * batch, value) for step, value in sorted(values.items())]
        for key, values in found.items()
    }
    return Run(name, points, before + last * batch)


def draw(runs: Sequence[Run], out: Path) -> None:
    """One panel for each measure that any run has."""
    from matplotlib.figure import Figure  # takes a second to import

    shown = [m for m in MEASURES if any(run.points[m.key] for run in runs)]
    figure = Figure(figsize=(7.5, 0.8 + 2.2 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, measure in zip(panels, shown, strict=True):
        for number, run in enumerate(runs):
            points = [(pictures / 1000, value) for pictures, value in run.points[measure.key]]
            if points:
                axes.plot(
                    *zip(*points, strict=True), "o-", ms=3, color=f"C{number}", label=run.name
                )
        axes.set_ylabel(measure.title)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    panels[-1].set_xlabel("thousand pictures learnt from")
    figure.savefig(out, dpi=110)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m training.evaluation.learning_curve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", nargs="+", type=Path, help="OUT folders of stages, or their logs")
    add("--out", type=Path, default=Path("curve.png"), help="picture to write (curve.png)")
    add("--batch", nargs="+", type=int, default=[BATCH], metavar="N",
        help="pictures a step, one number for all runs or one for each (16)")  # fmt: skip
    add("--names", nargs="+", metavar="NAME", help="of the runs in the picture (their paths)")
    add("--chained", action="store_true", help="each run went on from the one before: add up")
    options = parser.parse_args(arguments)
    if len(options.batch) not in (1, len(options.runs)):
        parser.error(f"{len(options.batch)} numbers in --batch for {len(options.runs)} runs")
    options.names = options.names or [str(path) for path in options.runs]
    if len(options.names) != len(options.runs):
        parser.error(f"{len(options.names)} names for {len(options.runs)} runs")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw learning curves."""
    options = parse(arguments)
    sizes = options.batch * (len(options.runs) if len(options.batch) == 1 else 1)
    runs: list[Run] = []
    for path, name, size in zip(options.runs, options.names, sizes, strict=True):
        runs.append(read_run(path, name, size, runs[-1].end if options.chained and runs else 0))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw(runs, options.out)
    ends = {
        run.name: {"pictures": run.end}
        | {key: round(values[-1][1], 3) for key, values in run.points.items() if values}
        for run in runs
    }
    for name, end in ends.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in end.items()))
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
