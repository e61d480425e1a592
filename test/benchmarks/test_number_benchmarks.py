# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmarks of numbers that need no trained model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.number_decoding import best, independent, near, scores, spreads
from benchmarks.soft_targets import number_errors
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.spread import turn_covariance
from hpe_vlm_ros.tracking.motion import rotation_of
from hpe_vlm_ros.vlm.configuration import embedded
from hpe_vlm_ros.vlm.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.numbers import CIRCLE
from hpe_vlm_ros.vlm.poses import Pose
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from training.data.packing import pack
from training.data.prompts import PackingOptions, build_prompts, first_number
from training.data.sample import Head


def test_errors_of_known_triples() -> None:
    truths = rotation_from_angles([10, -170, 0], [0, 20, 0], [0, 0, 0])
    found = scores([(13, 0, 0), (170, 20, 0), (0, 0, 6)], truths)
    assert found["mae"] == pytest.approx((3 + 20 + 6) / 9)
    assert found["geodesic_median"] == pytest.approx(6, abs=1e-6)


def test_means_near_the_number_written() -> None:
    weights = np.zeros((3, CIRCLE))
    weights[:, 350], weights[:, 0], weights[:, 100] = 0.3, 0.3, 0.4
    pose = Pose((0.0, -10.0, 100.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), weights)
    assert near(pose, 15) == pytest.approx([355, 355, 100], abs=1e-6)


def test_independent_angles_are_right_in_front_and_too_wide_at_the_profile() -> None:
    front = (0.0, 20.0, 5.0), (3.0, 4.0, 5.0)
    np.testing.assert_allclose(independent(*front), turn_covariance(*front), atol=1e-12)
    side = (90.0, 20.0, 5.0), (3.0, 40.0, 5.0)
    assert np.trace(independent(*side)) > 10 * np.trace(turn_covariance(*side))


def test_the_right_spread_wins(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    poses, truths = [], []
    for _ in range(150):
        angles = tuple(float(v) for v in rng.uniform((-180, -40, -40), (180, 40, 40)))
        deviations = tuple(float(v) for v in rng.uniform(2, 30, 3))
        turn = rng.multivariate_normal(np.zeros(3), turn_covariance(angles, deviations))
        poses.append(Pose(angles, angles, deviations, np.ones((3, CIRCLE))))  # type: ignore
        truths.append(rotation_of(turn) @ rotation_from_angles(*angles))
    found = spreads(poses, np.array(truths))
    assert found["conditional"] < found["independent"] < found["constant"]
    assert "conditional" in capsys.readouterr().out
    _, fitted = best(rng.normal(0, 0.2, (300, 3)), np.zeros((300, 3, 3)))
    assert fitted.rotation_floor == pytest.approx(np.degrees(0.2), rel=0.1)


def test_numbers_are_judged_where_answers_have_them() -> None:
    torch.manual_seed(0)
    config = embedded(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        vision_config={
            "image_size": 32, "hidden_size": 24, "num_hidden_layers": 1, "num_heads": 2,
            "intermediate_size": 24, "stem": None,
        },
    )  # fmt: skip
    processor = CogVLMProcessor.embedded(config)
    model = CogVLMForCausalLM(config)
    first = first_number(processor.tokenizer)
    assert first is not None
    model.lm_head.weight.data.zero_()
    heads = [Head(np.array([4.0, 4, 20, 24]), rotation_from_angles(90, 0, 0))]
    options = PackingOptions(min_size=1)
    prompts = build_prompts(heads, (32, 32), processor.tokenizer, options, np.random.default_rng(0))
    batch = pack(
        [torch.zeros(3, 32, 32)], [prompts], [heads], [True], config.num_image_tokens,
        processor.tokenizer,
    )  # fmt: skip
    angles, _, boxes, means = number_errors(model, batch, first)
    # All numbers are equally likely: the first, 000, is named; near it the mean is 6.
    assert sorted(angles) == pytest.approx([0, 0, 90])
    assert sorted(boxes) == pytest.approx([124.5, 124.5, 624.5, 749.5])
    assert sorted(means) == pytest.approx([118.5, 118.5, 618.5, 743.5])
