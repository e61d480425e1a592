# SPDX-License-Identifier: Apache-2.0
"""The command line of the replay."""

from __future__ import annotations

import argparse
from pathlib import Path

from hpe_vlm_ros.model_options import add_model_options, count, positive
from hpe_vlm_ros.mounting import TURNS

from .plan import SLICE

COMMANDS = ("run", "report", "compare")

RUN = """\
Perceive every frame of recordings with the node's own perceiver, and report how well that went.

A recording is a rosbag2 (folder, .mcap or .db3; compressed or not), a video, or a folder of
pictures; a glob in quotes names many. Nothing is dropped, nothing depends on the machine's speed,
and an interrupted run goes on with --resume. Needs no ROS.

Written into --out:
  report.html, report.json   scores with intervals, plots, worst cases, and how to repeat it
  heads.csv                  every head (columns: docs/replay.md); --parquet for heads.parquet
  result/                    rosbag2 (MCAP): HeadPoseArray and TF under the images' own headers
No picture of anybody is written unless --save-images is given.
"""
RUN_EXAMPLES = """\
examples:
  ros2 run hpe_vlm_ros replay my_bag --out runs/a
  python -m hpe_vlm_ros.replay my_bag --out runs/a --truth labels.csv --fail-if "mae_yaw > 8"
  python -m hpe_vlm_ros.replay "bags/*" --out runs/all --processes 4
  python -m hpe_vlm_ros.replay run my_bag --out runs/live --answers live_bag
  python -m hpe_vlm_ros.replay compare runs/a runs/b
exit status: 0, 1 for an error, 3 when a --fail-if holds
"""
REPORT = """\
Score a run again, for instance with other ground truth or other rules; the model is not needed.
"""
COMPARE = """\
Paired differences, B minus A, over the frames that both runs perceived, with intervals.

In --fail-if, a measure's name is B's value; delta_NAME is the difference, and NAME.low, NAME.high
are the limits of its interval.
"""


def parser() -> argparse.ArgumentParser:
    """The command line: run, report and compare."""
    main = argparse.ArgumentParser(
        "replay",
        description=RUN,
        epilog=RUN_EXAMPLES + "`run` may be left out. `replay run --help` shows all options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="run|report|compare")
    run = _command(commands, "run", "perceive recordings and report", RUN, RUN_EXAMPLES)
    run.add_argument("sources", nargs="+", metavar="BAG", help="rosbag2, video or pictures")
    run.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for results")
    _input(run)
    _model(run)
    _work(run)
    _results(run)
    report = _command(commands, "report", "score a run again", REPORT)
    report.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    _results(report)
    compare = _command(commands, "compare", "compare two runs", COMPARE)
    compare.add_argument("a", type=Path, metavar="RUN_A", help="folder of a run: the old one")
    compare.add_argument("b", type=Path, metavar="RUN_B", help="folder of a run: the new one")
    compare.add_argument("--out", type=Path, metavar="FILE", help="also write the JSON to FILE")
    _scoring(compare)
    _gate(compare)
    return main


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help: str,
    description: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _input(to: argparse.ArgumentParser) -> None:
    add = to.add_argument_group("what is read").add_argument
    add(
        "--topic",
        action="append",
        default=[],
        metavar="T",
        help="image topic of the bags, may be repeated (default: the one with most images)",
    )
    add("--camera-info", metavar="T", help="its calibration (default: camera_info beside it)")
    add(
        "--rectified",
        choices=("auto", "true", "false"),
        default="auto",
        help="whether images are rectified, so that P of camera_info describes them (auto: if "
        "their topic is called image_rect...)",
    )
    add(
        "--rotate",
        type=int,
        choices=TURNS,
        default=0,
        help="degrees clockwise by which pictures must be turned to show people upright (0)",
    )
    add("--every", type=positive, default=1, metavar="N", help="perceive each N-th frame (1)")
    add(
        "--frames",
        type=count,
        default=0,
        metavar="N",
        help="at most N frames of each recording; 0: all (0)",
    )


def _model(to: argparse.ArgumentParser) -> None:
    add = to.add_argument_group("who answers").add_argument
    add_model_options(add)
    add(
        "--free-every",
        type=count,
        default=10,
        metavar="N",
        help="also ask about each N-th frame without grammar, for E_angle; 0: never (10)",
    )
    add(
        "--answers",
        type=Path,
        metavar="BAG",
        help="take the answers of a live node from BAG; --model says whose they are",
    )
    add("--answers-topic", metavar="T", help="its topic (default: the only HeadPoseArray)")


def _work(to: argparse.ArgumentParser) -> None:
    add = to.add_argument_group("how it is done").add_argument
    add("--processes", type=positive, default=1, metavar="N", help="on this machine (1)")
    add(
        "--threads",
        type=positive,
        metavar="N",
        help="of each process's arithmetic (default: cores divided by --processes)",
    )
    add(
        "--ray",
        metavar="ADDRESS",
        help='spread over a Ray cluster; "auto" finds one, "local" starts one here',
    )
    add(
        "--slice",
        type=positive,
        default=SLICE,
        metavar="N",
        help=f"frames that are kept or lost together ({SLICE})",
    )
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--overwrite", action="store_true", help="delete the run in --out first")
    add("--quiet", action="store_true", help="no progress bar, no table")


def _results(to: argparse.ArgumentParser) -> None:
    add = to.add_argument_group("what comes out").add_argument
    add("--truth", type=Path, metavar="FILE", help="ground truth: CSV, JSON or COCO-style JSON")
    add("--truth-topic", metavar="T", help="ground truth: a HeadPoseArray in the bags themselves")
    add(
        "--truth-tolerance",
        type=_seconds,
        default=0.001,
        metavar="S",
        help="by which stamps of truth and frame may differ (0.001)",
    )
    add(
        "--track",
        action="store_true",
        help="follow heads over time as the node does with `tracking`: ids, filtered poses",
    )
    add(
        "--gestures",
        action="store_true",
        help="also report nods, shakes and other gestures of heads; takes --track",
    )
    add("--parquet", action="store_true", help="also write heads.parquet (needs pyarrow)")
    add("--no-bag", action="store_true", help="write no result bag")
    add("--video", action="store_true", help="also write annotated videos (with --save-images)")
    add(
        "--rerun",
        type=Path,
        metavar="FILE",
        help="also write boxes, axes and angles of each person as FILE.rrd for the Rerun viewer "
        "(needs rerun-sdk); images in it with --save-images",
    )
    add(
        "--save-images",
        action="store_true",
        help="results may show people: images in the bag, pictures of the worst cases",
    )
    _scoring(to)
    _gate(to)


def _scoring(to: argparse.ArgumentParser) -> None:
    add = to.add_argument_group("rules").add_argument
    add(
        "--min-size",
        type=_seconds,
        default=32.0,
        metavar="PX",
        help="smallest head that counts: root of its box's area at the model's input (32)",
    )
    add(
        "--min-visible",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="least visible share of a head that counts (0.2)",
    )
    add(
        "--looking-angle",
        type=float,
        default=15.0,
        metavar="DEG",
        help="a head looks at the camera within this angle (15)",
    )
    add(
        "--block-seconds",
        type=_seconds,
        default=5.0,
        metavar="S",
        help="length of the blocks of time that the bootstrap draws (5)",
    )


def _gate(to: argparse.ArgumentParser) -> None:
    add = to.add_argument_group("gate for continuous integration").add_argument
    add(
        "--fail-if",
        action="append",
        default=[],
        metavar="COND",
        help='exit with 3 if it holds, such as "mae_yaw > 8"; may be repeated',
    )
    add("--thresholds", type=Path, metavar="FILE", help="such conditions, one a line")


def _seconds(text: str) -> float:
    if not (number := float(text)) >= 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number
