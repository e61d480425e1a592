# SPDX-License-Identifier: Apache-2.0
"""Bicubic resizing with antialiasing, which OpenCV does not offer.

Keys, "Cubic convolution interpolation for digital image processing" (1981), a = -0.5; where the
picture shrinks, the kernel is stretched by as much, as Pillow and PyTorch do.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def bicubic(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(H, W, C) to (size, size, C), both uint8; within one grey level of Pillow and PyTorch."""
    height, width, channels = image.shape
    rows = np.tensordot(_weights(height, size), image.astype(np.float32), (1, 0))
    columns = np.einsum("jw,iwc->ijc", _weights(width, size), rows, optimize=True)
    return np.asarray(np.clip(np.rint(columns), 0, 255), np.uint8)


@lru_cache(maxsize=8)
def _weights(size: int, target: int) -> NDArray[np.float32]:
    """(target, size): how much each old pixel of a line counts in each new one."""
    scale = size / target
    centres = (np.arange(target)[:, None] + 0.5) * scale
    t = np.abs(np.arange(size) + 0.5 - centres) / max(scale, 1.0)
    inner = 1.5 * t**3 - 2.5 * t**2 + 1
    outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    kernel = np.where(t < 1, inner, np.where(t < 2, outer, 0))
    return np.asarray(kernel / kernel.sum(1, keepdims=True), np.float32)
