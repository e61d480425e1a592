# SPDX-License-Identifier: Apache-2.0
"""One head over time: what the images say about it, and where it should be when they do not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .motion import ROTATIONS, VECTORS, Moving, at_rest
from .settings import Settings

Array = NDArray[np.float64]
PixelBox = tuple[float, float, float, float]
LIMIT_ROTATION = 7.8  # 95 % of chi squared with 3 degrees of freedom
LIMIT_BOX = math.inf  # boxes that are far off are not assigned in the first place


class Status(IntEnum):
    """As the STATUS_ constants of HeadPose.msg."""

    OK = 0
    PREDICTED = 1
    INVALID_ANSWER = 2
    STALE = 3


@dataclass(frozen=True, eq=False)
class Observation:
    """A head found in one image.

    Attributes:
        box: x0, y0, x1, y1 in pixels.
        rotation: (3, 3) head in the optical frame; None where the answer about it was invalid.
        score: 0..1.
        rotation_covariance: (3, 3) rad^2 about the optical axes, if the answer tells; else None.
    """

    box: PixelBox
    rotation: Array | None
    score: float
    rotation_covariance: Array | None = None


@dataclass(frozen=True, eq=False)
class TrackedHead:
    """A head at the time of an image.

    Attributes:
        id: "h0001" and so on; "" until it has been seen often enough.
        box, rotation: as in Observation, filtered; rotation is None if no valid answer ever came.
        rotation_covariance: (3, 3) rad^2, turns about the fixed optical axes.
        box_deviation: standard deviation in pixels of the box's middle, and of its log height.
        score: of the newest detection.
        unseen: seconds since the model last found it; 0 in an image in which it did.
        age: seconds since it was first seen.
    """

    id: str
    box: PixelBox
    rotation: Array | None
    rotation_covariance: Array
    box_deviation: tuple[float, float]
    score: float
    status: Status
    unseen: float
    age: float


class Track:
    """A head's filters. Times are nanoseconds of the images' stamps."""

    def __init__(self, stamp: int, seen: Observation, settings: Settings) -> None:
        self.id = ""
        self.hits, self.misses = 1, 0
        self._born = self._last_seen = stamp
        self._stamp = stamp
        self._seen = seen
        state, noise = _box_state(seen.box), _box_noise(seen.box, settings)
        self._box = at_rest(VECTORS, state, noise, settings.moving(_height(state)))
        self._turn: Moving | None = None
        self._start_turning(settings)

    def predict(self, stamp: int, settings: Settings) -> tuple[Moving, Moving | None]:
        """Box and rotation at a time not before the newest image; changes nothing."""
        seconds = (stamp - self._stamp) / 1e9
        box = self._box.after(seconds, settings.moving(_height(self._box.value)))
        return box, self._turn and self._turn.after(seconds, settings.turning)

    def advance(self, stamp: int, settings: Settings) -> None:
        """Goes on to an image, before it is known whether the head was found in it."""
        self._box, self._turn = self.predict(stamp, settings)
        self._stamp = stamp

    def miss(self) -> None:
        self.misses += 1

    def hit(self, seen: Observation, settings: Settings) -> None:
        """The head was found in the image that `advance` went to."""
        self.hits, self.misses = self.hits + 1, 0
        self._last_seen, self._seen = self._stamp, seen
        noise = _box_noise(seen.box, settings)
        self._box = self._box.corrected(_box_state(seen.box), noise, LIMIT_BOX)
        if self._turn is None:
            self._start_turning(settings)
        elif seen.rotation is not None:
            noise = _rotation_noise(seen, settings)
            self._turn = self._turn.corrected(seen.rotation, noise, LIMIT_ROTATION)

    @property
    def box(self) -> PixelBox:
        return _pixel_box(self._box.value)

    @property
    def rotation(self) -> Array | None:
        return None if self._turn is None else self._turn.value

    def distance(self, box: PixelBox, settings: Settings) -> tuple[float, float]:
        """Squared Mahalanobis distance of the middles, and how many times higher the box is."""
        error = _box_state(box) - self._box.value
        spread = (self._box.value_covariance + _box_noise(box, settings))[:2, :2]
        far = float(error[:2] @ np.linalg.solve(spread, error[:2]))
        return far, float(np.exp(error[3]))

    def unseen(self, stamp: int) -> float:
        return (stamp - self._last_seen) / 1e9

    def at(self, stamp: int, settings: Settings) -> TrackedHead:
        """The head at a time not before the newest image."""
        box, turn = self.predict(stamp, settings)
        bias = math.radians(settings.rotation_bias) ** 2 * np.eye(3)
        unknown = np.full((3, 3), math.nan)
        return TrackedHead(
            id=self.id,
            box=_pixel_box(box.value),
            rotation=None if turn is None else turn.value,
            rotation_covariance=unknown if turn is None else turn.value_covariance + bias,
            box_deviation=(
                float(np.sqrt(np.trace(box.value_covariance[:2, :2]) / 2)),
                float(np.sqrt(box.value_covariance[3, 3])),
            ),
            score=self._seen.score,
            status=self._status(stamp, settings),
            unseen=self.unseen(stamp),
            age=(stamp - self._born) / 1e9,
        )

    def _status(self, stamp: int, settings: Settings) -> Status:
        if self.unseen(stamp) > settings.stale_after:
            return Status.STALE
        if stamp != self._last_seen:
            return Status.PREDICTED
        return Status.INVALID_ANSWER if self._seen.rotation is None else Status.OK

    def _start_turning(self, settings: Settings) -> None:
        if self._seen.rotation is not None:
            noise = _rotation_noise(self._seen, settings)
            self._turn = at_rest(ROTATIONS, self._seen.rotation, noise, settings.turning)


def _box_state(box: PixelBox) -> Array:
    """Middle in pixels, logs of width and height."""
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"box {box}: need pixels x0 < x1 and y0 < y1")
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, math.log(x1 - x0), math.log(y1 - y0)])


def _pixel_box(state: Array) -> PixelBox:
    x, y = float(state[0]), float(state[1])
    across, down = (float(v) for v in np.exp(state[2:]) / 2)
    return x - across, y - down, x + across, y + down


def _height(state: Array) -> float:
    return float(np.exp(state[3]))


def _box_noise(box: PixelBox, settings: Settings) -> Array:
    middle = settings.box_noise * (box[3] - box[1])
    return np.diag([middle**2, middle**2, settings.box_noise**2, settings.box_noise**2])


def _rotation_noise(seen: Observation, settings: Settings) -> Array:
    if seen.rotation_covariance is not None:
        return seen.rotation_covariance
    return math.radians(settings.rotation_noise) ** 2 * np.eye(3)
