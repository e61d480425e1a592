# SPDX-License-Identifier: Apache-2.0
"""Five ways to get valid numbers out of a model's answers (the paper's Table VIII, and our own).

none              what the model says, held to the format
regex-loose       what it says; the first three numbers count, whatever stands around them
regex-strict      what it says; valid if there are exactly three numbers, each in 0..360
logit constraint  only digits, brackets and the words of the formats can be said, in any order;
                  then held to the format
grammar           only valid answers can be said

The same for boxes, with groups of four numbers. All take the most likely token, so that nothing
but the format differs; the deployed model may use the mean of a number's distribution instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from hpe_vlm_ros import metrics
from hpe_vlm_ros.answers import (
    DETECTION_PROMPT,
    GRID,
    Angles,
    Box,
    format_angles,
    format_boxes,
    grid_box,
    parse_angles,
    parse_boxes,
    pose_prompt,
)
from hpe_vlm_ros.geometry import angles_from_rotation, rotation_from_angles
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.decoding import most_likely
from hpe_vlm_ros.vlm.engine import Look

from .data.sample import Sample
from .scoring import input_scale, true_heads

POSE_LIMIT = 64  # tokens of a free answer about one head; a valid one has at most 19
BOX_LIMIT = 400  # tokens of a free answer with boxes; one of 24 heads, digit by digit


def numbers(text: str) -> list[int]:
    """All runs of digits in a text."""
    return [int(run) for run in re.findall("[0-9]+", text)]


def loose_angles(text: str) -> Angles | None:
    """The first three numbers anywhere, modulo 360."""
    return _signed(numbers(text)[:3])


def strict_angles(text: str) -> Angles | None:
    """Three numbers in 0..360 and no other, whatever stands around them."""
    found = numbers(text)
    return _signed(found) if max(found, default=0) <= 360 else None


def loose_boxes(text: str) -> list[Box] | None:
    """Each four numbers a box, whatever they are; no box at all only if said in the format."""
    return _fours(numbers(text)) or parse_boxes(text).value


def strict_boxes(text: str) -> list[Box] | None:
    """As `loose_boxes`, but no number is left over, and each box is one and on the grid."""
    found = numbers(text)
    boxes = _fours(found)
    fits = all(x0 < x1 < GRID and y0 < y1 < GRID for x0, y0, x1, y1 in boxes)
    if len(found) > 4 * len(boxes) or not fits:
        return None
    return boxes or parse_boxes(text).value


def _fours(found: list[int]) -> list[Box]:
    return [(a, b, c, d) for a, b, c, d in zip(*[iter(found)] * 4, strict=False)]


def _signed(found: list[int]) -> Angles | None:
    if len(found) != 3:
        return None
    yaw, pitch, roll = (180.0 - (180 - number) % 360 for number in found)
    return yaw, pitch, roll


@dataclass(frozen=True)
class Format:
    """How answers come about ("free", "symbols" or "grammar") and how they are read."""

    decoding: str
    angles: Callable[[str], Angles | None] = lambda text: parse_angles(text).value
    boxes: Callable[[str], list[Box] | None] = lambda text: parse_boxes(text).value


FORMATS = {
    "none": Format("free"),
    "regex-loose": Format("free", loose_angles, loose_boxes),
    "regex-strict": Format("free", strict_angles, strict_boxes),
    "logit constraint": Format("symbols"),
    "grammar": Format("grammar"),
}


@dataclass(frozen=True)
class FormatScore:
    """Shares of invalid answers about heads and about boxes, and degrees (of valid answers)."""

    e_angle: float
    e_bbox: float
    mae: float


def pose_texts(look: Look, boxes: list[Box]) -> dict[str, list[str]]:
    """Answers about the heads in `boxes`, by decoding."""
    prompts = [pose_prompt(box) for box in boxes]
    return {
        "free": look.free(prompts, POSE_LIMIT),
        "symbols": look.free(prompts, POSE_LIMIT, symbols=True),
        "grammar": [format_angles(*angles) for angles in look.poses(boxes)],
    }


def box_texts(look: Look, max_heads: int) -> dict[str, str]:
    """The answer to the detection prompt, by decoding."""
    (free,) = look.free([DETECTION_PROMPT], BOX_LIMIT)
    (symbols,) = look.free([DETECTION_PROMPT], BOX_LIMIT, symbols=True)
    boxes = [detection.box for detection in look.detect(max_heads)]
    return {"free": free, "symbols": symbols, "grammar": format_boxes(boxes)}


def evaluate_formats(
    perceiver: HeadPerceiver, samples: list[Sample], progress: bool = True
) -> dict[str, FormatScore]:
    """Ask about every true head and for all boxes of every scene; a score for each format."""
    records: dict[str, list[metrics.Records]] = {name: [] for name in FORMATS}
    invalid = dict.fromkeys(FORMATS, 0)
    for sample in tqdm(samples, "formats", unit="scene", disable=not progress):
        look = perceiver.look(sample.load(), most_likely)
        grid = [grid_box(head.box, sample.width, sample.height) for head in sample.heads]
        poses, detections = pose_texts(look, grid), box_texts(look, perceiver.max_heads)
        scale = input_scale(perceiver, sample)
        for name, form in FORMATS.items():
            answers = [form.angles(text) for text in poses[form.decoding]]
            said = answered(sample, answers)
            records[name].append(metrics.given_boxes(said, true_heads(sample), scale))
            invalid[name] += form.boxes(detections[form.decoding]) is None
    scores = {name: metrics.score(metrics.merge(parts)) for name, parts in records.items()}
    return {
        name: FormatScore(1 - score.recall, invalid[name] / len(samples), score.mae)
        for name, score in scores.items()
    }


def answered(sample: Sample, answers: list[Angles | None]) -> metrics.Heads:
    """Answers about the true boxes of a scene as the metrics take them; None is invalid."""
    rotations = [
        np.full((3, 3), np.nan) if angles is None else rotation_from_angles(*angles)
        for angles in answers
    ]
    triples = [
        (np.nan,) * 3 if angles is None else angles_from_rotation(rotation) or angles
        for angles, rotation in zip(answers, rotations, strict=True)
    ]
    return metrics.heads([head.box for head in sample.heads], rotations, angles=triples)


def format_table(scores: dict[str, FormatScore]) -> str:
    """A table for people: percent of invalid answers, and degrees."""
    lines = [f"{'OUTPUT FORMAT':<18}{'E_angle %':>11}{'E_bbox %':>11}{'MAE':>8}"]
    for name, score in scores.items():
        mae = "-" if np.isnan(score.mae) else f"{score.mae:.2f}"
        lines.append(f"{name:<18}{100 * score.e_angle:>11.3f}{100 * score.e_bbox:>11.3f}{mae:>8}")
    return "\n".join(lines)
