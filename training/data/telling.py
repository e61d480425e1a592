# SPDX-License-Identifier: Apache-2.0
"""Questions and answers in words about people of labelled pictures, from exact geometry alone.

    python -m training.data.telling SCENES OUT

writes OUT/labels.jsonl: the same pictures with conversations, descriptions and reasoning (the
three kinds of LLaVA-Pose, arXiv 2506.21317, made without a language model). A statement counts
only where it certainly holds or certainly does not: every keypoint it uses is seen, and every angle
and distance is clear of its border. What is not certain is neither asked nor told.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli

from hpe_vlm_ros.facing import facing_probabilities
from hpe_vlm_ros.geometry import gaze_rotation
from hpe_vlm_ros.rays import ray_to, usual_camera
from hpe_vlm_ros.tasks import facing
from hpe_vlm_ros.tasks.grid import box_text, grid_box
from hpe_vlm_ros.tasks.referring import format_referred

from .acts import all_of, any_of, facts_of
from .labels import read_labels, write_labels
from .sample import Head, Instruction, Sample

CONVERSATION, DESCRIPTION, REASONING = KINDS = ("conversation", "description", "reasoning")
PREDICATES = {  # in the order of a description's clauses
    "standing": "is standing",
    "sitting": "is sitting",
    "knees bent": "has bent knees",
    "left hand raised": "has the left hand raised",
    "right hand raised": "has the right hand raised",
    "both hands raised": "has both hands raised",
    "arms crossed": "has crossed arms",
    "hand at the face": "has a hand at the face",
    "frontal": "is facing the front",
    "left": "is facing the left side of the image",
    "right": "is facing the right side of the image",
    "up": "is facing up",
    "down": "is facing down",
    "extreme": "is turned far from the front",
    "looking": "is looking at the camera",
    "nearest": "is nearest to the camera",
    "leftmost": "is the leftmost person",
    "rightmost": "is the rightmost person",
}
WITHOUT = {"knees bent", "left hand raised", "right hand raised", "leftmost", "rightmost"}
"""Not clauses of a description: what others say as well, or what the order tells."""
ASKED_OF_ONE = {"nearest", "leftmost", "rightmost"}
"""Which one, never whether."""
SPREAD, SURE = 5.0, 0.95  # degrees that a head may be off and still face the same way; how surely
LOOKING, NOT_LOOKING = 10.0, 25.0  # degrees between gaze and camera
NEARER = 1.25  # times as near as the next
APART = 0.04  # of the picture's width
LEAST_SIZE, LEAST_VISIBLE = 16.0, 0.5  # of heads that are spoken of: pixels, share
DESCRIBE = "What are the people in this image doing?"
REASON = "Who in this image may want attention, and why?"
NOBODY = "Nobody asks for attention: nobody with a raised hand is looking at the camera."


@dataclass(frozen=True)
class Somebody:
    """A person of a picture: box of the head on the grid, and statements of PREDICATES that hold or
    do not; those that are left out are not certain."""

    box: tuple[int, int, int, int]
    facts: dict[str, bool]

    @property
    def name(self) -> str:
        """As sentences about the person begin."""
        return f"the person inside the bounding box [[{box_text(self.box)}]]"


def people_of(sample: Sample) -> list[Somebody]:
    """Everybody who can be spoken of, from left to right."""
    heads = [head for head in sample.heads if _is_clear(head)]
    heads.sort(key=lambda head: float(head.box[0] + head.box[2]))
    found = [_own_facts(head, sample) for head in heads]
    if sample.all_heads and len(heads) == len(sample.heads) > 1:
        for facts, more in zip(found, _among_all(heads, sample.width), strict=True):
            facts |= more
    boxes = [grid_box(head.box, sample.width, sample.height) for head in heads]
    return [Somebody(box, facts) for box, facts in zip(boxes, found, strict=True)]


def _is_clear(head: Head) -> bool:
    sides = head.box[2:] - head.box[:2]
    return bool(head.visible >= LEAST_VISIBLE and (sides >= LEAST_SIZE).all())


def _own_facts(head: Head, sample: Sample) -> dict[str, bool]:
    facts = {} if head.keypoints is None else facts_of(head.keypoints)
    if head.rotation is None or not head.is_exact:
        return facts
    odds = facing_probabilities(head.rotation, np.eye(3) * np.radians(SPREAD) ** 2)
    for name, share in zip(facing.LABELS, odds, strict=True):
        if share > SURE or share < 1 - SURE:
            facts[name] = bool(share > SURE)
    known = sample.camera
    size = (sample.height, sample.width)
    ray = ray_to(usual_camera(size) if known is None else known.matrix, head.box)
    gaze = gaze_rotation(head.rotation)[:, 2]
    away = np.degrees(np.arccos(np.clip(-gaze @ ray / np.linalg.norm(ray), -1, 1)))
    if known is not None and not LOOKING <= away <= NOT_LOOKING:
        facts["looking"] = bool(away < LOOKING)
    return facts


def _among_all(heads: Sequence[Head], width: float) -> list[dict[str, bool]]:
    """Who is nearest, leftmost and rightmost of heads from left to right, where that is clear."""
    found: list[dict[str, bool]] = [{} for _ in heads]
    middles = [float(head.box[0] + head.box[2]) / 2 / width for head in heads]
    ends = {"leftmost": (0, 1), "rightmost": (len(heads) - 1, len(heads) - 2)}
    for name, (one, other) in ends.items():
        if abs(middles[one] - middles[other]) > APART:
            _only(found, name, one)
    places = [head.position for head in heads]
    if all(place is not None for place in places):
        away = [float(np.linalg.norm(place)) for place in places if place is not None]
        first, second = np.argsort(away)[:2]
        if away[second] > NEARER * away[first]:
            _only(found, "nearest", int(first))
    return found


def _only(found: list[dict[str, bool]], name: str, one: int) -> None:
    for index, facts in enumerate(found):
        facts[name] = index == one


def instructions_of(sample: Sample) -> list[Instruction]:
    """All that can be asked about a picture with certain answers."""
    people = people_of(sample)
    everybody = sample.all_heads and len(people) == len(sample.heads)
    found = [asked for one in people for asked in _whether(one)]
    if everybody:
        found += [*_which(people), *_description(people), *_reasoning(people)]
    return found


def _whether(one: Somebody) -> Iterator[Instruction]:
    """Yes or no, about one person."""
    for name, holds in one.facts.items():
        if name in ASKED_OF_ONE:
            continue
        verb, _, rest = PREDICATES[name].partition(" ")
        question = f"Is {one.name} {rest}?" if verb == "is" else f"Does {one.name} have {rest}?"
        denied = f"is not {rest}" if verb == "is" else f"does not have {rest}"
        answer = f"Yes, the person {verb} {rest}." if holds else f"No, the person {denied}."
        yield Instruction(CONVERSATION, question, answer)


def _which(people: Sequence[Somebody]) -> Iterator[Instruction]:
    """Who it is of several, where it certainly is one alone."""
    for name, predicate in PREDICATES.items():
        verdicts = [one.facts.get(name) for one in people]
        if len(people) > 1 and None not in verdicts and sum(map(bool, verdicts)) == 1:
            question = f"Who {predicate}? answer in [[x0,y0,x1,y1]] format."
            box = people[verdicts.index(True)].box
            yield Instruction(CONVERSATION, question, format_referred(box))


def clauses_of(one: Somebody) -> list[str]:
    """The clauses of a description that certainly hold, in order."""
    return [
        predicate
        for name, predicate in PREDICATES.items()
        if one.facts.get(name) and name not in WITHOUT | _implied(one)
    ] + [
        PREDICATES[name]
        for name in ("left hand raised", "right hand raised")
        if one.facts.get(name) and one.facts.get("both hands raised") is False
    ]


def _implied(one: Somebody) -> set[str]:
    """Who looks at the camera faces the front in most places of a picture: said once."""
    return {"frontal"} if one.facts.get("looking") else set()


def _sentence(one: Somebody, clauses: Sequence[str]) -> str:
    text = clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])} and {clauses[-1]}"
    return f"{one.name[0].upper()}{one.name[1:]} {text}."


def _description(people: Sequence[Somebody]) -> Iterator[Instruction]:
    """Everybody from left to right, if of everybody something is certain."""
    clauses = [clauses_of(one) for one in people]
    if people and all(clauses):
        text = " ".join(map(_sentence, people, clauses))
        yield Instruction(DESCRIPTION, DESCRIBE, text)


def wants_attention(one: Somebody) -> bool | None:
    """Whether a hand is raised while the person looks at the camera; None where that is open."""
    raised = any_of(one.facts.get(f"{side} hand raised") for side in ("left", "right"))
    return all_of([raised, one.facts.get("looking")])


def _reasoning(people: Sequence[Somebody]) -> Iterator[Instruction]:
    """Who may want attention, and why."""
    verdicts = [wants_attention(one) for one in people]
    if not people or None in verdicts:
        return
    asking = [one for one, wants in zip(people, verdicts, strict=True) if wants]
    sentences = [f"{_sentence(one, ['may want attention'])[:-1]}: {_why(one)}." for one in asking]
    yield Instruction(REASONING, REASON, " ".join(sentences) or NOBODY)


def _why(one: Somebody) -> str:
    hands = [side for side in ("left", "right") if one.facts.get(f"{side} hand raised")]
    raised = "both hands are raised" if len(hands) == 2 else f"the {hands[0]} hand is raised"
    return f"{raised} and the person is looking at the camera"


def chosen(
    instructions: Sequence[Instruction], most: int, rng: np.random.Generator
) -> list[Instruction]:
    """Up to `most` of the conversations, as many with each answer's first word as can be, and all
    of the other kinds."""
    shuffled = [instructions[i] for i in rng.permutation(len(instructions))]
    talk = [one for one in shuffled if one.kind == CONVERSATION]
    talk.sort(key=lambda one: one.answer[0])
    groups = [list(group) for _, group in groupby(talk, key=lambda one: one.answer[0])]
    dealt = [group[i] for i in range(most) for group in groups if i < len(group)]
    return dealt[:most] + [one for one in instructions if one.kind != CONVERSATION]


def main(data: Path, out: Path, most: int = 6, seed: int = 0) -> None:
    """Write instruction data.

    Args:
        data: folder of labelled pictures; only labels with keypoints tell what bodies do.
        out: folder for labels.jsonl, which names the pictures where they are.
        most: conversations of a picture.
        seed: of which those are.
    """
    rng, kept, counts = np.random.default_rng(seed), [], Counter[str]()
    for sample in read_labels(data):
        sample.instructions = chosen(instructions_of(sample), most, rng)
        counts.update(one.kind for one in sample.instructions)
        if sample.instructions:
            kept.append(sample)
    write_labels(out / "labels.jsonl", kept)
    for kind in KINDS:
        print(f"{kind:<14}{counts[kind]:>8}  {100 * counts[kind] / max(counts.total(), 1):.0f} %")
    print(json.dumps({"pictures": len(kept)} | {kind: counts[kind] for kind in KINDS}))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
