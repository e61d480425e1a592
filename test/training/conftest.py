# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest
import torch

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.vlm.configuration import embedded


@pytest.fixture
def scenes(tmp_path):
    """A folder of six labelled pictures in the format of the scene renderer."""
    folder = tmp_path / "scenes"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(6):
        name = f"images/{number:06d}.jpg"
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (60, 80, 3), np.uint8))
        rotation = rotation_from_angles(rng.uniform(-179, 179), 10, -5)
        head = {"box": [20, 10, 50, 45], "rotation": rotation.tolist(), "visible": 1.0}
        heads = [head] if number else []  # the first scene is empty
        lines.append({"image": name, "width": 80, "height": 60, "focal": 70.0, "heads": heads})
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder


@pytest.fixture
def full_size_layers():
    """Configuration of layers of the same classes as the full size, a hundredth as wide."""
    torch.manual_seed(0)
    vision = {"image_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_heads": 2}
    vision |= {"intermediate_size": 16, "stem": None}
    layers = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3}
    return embedded(**layers, num_attention_heads=2, vision_config=vision)
