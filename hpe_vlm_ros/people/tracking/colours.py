# SPDX-License-Identifier: Apache-2.0
"""What a head and the clothes below it look like, coarsely: two histograms of colours.

They help to tell people apart who pass each other, and are no more than that: 256 numbers each,
without shape or place, held in memory as long as the head is followed.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.boxes import PixelBox

Array = NDArray[np.float64]
BINS = [4, 8, 8]
RANGES = [0, 256, 80, 176, 80, 176]  # of lightness and the two colour axes of 8-bit CIELAB
# The strongest colours count as the last ones that have a bin.
LIMITS = np.array([RANGES[::2], [end - 1 for end in RANGES[1::2]]], np.uint8)
SHARES = np.array([0.35, 0.65])  # of head and clothes in the difference: hair turns into a face
UNKNOWN = 0.2  # the difference where one of two patches is not in the image
LEAST = 24.0  # pixels of a patch from which its colours are worth something


def colours_of(rgb: NDArray[np.uint8], box: PixelBox) -> Array:
    """(2, 256) histograms of the head in `box` and of what is below it; each sums to 1, or to 0
    where too little of it is in the image."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    middle = (x0 + x1) / 2
    patches = (
        (x0 + 0.1 * width, y0 + 0.1 * height, x1 - 0.1 * width, y1 - 0.05 * height),
        (middle - 0.7 * width, y1 + 0.2 * height, middle + 0.7 * width, y1 + 1.2 * height),
    )
    return np.stack([_histogram(rgb, patch) for patch in patches])


def difference(a: Array | None, b: Array | None) -> float | None:
    """0 for the same colours to 1 for no colour in common: one less Bhattacharyya's coefficient of
    head and of clothes; None where nothing can be said."""
    if a is None or b is None:
        return None
    known = a.any(1) & b.any(1)
    if not known.any():
        return None
    apart = 1 - np.sqrt(a * b).sum(1)
    return float(SHARES @ np.where(known, apart, UNKNOWN))


def blended(old: Array | None, new: Array | None, share: float) -> Array | None:
    """The old histograms, moved to the new ones by a share; where one knows nothing, the other."""
    if old is None or new is None:
        return new if old is None else old
    mixed = (1 - share) * old + share * new
    mixed[~new.any(1)] = old[~new.any(1)]
    mixed[~old.any(1)] = new[~old.any(1)]
    return mixed


def _histogram(rgb: NDArray[np.uint8], patch: PixelBox) -> Array:
    height, width = rgb.shape[:2]
    x0, y0 = max(0, round(patch[0])), max(0, round(patch[1]))
    x1, y1 = min(width, round(patch[2])), min(height, round(patch[3]))
    if x1 <= x0 or y1 <= y0 or (x1 - x0) * (y1 - y0) < LEAST:
        return np.zeros(math.prod(BINS))
    small = cv2.resize(rgb[y0:y1, x0:x1], (16, 16), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    np.clip(lab, *LIMITS, out=lab)
    counts = cv2.calcHist([lab], [0, 1, 2], None, BINS, RANGES).ravel().astype(np.float64)
    return np.asarray(counts / counts.sum())
