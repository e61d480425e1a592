# SPDX-License-Identifier: Apache-2.0
"""Stage 5: score a model folder on labelled scenes.

    python -m training.stage5_evaluate --workers 2 --out runs/scored [--model models/embedded]

Asked is: where heads are and how they are turned, end to end; the pose of every true box, as in the
paper, with and without a grammar; where somebody described in words is, in pairs of traits that
training withheld; and, about some scenes, the paper's looser ways of getting valid numbers
(`training.evaluation.parsing`) and its other wordings of the question.

OUT keeps the answers: give the same command again after a kill and it goes on. OUT/result.json
holds every number. Prints tables for people and, as the last line, one JSON object for programs.
"""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any
from zlib import crc32

from jsonargparse import auto_cli

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.experts import FOLDER
from hpe_vlm_ros.vlm.hub import find_model
from hpe_vlm_ros.vlm.model_folder import fingerprint, load_facts
from hpe_vlm_ros.vlm.refiner import CONFIG, NAME

from .data.labels import read_labels
from .data.sample import Sample
from .evaluation.asking import REFERRING
from .evaluation.measures import AnsweredScene, evaluation, referring
from .evaluation.results import RESULTS, for_json, grouped_table, result, stored, tables
from .evaluation.running import ask_all, tasks_of
from .evaluation.table_three import numbers as table_numbers
from .evaluation.table_three import set_name, table
from .testsets import PANOPTIC

TITLES = {
    "formats": "OUTPUT FORMAT",
    "prompts": "PROMPT",
    "ranges": "RANGE",
    "scenes": "FREE ANSWERS",
    "tones": "SKIN",
    "shown": "SHOWS",
    "views": "CAMERA IS",
    "lenses": "SEES, DEGREES",
}


def asked_of(samples: list[Sample], answers: dict[str, Any], side: int) -> list[AnsweredScene]:
    """Scenes with their answers, in order; `side` of the model's input in pixels."""
    return [
        AnsweredScene(sample, answer, (side / sample.width, side / sample.height))
        for sample, answer in zip(samples, answers.values(), strict=True)
    ]


def _kept(out: Path | None, model: Path, rounding: str = "none", of: str = "") -> Path | None:
    """The file for a model's answers; other weights, configuration or rounding have another."""
    if out is None:
        return None
    refiner = model / FOLDER / NAME / CONFIG
    refining = refiner.read_bytes() if refiner.is_file() else b""
    settings = crc32((model / "config.json").read_bytes() + rounding.encode() + refining)
    return out / f"answers-{fingerprint(model)}-{settings:08x}{of}.jsonl"


def _base_accuracy(
    base: Path,
    samples: list[Sample],
    scenes: dict[str, Any],
    ask: Any,
    out: Path | None,
    threads: int | None,
) -> tuple[float | None, str]:
    """The base's accuracy of expressions, by asking a model folder or from a kept result."""
    if not base.is_dir():
        return stored(base, "rec_acc", scenes)
    load = partial(HeadPerceiver.load, base, threads=threads)
    answers = ask(load, tasks_of(samples, 0, (REFERRING,)), _kept(out, base), title="base")
    side = load_facts(base).image_size
    words = for_json(referring(asked_of(samples, answers, side)))
    return words["rec_acc"], f"of {base}"


def main(
    model: Path | None = None,
    data: Path = PANOPTIC,
    out: Path | None = None,
    base: Path = RESULTS / "base_grounding.json",
    sixdrepnet: Path = RESULTS / "sixdrepnet.json",
    variants: int = 300,
    limit: int | None = None,
    device: str | None = None,
    quantization: str = "none",
    workers: int = 1,
    threads: int | None = None,
    note: str = "",
    keep: Path | None = None,
    counted_at: int | None = None,
    references: list[Path] | None = None,
) -> None:
    """Score a model.

    Args:
        model: model folder, or the name of a model on the hub that is in the cache; without it the
            embedded default of the package.
        data: folder of labelled scenes.
        out: folder that keeps answers and result.json; without it nothing is kept.
        base: the base model, to compare its understanding of expressions: its folder, or the
            result.json of its own evaluation.
        sixdrepnet: result file of `training.reproduction.baselines.sixdrepnet`.
        variants: so many scenes, evenly spread, are asked about output formats and wordings too.
        limit: only the first so many scenes.
        device: such as cpu or cuda; without it the best there is.
        quantization: int8 or int4 rounds PyTorch's weights.
        workers: processes that share the scenes, each with a model of its own.
        threads: threads of each process; without it all cores for one process, else one.
        note: what the model was trained on and for how long, for the report.
        keep: also write the numbers here, for the report:
            training/reproduction/results/stage4.json.
        counted_at: heads count from 32 pixels on in pictures of this size; without it, of the size
            of the model's input. The same for all makes models of several sizes comparable.
        references: folders refcoco, refcoco+ and refcocog with the labels of their public test
            parts; then the paper's Table III is printed with a row of the model's, in which every
            head counts.
    """
    named = {set_name(place): read_labels(place, limit) for place in references or []}
    folder = find_model(model)
    samples = read_labels(data, limit)
    if out:
        out.mkdir(parents=True, exist_ok=True)
    ask = partial(ask_all, workers=workers)
    threads = threads or (1 if workers > 1 else None)
    load = partial(HeadPerceiver.load, folder, device, threads=threads, quantization=quantization)
    if workers <= 1:
        load = cache(load)  # a large model takes minutes
    answers = ask(load, tasks_of(samples, variants), _kept(out, folder, quantization))
    side = counted_at or load_facts(folder).image_size
    asked, referring = asked_of(samples, answers, side), {}
    for name, refs in named.items():
        kept = _kept(out, folder, quantization, f"-{name}")
        replies = ask(load, tasks_of(refs, 0, (REFERRING,)), kept, title=name)
        referring[name] = asked_of(refs, replies, side)
    scenes = {"data": data.name, "pictures": len(samples)}
    made = {"model": fingerprint(folder), **scenes, "side": side, "note": note}
    numbers = made | result(asked)
    compared = {
        "rec_acc_base": _base_accuracy(base, samples, scenes, ask, out, threads),
        "sixdrepnet_mae": stored(sixdrepnet, "mae", scenes),
    }
    numbers["summary"] |= {name: value for name, (value, _) in compared.items()}
    if referring:
        numbers["table_three"] = for_json(table_numbers(asked, referring))
    for path in filter(None, (out / "result.json" if out else None, keep)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(numbers, indent=1) + "\n")
    print(f"{folder} on {len(samples)} scenes of {data.name}\n")
    print(report(asked, numbers))
    if referring:
        print("\n" + table(numbers["table_three"], folder.name) + "\n")
    for name, (value, origin) in compared.items():
        print(f"{name}: {'null' if value is None else value}, {origin}")
    print(json.dumps(numbers["summary"]))


def report(asked: list[AnsweredScene], numbers: dict[str, Any]) -> str:
    """All tables for people."""
    parts = [tables(evaluation(asked))]
    parts += [grouped_table(title, numbers[name]) for name, title in TITLES.items()]
    return "\n\n".join([*filter(None, parts), _words(numbers["summary"])])


def _words(short: dict[str, Any]) -> str:
    accuracy = {name: short[name] for name in ("rec_acc", "rec_acc_taught")}
    shown = {name: "-" if v is None else f"{100 * v:.1f} %" for name, v in accuracy.items()}
    return (
        f"People described in words, of {short['rec_answers']} asked for: {shown['rec_acc']} found "
        f"by the {short['rec_asked']} pairs of traits\nnever taught, {shown['rec_acc_taught']} by "
        "others (IoU 0.5, of valid answers)."
    )


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
