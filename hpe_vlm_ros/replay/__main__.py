# SPDX-License-Identifier: Apache-2.0
"""`python -m hpe_vlm_ros.replay`, and `ros2 run hpe_vlm_ros replay`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from hpe_vlm_ros.recordings.frames import Recording, ReplayError
from hpe_vlm_ros.requirements import remedy

from .arguments import COMMANDS, parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 after a message about what went wrong, 3 when a gate is shut."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in (*COMMANDS, "-h", "--help"):
        given.insert(0, "run")
    options = parser().parse_args(given)
    try:
        return {"run": _run, "report": _report, "compare": _compare}[options.command](
            options, given
        )
    except (ReplayError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"error: {remedy(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what was perceived is kept: --resume goes on with it", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, given: list[str]) -> int:
    from hpe_vlm_ros.evaluation.gate import conditions
    from hpe_vlm_ros.recordings.sources import open_sources

    from .environment import command
    from .plan import Settings
    from .results import find_truth, write_results
    from .run import perceive_recordings, take_answers
    from .work import Loader, input_size

    wanted, shut_if = _wanted(options), conditions(options.fail_if, options.thresholds)
    recordings = open_sources(options.sources, options.topic, options.camera_info)
    truth = find_truth(recordings, wanted)
    _say(recordings, options)
    settings = Settings(
        "",
        options.max_heads,
        options.tiles,
        options.mirror,
        options.refine,
        options.every,
        options.frames,
        options.free_every,
        options.slice,
        options.rectified,
        options.rotate,
    )
    how: dict[str, Any] = {
        "command": command(given),
        "resume": options.resume,
        "overwrite": options.overwrite,
    }
    if options.answers is not None:
        source = options.answers, options.answers_topic
        size = input_size(options.model, options.download)
        store = take_answers(recordings, settings, source, size, options.out, **how)
    else:
        _say_of_cameras(recordings, options)
        threads = _threads(options)
        model = options.model, options.device, options.max_heads
        looks = options.tiles, options.mirror, options.refine
        load = Loader(*model, *looks, threads, options.download, options.adapter)
        how |= {"processes": options.processes, "ray_address": options.ray}
        how["quiet"] = options.quiet
        store = perceive_recordings(recordings, settings, load, options.out, **how)
    return _conclude(write_results(store, recordings, truth, wanted), options, shut_if)


def _report(options: argparse.Namespace, given: list[str]) -> int:
    from hpe_vlm_ros.evaluation.gate import conditions

    from .results import find_truth, recordings_of, write_results
    from .store import Store

    wanted, shut_if = _wanted(options), conditions(options.fail_if, options.thresholds)
    store = Store(options.run)
    recordings = recordings_of(store)
    # this command has neither option, which `_conclude` takes
    options.out, options.quiet = options.run, False
    truth = find_truth(recordings, wanted)
    _say(recordings, options)
    return _conclude(write_results(store, recordings, truth, wanted), options, shut_if)


def _compare(options: argparse.Namespace, given: list[str]) -> int:
    from hpe_vlm_ros.evaluation.compare import comparison_table, values
    from hpe_vlm_ros.evaluation.gate import conditions, shut
    from hpe_vlm_ros.recordings.writing import write_whole

    from .comparison import compare_runs

    shut_if = conditions(options.fail_if, options.thresholds)
    found = compare_runs(options.a, options.b, _scoring(options))
    print(comparison_table(found))
    if options.out:
        write_whole(options.out, _json(found, indent=1) + "\n")
    print(_json(found["scores"]))
    return shut(shut_if, values(found))


def _conclude(report: dict[str, Any], options: argparse.Namespace, shut_if: list[Any]) -> int:
    """Says what came out; the exit status. ReplayError when no frame could be read."""
    from hpe_vlm_ros.evaluation.gate import shut
    from hpe_vlm_ros.evaluation.report.notes import nothing_read, of_run
    from hpe_vlm_ros.evaluation.report.tables import table, values

    if why := nothing_read(report):
        raise ReplayError(why)
    for note in of_run(report):
        print(f"warning: {note}", file=sys.stderr)
    if not options.quiet:
        print(table(report))
        print(f"report: {options.out / 'report.html'}")
    print(_json({name: cell["value"] for name, cell in report["scores"].items()}))
    return shut(shut_if, values(report))


def _wanted(options: argparse.Namespace) -> Any:
    from hpe_vlm_ros.recordings.rerun_file import check_rerun
    from hpe_vlm_ros.recordings.tables import check_parquet

    from .results import Wanted

    if options.video and not options.save_images:
        raise ReplayError("--video shows people: add --save-images if that may be stored")
    if options.parquet:
        check_parquet()
    if options.rerun is not None:
        check_rerun(options.rerun)
    return Wanted(
        truth=options.truth,
        truth_topic=options.truth_topic,
        tolerance=int(options.truth_tolerance * 1e9),
        track=options.track or options.gestures,
        judge=_judge(options) if options.gestures else None,
        parquet=options.parquet,
        bag=not options.no_bag,
        video=options.video,
        rerun=options.rerun,
        save_images=options.save_images,
        scoring=_scoring(options),
    )


def _judge(options: argparse.Namespace) -> Any:
    """Of gestures: the model's own, or the rule where it has none."""
    from pathlib import Path

    from hpe_vlm_ros.people.gestures.asking import judge_in, judge_of
    from hpe_vlm_ros.remote.model import RemoteModel
    from hpe_vlm_ros.remote.settings import is_remote
    from hpe_vlm_ros.vlm.model_folder import default_folder

    model = getattr(options, "model", None)
    if model and is_remote(model):
        return judge_of(RemoteModel(model))
    return judge_in(Path(model).expanduser() if model else default_folder())


def _scoring(options: argparse.Namespace) -> Any:
    from hpe_vlm_ros.evaluation.metrics import Rules
    from hpe_vlm_ros.evaluation.summary import Scoring

    rules = Rules(min_size=options.min_size, min_visible=options.min_visible)
    # 0: every frame a block of its own, for which a nanosecond is short enough
    return Scoring(options.looking_angle, options.block_seconds or 1e-9, rules)


def _threads(options: argparse.Namespace) -> int | None:
    if options.threads is not None or options.processes == 1:
        return options.threads
    return max(1, (os.cpu_count() or 1) // options.processes)


def _say(recordings: Sequence[Recording], options: argparse.Namespace) -> None:
    """What was found, and what is amiss with it, before the long work."""
    from hpe_vlm_ros.recordings.frames import named_note

    for recording in recordings:
        if not options.quiet:
            topic = f" {recording.topic}" if recording.topic else ""
            print(f"{recording.id}{topic}: {len(recording.frames)} frames")
        for note in recording.notes:
            print(f"warning: {named_note(recording.id, note)}", file=sys.stderr)


def _say_of_cameras(recordings: Sequence[Recording], options: argparse.Namespace) -> None:
    from hpe_vlm_ros.recordings.frames import named_note

    from .work import first_problem

    for recording in recordings:
        if problem := first_problem(recording, options.rectified):
            print(f"warning: {named_note(recording.id, problem)}", file=sys.stderr)


def _json(content: Any, indent: int | None = None) -> str:
    import json

    return json.dumps(content, indent=indent, allow_nan=False)


if __name__ == "__main__":
    sys.exit(main())
