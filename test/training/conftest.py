# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the training tests; the geometry of faces is SciPy's, not the package's."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from training.data.readers.common import Report
from training.data.readers.landmarks import REFERENCE_FACE


@pytest.fixture(scope="session")
def kept_scenes(tmp_path_factory):
    """A folder of six labelled pictures in the format of the scene renderer, to read only."""
    folder = tmp_path_factory.mktemp("kept") / "scenes"
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
def scenes(kept_scenes, tmp_path):
    """The same for one test, which may change it."""
    return shutil.copytree(kept_scenes, tmp_path / "scenes")


@pytest.fixture
def with_bodies(kept_scenes, tmp_path):
    """The same, every head with a body of 50 pixels of height whose keypoints are marked."""
    folder = shutil.copytree(kept_scenes, tmp_path / "with bodies")
    file = folder / "labels.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    looks = {"body": [15, 5, 60, 55], "top": None, "wears": []}
    for head in (head for line in lines for head in line["heads"]):
        head |= {"keypoints": [[20 + n, 8 + 2 * n, 2] for n in range(17)], "looks": looks}
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder


@pytest.fixture(scope="session")
def briefly_recounted():
    """Norms of a deployed model are counted on two batches, not eight: a third of a short run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.stage.RECOUNTED", 2)
        yield


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A small model's folder, for what needs one."""
    from hpe_vlm_ros.vlm.pytorch import checkpoint
    from training.stage1_pretrain import new_embedded_model

    model, processor = new_embedded_model(64)
    folder = tmp_path_factory.mktemp("small") / "model"
    checkpoint.save(folder, model, processor)
    return folder


@pytest.fixture
def full_size_layers():
    """Configuration of layers of the same classes as the full size, a hundredth as wide."""
    torch.manual_seed(0)
    vision = {"image_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_heads": 2}
    vision |= {"intermediate_size": 16, "stem": None}
    layers = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3}
    return embedded(**layers, num_attention_heads=2, vision_config=vision)


@pytest.fixture
def report():
    return Report()


@pytest.fixture
def picture():
    """Writes a picture of noise, of any size."""

    def write(path, width, height):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
        assert cv2.imwrite(str(path), pixels)
        return path

    return write


@pytest.fixture
def write_json():
    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture
def head_matrix():
    """(3, 3) of yaw, pitch, roll: head axes to the optical frame, x left, y chin, z back."""

    def matrix(yaw, pitch, roll):
        return Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True).as_matrix()

    return matrix


@pytest.fixture
def face_points(head_matrix):
    """The landmarks (14, 3) of a head with these angles, its face's origin at `place`, optical
    frame; `scale` is the length of the reference's unit."""

    def points(angles, place, scale=0.01):
        face_axes = Rotation.from_euler("x", 180, degrees=True)  # y up, z out of the face
        turned = Rotation.from_matrix(head_matrix(*angles)) * face_axes
        return scale * turned.apply(REFERENCE_FACE) + place

    return points
