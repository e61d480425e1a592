# SPDX-License-Identifier: Apache-2.0
"""Ninety questions about people: thirty scenes, each with one of every kind of `data.telling`.

    python -m training.evaluation.twin SCENES --model MODEL [--keep FILE]

In the role of LLaVA-Pose's benchmark, but rules judge the answers, not a language model: yes or no
and boxes have to be right (IoU 0.5); a description has to say at least half of what is certain of
everybody together, and nothing that certainly is not so; of who may want attention the same people
have to be named. Models that answer in words are asked, before and after training; others are
refused by name. Prints a table and, as the last line, one JSON object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from hpe_vlm_ros.geometry import box_iou
from hpe_vlm_ros.perceiver import HeadPerceiver

from ..data.labels import read_labels
from ..data.sample import Instruction, Sample
from ..data.telling import (
    CONVERSATION,
    DESCRIPTION,
    KINDS,
    PREDICATES,
    Somebody,
    instructions_of,
    people_of,
)

SCENES = 30
IOU, HALF = 0.5, 0.5
_BOX = re.compile(r"\[\[(\d{3}),(\d{3}),(\d{3}),(\d{3})\]\]")
Ask = Callable[[Sample, str], str]


def questions(samples: Sequence[Sample], count: int = SCENES) -> list[tuple[Sample, Instruction]]:
    """One question of every kind about each of the first `count` scenes that have all kinds; of
    conversations now one of yes, one of no, and one of which. ValueError where scenes are too few.
    """
    chosen: list[tuple[Sample, Instruction]] = []
    for sample in samples:
        asked = instructions_of(sample)
        if {one.kind for one in asked} != set(KINDS):
            continue
        rng = np.random.default_rng(len(chosen))
        talk = [one for one in asked if one.kind == CONVERSATION]
        forms = sorted({one.answer[0] for one in talk})
        wanted = forms[len(chosen) // len(KINDS) % len(forms)]
        fitting = [one for one in talk if one.answer[0] == wanted]
        chosen.append((sample, fitting[rng.integers(len(fitting))]))
        chosen += [(sample, one) for one in asked if one.kind != CONVERSATION]
        if len(chosen) == count * len(KINDS):
            return chosen
    raise ValueError(
        f"only {len(chosen) // len(KINDS)} scenes of {count} have certain answers of every kind: "
        "give more of them, with keypoints in their labels"
    )


def is_right(sample: Sample, instruction: Instruction, answer: str) -> bool:
    """Whether an answer is, by the rules above."""
    if instruction.kind == DESCRIPTION:
        return _describes(people_of(sample), answer)
    if instruction.kind == CONVERSATION and not instruction.answer.startswith("[["):
        word = re.match(r"\W*(yes|no)\b", answer.lower())
        return word is not None and instruction.answer.lower().startswith(word.group(1))
    return _same_boxes(boxes_in(instruction.answer), boxes_in(answer))


def boxes_in(text: str) -> np.ndarray:
    """(N, 4) grid cells of all boxes that a text names."""
    return np.array(_BOX.findall(text), dtype=float).reshape(-1, 4)


def _same_boxes(true: np.ndarray, predicted: np.ndarray) -> bool:
    """Whether both name the same places, each once; of none, that none is named."""
    if len(true) != len(predicted):
        return False
    overlap = box_iou(predicted, true) > IOU
    return bool((overlap.sum(0) == 1).all() and (overlap.sum(1) == 1).all())


def _describes(people: Sequence[Somebody], answer: str) -> bool:
    """Whether what is said of each box that is named is so, and says enough."""
    places = np.array([one.box for one in people], dtype=float).reshape(-1, 4)
    stated = hit = 0
    for box, sentence in _sentences(answer):
        overlap = box_iou([box], places)[0] if len(places) else np.zeros(1)
        if overlap.max() <= IOU:
            return False
        facts = people[int(overlap.argmax())].facts
        claimed = [name for name, predicate in PREDICATES.items() if predicate in sentence]
        if any(facts.get(name) is False for name in claimed):
            return False
        hit += sum(bool(facts.get(name)) for name in claimed)
        stated += 1
    certain = sum(holds for one in people for name, holds in one.facts.items() if _tellable(name))
    return stated > 0 and hit >= HALF * certain


def _tellable(name: str) -> bool:
    return name not in ("leftmost", "rightmost", "left hand raised", "right hand raised")


def _sentences(answer: str) -> Iterator[tuple[list[float], str]]:
    """Each box of an answer with the words behind it, up to the next one."""
    found = list(_BOX.finditer(answer))
    ends = [*(one.start() for one in found[1:]), len(answer)]
    for one, end in zip(found, ends, strict=False):  # without a box there is one end too many
        yield [float(value) for value in one.groups()], answer[one.end() : end]


def judged(asked: Sequence[tuple[Sample, Instruction]], ask: Ask) -> dict[str, Any]:
    """The share of right answers, of all and by kind, with how many there are."""
    verdicts: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for sample, instruction in asked:
        verdicts[instruction.kind].append(
            is_right(sample, instruction, ask(sample, instruction.question))
        )
    every = [right for one in verdicts.values() for right in one]
    shares = {kind: float(np.mean(one)) for kind, one in verdicts.items()}
    return {"questions": len(every), "right": float(np.mean(every))} | shares


def main(data: Path, model: Path | None = None, keep: Path | None = None) -> None:
    """Ask a model.

    Args:
        data: folder of labelled scenes with keypoints that were never learnt.
        model: model folder, or the address of a server; it must answer in words.
        keep: also write the numbers here.
    """
    perceiver = HeadPerceiver.load(model)
    if not perceiver.free_text:
        raise ValueError(f"{perceiver.model_id} has a closed vocabulary: it tells no sentences")
    asked = questions(read_labels(data))
    numbers = judged(asked, lambda sample, question: perceiver.ask(sample.load(), question))
    print(f"{perceiver.model_id}, {numbers['questions']} questions")
    for kind in KINDS:
        print(f"{kind:<14}{100 * numbers[kind]:>6.1f} % right")
    print(f"{'all':<14}{100 * numbers['right']:>6.1f} % right")
    last = json.dumps({"model": perceiver.model_id} | numbers)
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        keep.write_text(last + "\n")
    print(last)


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
