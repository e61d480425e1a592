# SPDX-License-Identifier: Apache-2.0
"""Everything a model is asked about one scene, and what it says, as plain data.

Asking takes minutes to hours, scoring seconds: so answers are kept as they were said, and every
measure is computed from them (`measures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np

from hpe_vlm_ros.answers import (
    DETECTION_PROMPT,
    Box,
    format_angles,
    format_boxes,
    grid_box,
    pose_prompt,
)
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.decoding.constrained import most_likely
from hpe_vlm_ros.vlm.decoding.engine import Look

from ..data.describing import describe
from ..data.referring import steady, wordings
from ..data.sample import Expression, Sample
from .scoring import input_scale

POSE_LIMIT = 64  # tokens of a free answer about one head; a valid one has at most 19
BOX_LIMIT = 400  # tokens of a free answer with boxes; one of 24 heads, digit by digit
REFERRED_LIMIT = 40  # tokens of a free answer about somebody described
REFERRED = 2  # people asked for in a scene, by withheld descriptions and by taught ones each
REFERRED_SIZE = 32.0  # pixels of the model's input, of the smallest person asked for

HEADS, FREE, REFERRING, VARIANTS = "heads", "free", "referring", "variants"
SAID = {HEADS: "own", FREE: "boxes", REFERRING: "referring", VARIANTS: "paraphrases"}
PARTS = (HEADS, FREE, REFERRING)  # what every scene is asked; VARIANTS only some
PARAPHRASES = {  # of the paper's Table XI
    "For the bbox [[...]], what is the head yaw pitch roll?": "For the bbox {}, what is the head "
    "yaw pitch roll?",
    "Please give the head pose yaw, pitch, roll for the bounding box [[...]].": "Please give the "
    "head pose yaw, pitch, roll for the bounding box {}.",
    "Predict head pose yaw, pitch, roll in [[...]].": "Predict head pose yaw, pitch, roll in {}.",
}


def ask_scene(perceiver: HeadPerceiver, sample: Sample, parts: tuple[str, ...]) -> dict[str, Any]:
    """What a model says of a scene, fit for JSON.

    own: its heads as [x0, y0, x1, y1, yaw, pitch, roll, score]; given: [yaw, pitch, roll] of the
    true heads, whose boxes it was told; poses, boxes: texts by decoding ("free", "symbols",
    "grammar"); paraphrases: texts by prompt; referring: sentences with the true box, whether they
    were withheld from training, and the text said. Angles and pixels keep 3 decimals.
    """
    image, answers = sample.load(), {}
    if HEADS in parts:
        answers["own"] = head_rows(perceiver(image))
        poses = perceiver.poses(image, [tuple(head.box) for head in sample.heads])
        answers["given"] = [_rounded([h.yaw, h.pitch, h.roll]) for h in poses]
    look = perceiver.look(image, most_likely)
    boxes = [grid_box(head.box, sample.width, sample.height) for head in sample.heads]
    if FREE in parts:
        answers["poses"] = {"free": look.free([pose_prompt(box) for box in boxes], POSE_LIMIT)}
        answers["boxes"] = {"free": look.free([DETECTION_PROMPT], BOX_LIMIT)[0]}
    if VARIANTS in parts:
        answers["poses"] |= _ruled_poses(look, boxes)
        answers["boxes"] |= _ruled_boxes(look, perceiver.max_heads)
        answers["paraphrases"] = _paraphrased(look, boxes)
    if REFERRING in parts:
        scale, choices = input_scale(perceiver, sample), wordings(perceiver.free_text)
        answers["referring"] = _referred(look, sample, scale, choices)
    return answers


def head_rows(heads: Sequence[HeadEstimate]) -> list[list[float]]:
    """Heads as [x0, y0, x1, y1, yaw, pitch, roll, score], fit for JSON."""
    return [_rounded([*h.box, h.yaw, h.pitch, h.roll, h.score]) for h in heads]


def _ruled_poses(look: Look, boxes: list[Box]) -> dict[str, list[str]]:
    prompts = [pose_prompt(box) for box in boxes]
    return {
        "symbols": look.free(prompts, POSE_LIMIT, symbols=True),
        "grammar": [format_angles(*angles) for angles in look.poses(boxes)],
    }


def _ruled_boxes(look: Look, max_heads: int) -> dict[str, str]:
    (symbols,) = look.free([DETECTION_PROMPT], BOX_LIMIT, symbols=True)
    boxes = [detection.box for detection in look.detect(max_heads)]
    return {"symbols": symbols, "grammar": format_boxes(boxes)}


def _paraphrased(look: Look, boxes: list[Box]) -> dict[str, list[str]]:
    """Answers to the paper's other wordings of the question for a pose."""
    named = [f"[[{','.join(f'{v:03d}' for v in box)}]]" for box in boxes]
    return {
        title: look.free([wording.format(name) for name in named], POSE_LIMIT)
        for title, wording in PARAPHRASES.items()
    }


def _referred(
    look: Look, sample: Sample, scale: tuple[float, float], choices: tuple[str, ...]
) -> list[dict[str, Any]]:
    asked = [
        {"sentence": _sentence(one), "box": _rounded(one.box), "withheld": withheld}
        for withheld in (True, False)
        for one in referred(sample, withheld, scale)
    ]
    prompts = [steady(choices, str(one["sentence"])) for one in asked]
    texts = look.free(prompts, REFERRED_LIMIT)
    return [one | {"text": text} for one, text in zip(asked, texts, strict=True)]


def referred(sample: Sample, withheld: bool, scale: tuple[float, float]) -> list[Expression]:
    """Up to REFERRED people of a scene to be asked for, large enough at the model's input.

    Pictures that come with expressions of their own are asked for all of those, as taught ones:
    one sentence each, as the paper counts.
    """
    if sample.expressions:
        return [] if withheld else sample.expressions
    found = describe(sample.heads, sample.width, withheld)
    sides = [np.prod((one.box[2:] - one.box[:2]) * scale) ** 0.5 for one in found]
    large = [one for one, side in zip(found, sides, strict=True) if side >= REFERRED_SIZE]
    return sorted(large, key=lambda one: crc32(_sentence(one).encode()))[:REFERRED]


def _sentence(expression: Expression) -> str:
    """One of the sentences, the same in every run."""
    return min(expression.sentences, key=lambda sentence: crc32(sentence.encode()))


def _rounded(values: Any) -> list[float]:
    return [round(float(v), 3) for v in values]
