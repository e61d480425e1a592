# SPDX-License-Identifier: Apache-2.0
"""Bicubic resizing as Pillow does it, without Pillow; OpenCV has none with antialiasing.

Keys, "Cubic convolution interpolation for digital image processing" (1981), a = -0.5; where the
picture shrinks, the kernel is stretched by as much. Pillow resizes across, rounds to whole grey
levels, and then resizes down, with weights in fixed point. The public CogVLM was trained on
pictures that were made so; to round only once, at the end, is up to 26 grey levels off them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BITS = 22  # behind the point: 8 bits of grey, 22 of weights and 2 of room fill an int32


def bicubic(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(H, W, C) to (size, size, C), both uint8.

    Equal in every bit to Pillow's `resize((size, H), BICUBIC).resize((size, size), BICUBIC)`, as
    measured with Pillow 13 on 1,500 pictures of noise and stripes with sides of 1 to 1,500 pixels.
    Up to Pillow 12 that is what `resize((size, size), BICUBIC)` does. Pillow 13 resizes tall
    pictures down first, and differs there by up to 24 grey levels from itself before.
    """
    across = _resized_rows(image.transpose(1, 0, 2), size)
    return _resized_rows(across.transpose(1, 0, 2), size)


def _resized_rows(image: NDArray[np.uint8], target: int) -> NDArray[np.uint8]:
    """(N, M, C) to (target, M, C): each new row out of the few old ones around its place."""
    size = len(image)
    if size == target:
        return image
    rows, weights = _taps(size, target)
    total = np.full((target, *image.shape[1:]), 1 << (BITS - 1), np.int32)
    for row, weight in zip(rows.T, weights.T, strict=True):
        total += weight[:, None, None] * image[row]
    return np.asarray(np.clip(total >> BITS, 0, 255), np.uint8)


@lru_cache(maxsize=8)
def _taps(size: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """(target, K) each: the old rows that a new one is made of, and their weights times 2^BITS."""
    scale = size / target
    stretch = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    first = np.maximum((centres - 2 * stretch + 0.5).astype(np.intp), 0)
    end = np.minimum((centres + 2 * stretch + 0.5).astype(np.intp), size)
    rows = first[:, None] + np.arange((end - first).max())
    t = np.abs((rows + 0.5 - centres[:, None]) / stretch)
    inner = (1.5 * t - 2.5) * t * t + 1
    outer = ((-0.5 * t + 2.5) * t - 4) * t + 2
    kernel = np.where(t < 1, inner, np.where(t < 2, outer, 0))
    kernel[rows >= end[:, None]] = 0
    kernel /= kernel.sum(1, keepdims=True)
    fixed = np.copysign(np.floor(np.abs(kernel) * (1 << BITS) + 0.5), kernel)
    return np.minimum(rows, size - 1), fixed.astype(np.int32)
