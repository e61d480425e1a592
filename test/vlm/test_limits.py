# SPDX-License-Identifier: Apache-2.0
"""Memory that runs out in the middle of a stream, and pictures of shapes that no model sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpe_vlm_ros.nodes.inference import out_of_memory
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.processing import ImageSettings

BOX = (10.0, 10.0, 40.0, 40.0)


def frames(count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (count, 48, 64, 3), dtype=np.uint8))


def told(perceiver: HeadPerceiver, image: NDArray[np.uint8]) -> list[list[float]]:
    heads = [*perceiver(image), *perceiver.poses(image, [BOX])]
    return [[*head.box, head.yaw, head.pitch, head.roll, head.score] for head in heads]


@pytest.mark.parametrize("fails_at", [0, 1, 3])  # of the picture's forward, the first, a later one
def test_the_frame_after_one_without_memory_is_answered_as_if_nothing_had_been(
    tiny_engine: Callable[..., Engine], fails_at: int
) -> None:
    first, second, third = frames(3)
    expected = told(HeadPerceiver(tiny_engine(0), max_heads=2), third)
    engine = tiny_engine(0)
    perceiver = HeadPerceiver(engine, max_heads=2)
    told(perceiver, first)
    calls = []

    def run_out(*_: object) -> None:
        calls.append(1)
        if len(calls) > fails_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    model = engine.backend.model  # type: ignore[attr-defined]
    hook = model.model.register_forward_pre_hook(run_out)
    with pytest.raises(
        RuntimeError, match="out of memory on cpu behind .* lower max_heads"
    ) as error:
        perceiver(second)
    assert out_of_memory(error.value) and error.value.__context__ is None  # keeps no tensors
    hook.remove()
    assert told(perceiver, third) == expected


@pytest.mark.parametrize("resample", ["area", "bicubic"])
@pytest.mark.parametrize("shape", [(2, 20_000), (20_000, 2), (1, 1), (3, 5_000)])
def test_pictures_however_wide_are_resized_to_what_the_model_takes(
    shape: tuple[int, int], resample: str
) -> None:
    image = np.broadcast_to(np.array([200, 100, 0], np.uint8), (*shape, 3))
    pixels = ImageSettings(98, (0, 0, 0), (1, 1, 1), resample).pixels(image)
    assert pixels.shape == (3, 98, 98)
    np.testing.assert_allclose(pixels.mean((1, 2)) * 255, [200, 100, 0], atol=1e-3)


def test_boxes_of_a_picture_like_a_ribbon_lie_in_it(tiny_engine: Callable[..., Engine]) -> None:
    image = np.zeros((3, 5_000, 3), np.uint8)
    for head in HeadPerceiver(tiny_engine(0), max_heads=3)(image):
        x0, y0, x1, y1 = head.box
        assert 0 <= x0 < x1 <= 5_000 and 0 <= y0 < y1 <= 3
