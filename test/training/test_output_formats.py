# SPDX-License-Identifier: Apache-2.0
"""Reading answers loosely and strictly, and the scores of each way."""

from __future__ import annotations

import math

import pytest
import torch

from hpe_vlm_ros.answers import format_angles, format_boxes, grid_box
from hpe_vlm_ros.geometry import angles_from_rotation
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.configuration import embedded
from hpe_vlm_ros.vlm.engine import Detection, Engine, Look
from hpe_vlm_ros.vlm.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.torch_backend import TorchBackend
from training import output_formats
from training.data.synthetic import read_synthetic
from training.output_formats import (
    FORMATS,
    evaluate_formats,
    format_table,
    loose_angles,
    loose_boxes,
    strict_angles,
    strict_boxes,
)
from training.stage5_evaluate import format_summary

BOX = (1, 2, 30, 40)


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """An untrained model does not stop by itself."""
    monkeypatch.setattr(output_formats, "POSE_LIMIT", 12)
    monkeypatch.setattr(output_formats, "BOX_LIMIT", 12)


@pytest.mark.parametrize(
    ("text", "loose", "strict"),
    [
        ("The head orientation angles are {072,354,002}.", (72, -6, 2), (72, -6, 2)),
        ("the angle is {11, 211, 312, 71, 21}", (11, -149, -48), None),
        ("{001, 359, 002]]", (1, -1, 2), (1, -1, 2)),
        ("{12, 45, 78, 90]]", (12, 45, 78), None),
        ("{361,180,360}", (1, 180, 0), None),
        ("{072,354", None, None),
        ("a person of head", None, None),
        ("", None, None),
    ],
)
def test_angles(text, loose, strict):
    assert loose_angles(text) == loose
    assert strict_angles(text) == strict


@pytest.mark.parametrize(
    ("text", "loose", "strict"),
    [
        (format_boxes([BOX, (5, 6, 7, 8)]), [BOX, (5, 6, 7, 8)], [BOX, (5, 6, 7, 8)]),
        (format_boxes([]), [], []),
        ("{001,002,030,040}", [BOX], [BOX]),
        ("[[001,002,030,040;005,006]]", [BOX], None),
        ("[[030,040,001,002]]", [(30, 40, 1, 2)], None),
        ("[[001,002,030,1000]]", [(1, 2, 30, 1000)], None),
        ("three heads", None, None),
        ("001 002", None, None),
    ],
)
def test_boxes(text, loose, strict):
    assert loose_boxes(text) == loose
    assert strict_boxes(text) == strict


@pytest.fixture(scope="module")
def perceiver() -> HeadPerceiver:
    torch.manual_seed(0)
    vision = {"image_size": 64, "hidden_size": 24, "num_hidden_layers": 1, "num_heads": 2}
    vision |= {"intermediate_size": 32, "stem": None, "initializer_range": 0.2}
    layers = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    config = embedded(**layers, num_attention_heads=2, initializer_range=0.2, vision_config=vision)
    engine = Engine(TorchBackend(CogVLMForCausalLM(config)), CogVLMProcessor.embedded(config))
    return HeadPerceiver(engine, max_heads=3)


@pytest.fixture
def large_heads(scenes):
    """The scenes with heads large enough to count at 64 pixels."""
    samples = read_synthetic(scenes)
    for sample in samples:
        for head in sample.heads:
            head.box = head.box * 0 + [5, 5, 70, 55]
    return samples


def test_an_untrained_model_is_invalid_until_ruled(perceiver, large_heads):
    scores = evaluate_formats(perceiver, large_heads[:3], progress=False)
    assert list(scores) == list(FORMATS)
    assert scores["none"].e_angle == scores["none"].e_bbox == 1
    assert scores["none"].e_angle >= scores["regex-strict"].e_angle >= scores["regex-loose"].e_angle
    assert scores["grammar"].e_angle == scores["grammar"].e_bbox == 0
    assert 0 < scores["grammar"].mae <= 180


def test_under_the_logit_constraint_only_symbols_are_said(perceiver, large_heads):
    look = perceiver.look(large_heads[0].load())
    (text,) = look.free(["What is this?"], 40, symbols=True)
    words = {"Their", "head", "bounding", "boxes", "are", "The", "orientation", "angles"}
    left = text
    for word in words:
        left = left.replace(word, "")
    assert text and not left.strip("0123456789[]{},;. ")


def test_scores_count_what_each_reading_accepts(perceiver, large_heads, monkeypatch):
    """Five heads in six scenes (one empty): answers canned, scores worked out by hand."""
    true = [angles_from_rotation(head.rotation) for s in large_heads for head in s.heads]
    right = [format_angles(*angles) for angles in true]
    yaw, pitch, roll = (round(angle % 360) for angle in true[4])
    free = [right[0], right[1], "a person of head", right[3].replace("}", "]"), ""]
    free[4] = f"{{{(yaw + 30) % 360:03d},{pitch:03d},{roll:03d},000}}"
    box = grid_box(large_heads[1].heads[0].box, 80, 60)
    asked = iter(range(5))

    def canned(self, prompts, limit=0, symbols=False):
        if prompts and prompts[0].startswith("How many"):
            return [format_boxes([box]) if symbols else "[[001,002,003"]
        if symbols:
            return ["{000,000}" for _ in prompts]
        return [free[next(asked)] for _ in prompts]

    monkeypatch.setattr(Look, "free", canned)
    monkeypatch.setattr(Look, "detect", lambda self, count: [Detection(box, 1.0)])
    monkeypatch.setattr(Look, "poses", lambda self, boxes: [(0.0, 0.0, 0.0)] * len(boxes))
    scores = evaluate_formats(perceiver, large_heads, progress=False)
    assert [scores[name].e_angle for name in FORMATS] == pytest.approx([0.6, 0.2, 0.4, 1, 0])
    assert [scores[name].e_bbox for name in FORMATS] == [1, 1, 1, 0, 0]
    assert scores["none"].mae == pytest.approx(0, abs=0.5)
    assert scores["regex-loose"].mae == pytest.approx(10 / 4, abs=0.5)
    assert math.isnan(scores["logit constraint"].mae)


def test_reports(perceiver, large_heads):
    scores = evaluate_formats(perceiver, large_heads[:2], progress=False)
    lines = format_table(scores).splitlines()
    assert len(lines) == 6 and lines[1].split() == ["none", "100.000", "100.000", "-"]
    numbers = format_summary(scores)
    assert numbers["e_angle_free"] == numbers["e_bbox"] == 1
    assert numbers["formats"]["grammar"]["e_angle"] == 0
    assert numbers["formats"]["none"]["mae"] is None
