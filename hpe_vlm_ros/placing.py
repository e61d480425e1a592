# SPDX-License-Identifier: Apache-2.0
"""Where heads are said to be when no calibration tells; numpy only, no ROS."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def unit_ray(box: ArrayLike, width: int, height: int) -> Array:
    """Unit vector (3,), optical frame, to the box's middle for a camera whose focal length is one
    image width: a fair guess where the calibration is unknown. Box and size in pixels."""
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    ray = np.array([((x0 + x1) - width) / (2 * width), ((y0 + y1) - height) / (2 * width), 1.0])
    unit: Array = ray / np.linalg.norm(ray)
    return unit
