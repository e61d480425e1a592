# SPDX-License-Identifier: Apache-2.0
"""Heads found by one model and read by another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_families import write

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.two_models import TwoModels


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (70, 110, 3), dtype=np.uint8)


def test_boxes_and_scores_are_the_finders_and_poses_the_readers(
    tiny_model: Path, tmp_path: Path, image: np.ndarray
) -> None:
    finder = HeadPerceiver.load(tiny_model, "cpu")
    reader = HeadPerceiver.load(write(tmp_path / "large", "qwen3_vl"), "cpu")
    both = TwoModels.load(str(tiny_model), reader, device="cpu")
    both.max_heads = 3
    heads, found = both(image), finder(image)
    assert heads and len(heads) <= 3
    assert [h.box for h in heads] == [h.box for h in found][: len(heads)] or len(found) > 3
    poses = reader.poses(image, [head.box for head in heads])
    for head, pose in zip(heads, poses, strict=True):
        assert (head.yaw, head.pitch, head.roll) == (pose.yaw, pose.pitch, pose.roll)
        assert head.score <= 1 and head.rotation_covariance is not None
    assert reader.model_id in both.model_id and finder.model_id in both.model_id
    assert both.head_shape == finder.head_shape and both.poses(image, [heads[0].box])


def test_the_embedded_model_finds_for_any_reader(tmp_path: Path, image: np.ndarray) -> None:
    reader = HeadPerceiver.load(write(tmp_path / "large", "smolvlm2", taught=False), "cpu")
    both = TwoModels.load("embedded", reader, device="cpu")
    assert "embedded-" in both.model_id and both.warning() == reader.warning()
    plain = np.full((64, 64, 3), 128, np.uint8)
    assert list(both(plain)) == list(both.finder(plain))
