# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles


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
