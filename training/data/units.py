# SPDX-License-Identifier: Apache-2.0
"""What one draw from the data is: a picture with some questions, a question about a head, or a body
or a thing with questions about its points.

The paper counts heads: 25,000 steps of 8 are 3.1 epochs of AGORA's 64,187 heads, and 10 % of the
rehearsal's references are 16.5 % of what stage 4 sees. Counted by pictures the same 10 % would be
57 %, since a picture of AGORA shows seven heads and a reference is one question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hpe_vlm_ros.geometry import angles_from_rotation

from .bodies import bodies_in
from .prompts import PackingOptions, is_taught
from .sample import Sample
from .things import group_count

UNITS = ("picture", "head", "body", "thing")
ALL, BOXES = -2, -1  # in place of a head's index: what the packing says, the list of boxes alone


def draws(samples: Sequence[Sample], unit: str, packing: PackingOptions, side: int) -> np.ndarray:
    """(N, 2) int: of every draw the sample and what is asked about it: ALL, BOXES, a head (of a
    body its head), or a group of points.

    With `unit` "picture" every sample is one draw. With "head" every head of known pose is one, and
    so is the list of boxes of every sample where `packing` teaches it. Which heads are taught is
    judged at `side` pixels of the model's input. With "body" everybody is one whose keypoints are
    marked and whose body is large enough. With "thing" every group of points of its things is one
    (`things.groups`). ValueError for another unit, and without such a body or thing.
    """
    if unit == "picture":
        return np.stack([np.arange(len(samples)), np.full(len(samples), ALL)], 1)
    if unit == "body":
        bodies = [(i, body) for i, sample in enumerate(samples) for body in bodies_in(sample)]
        if not bodies:
            raise ValueError(
                "no picture shows a body with keypoints: render scenes (python -m "
                "training.synthetic.render), or read COCO's keypoint files (python -m "
                "training.data coco)"
            )
        return np.array(bodies, np.intp)
    if unit == "thing":
        counts = [group_count(sample.things, packing.max_points) for sample in samples]
        if not sum(counts):
            raise ValueError(
                "no picture shows a thing with named points: render some (python -m "
                "training.synthetic.things.render), or read MP-100 (python -m training.data mp100)"
            )
        found = [(i, number) for i, count in enumerate(counts) for number in range(count)]
        return np.array(found, np.intp)
    if unit != "head":
        raise ValueError(f"data_options.unit is {unit!r}; it must be one of {', '.join(UNITS)}")
    found = [(i, what) for i, s in enumerate(samples) for what in _questions(s, packing, side)]
    return np.array(found, np.intp).reshape(-1, 2)


def _questions(sample: Sample, packing: PackingOptions, side: int) -> list[int]:
    scale = np.array([side / sample.width, side / sample.height] * 2)
    heads = [
        index
        for index, head in enumerate(sample.heads)
        if head.rotation is not None
        and is_taught(head.box * scale, head.visible, packing)
        and angles_from_rotation(head.rotation) is not None
    ]
    return [BOXES, *heads] if packing.detection and sample.all_heads else heads


REFERENCES = 42_404 + 42_278 + 42_226  # of RefCOCO, RefCOCO+ and RefCOCOg


@dataclass(frozen=True)
class Counts:
    """Pictures, and questions about heads, for lists of boxes, and of the rehearsal; `references`
    are those that the rehearsal is drawn from."""

    pictures: int
    heads: int
    boxes: int
    rehearsed: int
    references: int

    @classmethod
    def paper(cls, pictures: int, heads: int, ratio: float) -> Counts:
        """Table I at a rehearsal ratio; of lists of boxes it does not speak."""
        return cls(pictures, heads, 0, round(ratio * REFERENCES), REFERENCES)

    @classmethod
    def here(cls, draws: np.ndarray, pictures: int, references: int) -> Counts:
        """Of `draws` about `pictures` new pictures and about those rehearsed behind them."""
        what = draws[:, 1]
        boxes, rehearsed = int((what == BOXES).sum()), int((what == ALL).sum())
        return cls(pictures, int((what >= 0).sum()), boxes, rehearsed, references)

    @property
    def questions(self) -> int:
        """All that were drawn: about heads, lists of boxes, and rehearsed."""
        return self.heads + self.boxes + self.rehearsed

    @property
    def rehearsed_share(self) -> float:
        """Of the questions, 0..1."""
        return self.rehearsed / max(self.questions, 1)


def counts_table(ours: Counts, paper: Counts, drawn: int) -> str:
    """Both beside each other for people; `drawn` questions are asked in the whole stage."""
    rows: list[tuple[str, Callable[[Counts], str]]] = [
        ("pictures", lambda c: f"{c.pictures:,}"),
        ("questions about a head", lambda c: f"{c.heads:,}"),
        ("questions for all boxes", lambda c: f"{c.boxes:,}" if c.boxes else "-"),
        ("references", lambda c: f"{c.references:,}"),
        ("references rehearsed", lambda c: f"{c.rehearsed:,}"),
        ("share rehearsed", lambda c: f"{100 * c.rehearsed_share:.1f} %"),
        ("epochs", lambda c: f"{drawn / max(c.questions, 1):.2f}"),
    ]
    lines = [f"{'to learn from':<26}{'here':>12}{'Table I':>12}"]
    return "\n".join([*lines, *(f"{name:<26}{of(ours):>12}{of(paper):>12}" for name, of in rows)])
