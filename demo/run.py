# SPDX-License-Identifier: Apache-2.0
"""Camera images in, head poses out: plays images into the real node and shows its answers.

Without --source the images are photographs with free licences and rendered scenes, over which a
camera moves, recorded into a rosbag2 on the fly. The node runs as a process of its own; images,
poses and TF travel over DDS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.process import NodeError, end_with_a_signal, prepare_environment

OUT = Path(__file__).parent / "out"
EXAMPLES = """\
written into --out:
  heads.mp4           the images with boxes, head axes (blue: where the nose points) and yaw
  contact_sheet.png   some of them side by side
  result              rosbag2 (MCAP): images, camera_info, head poses and TF, original headers
  input               rosbag2 (MCAP) that was played, when there is no --source
  node.log            what the node printed

examples:
  python -m demo.run
  python -m demo.run --source talk.mp4 --frames 100
  python -m demo.run --source /dev/video0
  python -m demo.run --source recorded_bag --topic /camera/color/image_raw --realtime
"""


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        "python -m demo.run",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--source", metavar="S", help="video file, camera, picture, folder of pictures, or rosbag2")
    add("--topic", metavar="T", help="image topic of the bag (default: the one with most images)")
    add("--camera-info", metavar="T", help="its calibration (default: camera_info beside it)")
    add("--frames", type=_count, default=300, metavar="N", help="at most N frames; 0: all (300)")
    add("--realtime", action="store_true", help="do not wait for answers; late frames are dropped")
    add("--timeout", type=_seconds, default=60.0, metavar="S", help="seconds to wait (60)")
    add("--model", default="", metavar="M", help="folder or org/name (default: the embedded one)")
    add("--device", default="", metavar="D", help="cpu, cuda, ... (default: the best there is)")
    add("--out", type=Path, default=OUT, metavar="DIR", help="folder for the results (demo/out)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; the exit status: 1 after a message about what went wrong, 130 for Ctrl-C."""
    end_with_a_signal()
    try:
        options = parser().parse_args(arguments)
        return run(options)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def run(options: argparse.Namespace) -> int:
    prepare_environment()
    from demo.play import Options, play
    from demo.sources import open_source
    from hpe_vlm_ros.recordings.frames import ReplayError

    try:
        options.out.mkdir(parents=True, exist_ok=True)
        print("preparing the images", flush=True)
        source = open_source(
            options.source, options.out, options.topic, options.camera_info, options.frames or None
        )
        print(f"source: {source.name}", flush=True)
        how = Options(options.model, options.device, options.realtime, options.timeout)
        played = play(source, how, options.out / "node.log")
        show(played, options.out)
    except (ReplayError, NodeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 130 if played.interrupted and not source.live else 0


def show(played: Any, out: Path) -> None:
    """Writes the results and prints the table."""
    from demo.report import table, write_pictures, write_results

    if not played.sent:
        return
    print("writing the results", flush=True)
    files = [*write_pictures(played.sent, out), write_results(played.sent, out / "result")]
    print(f"\n{table(played)}\n")
    for file in files:
        print(f"wrote {file}")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("use 0 or more")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("use more than 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
