# SPDX-License-Identifier: Apache-2.0
"""What the readers' fixtures are made of; the geometry is SciPy's, not the package's."""

import json

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from training.data.landmarks import REFERENCE_FACE
from training.data.reading import Report


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
