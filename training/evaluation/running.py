# SPDX-License-Identifier: Apache-2.0
"""Ask a model about many scenes: in several processes, and resumed where a run was stopped."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hpe_vlm_ros.perceiver import HeadPerceiver

from ..data.json_lines import whole_lines
from ..data.sample import Sample
from .asking import PARTS, SAID, VARIANTS, ask_scene

Load = Callable[[], HeadPerceiver]
Task = tuple[Sample, tuple[str, ...]]


def tasks_of(
    samples: list[Sample], variants: int, parts: tuple[str, ...] = PARTS
) -> dict[str, Task]:
    """What to ask about each scene, by the scene's name: `variants` of them, evenly spread, are
    asked about output formats and paraphrases too."""
    step = len(samples) / variants if variants else 0
    more = {round(number * step) for number in range(min(variants, len(samples)))}
    asked = [(*parts, VARIANTS) if index in more else parts for index in range(len(samples))]
    names = [_name(sample) for sample in samples]
    return dict(zip(names, zip(samples, asked, strict=True), strict=True))


def _name(sample: Sample) -> str:
    """Of a scene; a photograph comes up once for every reference to something in it."""
    references = [f"#{e.ref_id}" for e in sample.expressions if e.ref_id is not None]
    return "/".join(sample.image_path.parts[-3:]) + "".join(references)


def ask_all(
    load: Load,
    tasks: dict[str, Task],
    kept: Path | None = None,
    workers: int = 1,
    title: str = "asking",
) -> dict[str, dict[str, Any]]:
    """Answers by scene, as `ask_scene` gives them.

    `load` gives the model, in every process anew. With `kept`, a file of JSON lines, answers are
    written as they come, and scenes that are in it are not asked again. ValueError where that file
    is of other scenes.
    """
    answers = dict(_read(kept, tasks)) if kept else {}
    left = {name: task for name, task in tasks.items() if name not in answers}
    with tqdm(total=len(tasks), initial=len(answers), desc=title, unit="scene") as bar:
        for name, fresh in _asked(load, left, workers):
            answers[name] = fresh
            if kept:
                with kept.open("a") as file:
                    file.write(json.dumps({"scene": name} | fresh) + "\n")
            bar.update()
    return {name: answers[name] for name in tasks}


def _read(kept: Path, tasks: dict[str, Task]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Answers of an earlier run; a last line that a kill cut short is dropped."""
    for row in whole_lines(kept):
        name = row.pop("scene")
        if name not in tasks:
            raise ValueError(f"{kept} has answers about other scenes ({name}): give another --out")
        if all(SAID[part] in row for part in tasks[name][1]):
            yield name, row


_MODEL: list[HeadPerceiver] = []


def _start(load: Load) -> None:
    _MODEL[:] = [load()]


def _ask(task: tuple[str, Task]) -> tuple[str, dict[str, Any]]:
    name, (sample, parts) = task
    return name, ask_scene(_MODEL[0], sample, parts)


def _asked(
    load: Load, tasks: dict[str, Task], workers: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    if not tasks:
        return
    if workers <= 1:
        _start(load)
        yield from map(_ask, tasks.items())
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start, (load,)) as pool:
        yield from pool.imap_unordered(_ask, tasks.items())
