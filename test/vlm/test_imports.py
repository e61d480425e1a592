# SPDX-License-Identifier: Apache-2.0
"""The package imports light; the model knows neither ROS nor training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("hpe_vlm_ros", ("torch", "rclpy")),
        ("hpe_vlm_ros.perceiver", ("torch", "rclpy", "transformers")),
        ("hpe_vlm_ros.__main__", ("torch", "rclpy", "transformers")),
        ("hpe_vlm_ros.vlm.pytorch.checkpoint", ("rclpy", "training")),
        # a launch file runs in the system's Python, which has no package of ours from pip
        ("hpe_vlm_ros.nodes.specifications", ("lap", "cv2", "numpy", "rclpy")),
        ("hpe_vlm_ros.requirements", ("lap", "cv2", "numpy", "rclpy")),
    ],
)
def test_import_pulls_in_no_more_than_it_should(module: str, banned: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {banned} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
