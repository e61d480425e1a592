# SPDX-License-Identifier: Apache-2.0
"""Checks a downloaded data set and, if asked, writes its labels as lines that every stage reads.

python -m training.data crowdhuman annotation_train.odgt Images/ --min_side 16
python -m training.data panoptic panoptic-toolbox/ --part val --decode
python -m training.data agora Cam/ images/ --output agora/labels.jsonl
python -m training.data coco person_keypoints_val2017.json val2017/ --output coco/labels.jsonl
python -m training.data scenes scenes/ --coco scenes/person_keypoints.json
"""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from textwrap import dedent

from jsonargparse import ArgumentParser, DefaultHelpFormatter
from tqdm import tqdm

from .labels import write_labels
from .readers.coco import coco_file
from .readers.common import Report
from .readers.registry import READERS
from .sample import Sample


class _Help(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of a description."""


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m training.data", description=__doc__, formatter_class=_Help
    )
    commands = parser.add_subcommands(required=True)
    for name, reader in READERS.items():
        about, *more = (reader.__doc__ or "").split("Args:")[0].strip().split("\n\n", 1)
        text = "\n\n".join([about, *map(dedent, more)])
        command = ArgumentParser(description=text, formatter_class=_Help)
        command.add_function_arguments(reader, skip={"report"}, as_group=False, as_positional=True)
        command.add_argument(
            "--decode", action="store_true", help="read every pixel too: finds truncated pictures"
        )
        command.add_argument("--output", type=Path | None, help="where to write the labels, .jsonl")
        command.add_argument(
            "--coco", type=Path | None, help="where to write keypoints in a file as COCO's, .json"
        )
        commands.add_subcommand(name, command)
    return parser


def check_pixels(samples: list[Sample], report: Report) -> list[Sample]:
    """The samples whose pictures decode to the end; the others are counted."""
    whole = []
    for sample in tqdm(samples, unit="picture"):
        try:
            sample.load()
        except ValueError:
            report.leave_out("picture damaged", sample.image_path)
            report.kept["images"] -= 1
            report.kept["heads"] -= len(sample.heads)
            report.kept["expressions"] -= len(sample.expressions)
            if sample.things:
                report.kept["things"] -= len(sample.things)
        else:
            whole.append(sample)
    return whole


def main(arguments: list[str] | None = None) -> None:
    """Read, report, and write what was asked for."""
    chosen = _parser().parse_args(arguments)
    options = chosen[chosen.subcommand].as_dict()
    decode, output, coco = (options.pop(name) for name in ("decode", "output", "coco"))
    report = Report(printed=True)
    takes_report = {} if chosen.subcommand == "scenes" else {"report": report}
    try:
        samples = READERS[chosen.subcommand](**options, **takes_report)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    if not takes_report:
        report.finish(samples)
    if decode:
        samples = check_pixels(samples, report)
    print(report)
    if output is not None:
        write_labels(output, tqdm(samples, unit="label"))
        print(f"wrote {len(samples):,} labels to {output}")
    if coco is not None:
        coco.parent.mkdir(parents=True, exist_ok=True)
        content = coco_file(samples, coco.parent)
        coco.write_text(json.dumps(content), encoding="utf-8")
        print(f"wrote {len(content['annotations']):,} bodies to {coco}")


if __name__ == "__main__":
    main()
