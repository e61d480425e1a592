# SPDX-License-Identifier: Apache-2.0
"""Bicubic resizing against Pillow itself, in every bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hpe_vlm_ros.vlm.processing import ImageSettings
from hpe_vlm_ros.vlm.resampling import bicubic

Picture = NDArray[np.uint8]


def pillow(image: Picture, width: int, height: int) -> Picture:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def noise(height: int, width: int) -> Picture:
    """Black and white, which overshoots most."""
    return np.random.default_rng(height).integers(0, 2, (height, width, 3), np.uint8) * 255


def stripes(height: int, width: int) -> Picture:
    lines = np.add(*np.indices((height, width))) // 3 % 2 * 255
    return np.repeat(lines[..., None].astype(np.uint8), 3, axis=2)


def ramp(height: int, width: int) -> Picture:
    return np.linspace(0, 255, height * width * 3).astype(np.uint8).reshape(height, width, 3)


SIDES = st.integers(1, 300)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, st.sampled_from([noise, stripes, ramp]))
def test_across_and_then_down_as_pillow(height, width, size, paint) -> None:
    image = paint(height, width)
    across = pillow(image, size, height)
    np.testing.assert_array_equal(bicubic(image, size), pillow(across, size, size))


@pytest.mark.parametrize("paint", [noise, stripes, ramp])
@pytest.mark.parametrize("shape", [(480, 640), (360, 640), (1080, 1920), (490, 800), (37, 900)])
def test_pictures_of_cameras_become_what_pillow_makes_of_them(shape, paint) -> None:
    image = paint(*shape)
    np.testing.assert_array_equal(bicubic(image, 490), pillow(image, 490, 490))


def test_the_public_settings_resize_so() -> None:
    image = noise(48, 60)
    np.testing.assert_array_equal(ImageSettings(image_size=20).resize(image), bicubic(image, 20))
