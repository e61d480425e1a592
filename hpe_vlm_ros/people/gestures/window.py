# SPDX-License-Identifier: Apache-2.0
"""The last two seconds of one head's poses, at ten a second whatever the camera's rate.

What is kept are numbers, no pixels. Rotations are told relative to the window's mean and about the
head's own axes, so that a nod is one at profile too: yaw > 0 turns the nose to the subject's right,
pitch > 0 up, roll > 0 lays the head to the left ear.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.boxes import PixelBox
from hpe_vlm_ros.geometry import mean_rotations, rotation_vector
from hpe_vlm_ros.tasks.gesture import NUMBERS, SAMPLES

Array = NDArray[np.float64]
PERIOD = 0.1  # seconds between two samples
LENGTH = PERIOD * (SAMPLES - 1)
LAG = 0.4  # seconds before the window's end of which the answer tells: what came after helps
LEAST_RATE = (
    6.0  # images a second; below, nods and shakes can look like each other and like nothing
)
FULL = 0.97  # of the rate: stamps are not exact
GAP = 2.2  # times the longest period allowed: two images in a row may be missing at LEAST_RATE
SPREAD = np.array([-0.4, -0.2, 0.0, 0.2, 0.4]) * PERIOD  # a sample is the mean over its period


class PoseWindow:
    """Poses of one head. Stamps are nanoseconds and must grow."""

    def __init__(self) -> None:
        self._poses: deque[tuple[int, Array, Array]] = deque()

    def add(self, stamp: int, rotation: Array, box: PixelBox) -> None:
        """A head as the model told it in one image: rotation (3, 3), box in pixels.

        A stamp that is not newer than the last one starts the window anew: time has jumped.
        """
        if self._poses and stamp <= self._poses[-1][0]:
            self._poses.clear()
        x0, y0, x1, y1 = box
        place = np.array([(x0 + x1) / 2, (y0 + y1) / 2, y1 - y0])
        self._poses.append((stamp, np.asarray(rotation, dtype=float), place))
        # one from before the window stays: the first sample lies between two images
        while len(self._poses) > 1 and self._age(1) >= LENGTH + PERIOD / 2:
            self._poses.popleft()

    def __len__(self) -> int:
        return len(self._poses)

    def _age(self, index: int) -> float:
        return (self._poses[-1][0] - self._poses[index][0]) / 1e9

    def samples(self, least_rate: float = LEAST_RATE) -> Array | None:
        """(20, 5), the newest last: yaw, pitch, roll in degrees relative to the mean, and the box's
        middle to the right and down in heights of the box.

        None where nothing can be said: the window is not full yet, holds fewer than `least_rate`
        images a second, or has a gap.
        """
        if len(self._poses) < 2:
            return None
        times = np.array([self._age(index) for index in range(len(self._poses))])
        inside = int((times <= LENGTH + PERIOD / 2).sum())
        gaps = -np.diff(times)
        full = times[0] >= LENGTH - PERIOD / 2
        often = inside >= np.floor(FULL * least_rate * (LENGTH + PERIOD))
        if not (full and often and gaps.max() <= GAP / least_rate):
            return None
        return _resampled(-times, *zip(*((r, p) for _, r, p in self._poses), strict=True))


def _resampled(times: Array, rotations: tuple[Array, ...], places: tuple[Array, ...]) -> Array:
    """See `PoseWindow.samples`; times (N,) in seconds, 0 the newest."""
    stacked, where = np.stack(rotations), np.stack(places)
    mean = mean_rotations(stacked[:, None])[0]
    turns = np.degrees(rotation_vector(mean.T @ stacked)) @ TO_ANGLES
    return relative(times, np.column_stack([turns, where[:, :2] / np.median(where[:, 2])]))


def relative(times: Array, values: Array) -> Array:
    """The window (20, 5) of values (N, 5) at times (N,) in seconds, 0 being its end: the mean over
    each sample's period of what is linear between two images, less the mean of all samples."""
    grid = np.arange(1 - SAMPLES, 1) * PERIOD
    # the last sample's period reaches beyond the newest image, where nothing is known yet
    moments = np.minimum(grid[:, None] + SPREAD, 0.0)
    out = np.stack([np.interp(moments, times, v).mean(1) for v in values.T], 1)
    assert out.shape == (SAMPLES, NUMBERS)
    return np.asarray(out - out.mean(0))


# rotation vectors about the head's left, down and back axes to yaw, pitch and roll
TO_ANGLES = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
