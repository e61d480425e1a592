# SPDX-License-Identifier: Apache-2.0
"""One head over time: what the images say about it, and where it should be when they do not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.boxes import PixelBox

from .colours import blended, difference
from .motion import ROTATIONS, VECTORS, Moving, at_rest
from .settings import Settings

Array = NDArray[np.float64]
LIMIT_ROTATION = 7.8  # 95 % of chi squared with 3 degrees of freedom
LIMIT_BOX = 9.5  # 95 % with 4
PLACED = [0, 1, 3]  # of a box's state: its middle and log height; its width follows the pose
SIDES = 1.2  # how much more the log of a box's side scatters than its middle does, in heads
NEARBY, FARTHEST = 1.0, 4.0  # heads from where it was lost that a head may turn up again
OTHER_COLOURS = 0.4  # difference of colours above which it is somebody else
NEW_COLOURS = 0.15  # share of the newest image in what is known of a head's colours
RETURN_RATIO = 1.6  # how much larger or smaller it may be then


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
        rotation_covariance: (3, 3) rad^2 about the optical axes, of the answer's whole error, if
            the answer tells; else None.
        colours: as of `colours.colours_of`; None where they are not to be looked at.
    """

    box: PixelBox
    rotation: Array | None
    score: float
    rotation_covariance: Array | None = None
    colours: Array | None = None


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
        observed: what was found of it in this very image; None where it was not.
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
    observed: Observation | None = None


class Track:
    """A head's filters. Times are nanoseconds of the images' stamps."""

    def __init__(self, stamp: int, observation: Observation, settings: Settings) -> None:
        self.id = ""
        self.hits, self.misses = 1, 0
        self.best_score = observation.score
        self._born = self._last_seen = stamp
        self._first_box = observation.box
        self._colours = observation.colours
        self._stamp = stamp
        self._observation = observation
        state, noise = _box_state(observation.box), _box_noise(observation.box, settings)
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
        """The head was not found in the image that `advance` went to."""
        self.misses += 1

    def hit(self, observation: Observation, settings: Settings) -> None:
        """The head was found in the image that `advance` went to."""
        self.hits, self.misses = self.hits + 1, 0
        self.best_score = max(self.best_score, observation.score)
        self._last_seen, self._observation = self._stamp, observation
        # 1 / hits: the plain mean of the first images, before the newest weigh most
        self._colours = blended(self._colours, observation.colours, max(NEW_COLOURS, 1 / self.hits))
        noise = _box_noise(observation.box, settings)
        self._box = self._box.corrected(_box_state(observation.box), noise, LIMIT_BOX)
        if self._turn is None:
            self._start_turning(settings)
        elif observation.rotation is not None:
            noise = _rotation_noise(observation, settings)
            self._turn = self._turn.corrected(observation.rotation, noise, LIMIT_ROTATION)

    @property
    def box(self) -> PixelBox:
        """Of the filter, in pixels of the image."""
        return _pixel_box(self._box.value)

    @property
    def rotation(self) -> Array | None:
        """(3, 3) of the filter, head axes to the optical frame; None before the first pose."""
        return None if self._turn is None else self._turn.value

    def distance(self, box: PixelBox, settings: Settings) -> float:
        """Squared Mahalanobis distance of a box's middle and log height: 3 degrees of freedom."""
        error = _box_state(box) - self._box.value
        # Box and noise start with no correlation between the state's parts, so none ever arises.
        spread = np.diag(self._box.value_covariance) + np.diag(_box_noise(box, settings))
        return float((error * error / spread)[PLACED].sum())

    def looks(self, observation: Observation) -> float | None:
        """How different the colours are, 0..1; None where nothing can be said."""
        return difference(self._colours, observation.colours)

    def continues(self, lost: Track, settings: Settings) -> float:
        """How far, in heads, this one appeared from where `lost` was found last; infinite where it
        cannot be the same head: too far for the time between, seen beside it, or of another look.
        """
        if not lost.misses or lost._last_seen >= self._born:
            return math.inf
        before, after = _box_state(lost._observation.box), _box_state(self._first_box)
        gap = (self._born - lost._last_seen) / 1e9
        height = math.sqrt(_height(before) * _height(after))
        far = float(np.linalg.norm(after[:2] - before[:2])) / height
        reach = min(NEARBY + settings.move_speed * gap, FARTHEST)
        if abs(after[3] - before[3]) > math.log(RETURN_RATIO) or far > reach:
            return math.inf
        colours = difference(self._colours, lost._colours)
        return far if colours is None or colours <= OTHER_COLOURS else math.inf

    def take_over(self, lost: Track) -> None:
        """From now on this is that head."""
        self.id, self._born = lost.id, lost._born

    def unseen(self, stamp: int) -> float:
        """Seconds from the last image it was found in to `stamp` (nanoseconds)."""
        return (stamp - self._last_seen) / 1e9

    def at(self, stamp: int, settings: Settings) -> TrackedHead:
        """The head at a time not before the newest image."""
        box, turn = self.predict(stamp, settings)
        return TrackedHead(
            id=self.id,
            box=_pixel_box(box.value),
            rotation=None if turn is None else turn.value,
            rotation_covariance=(
                np.full((3, 3), math.nan)
                if turn is None
                else turn.value_covariance + self._bias(settings)
            ),
            box_deviation=(
                float(np.sqrt(np.trace(box.value_covariance[:2, :2]) / 2)),
                float(np.sqrt(box.value_covariance[3, 3])),
            ),
            score=self._observation.score,
            status=self._status(stamp, settings),
            unseen=self.unseen(stamp),
            age=(stamp - self._born) / 1e9,
            observed=self._observation if stamp == self._last_seen else None,
        )

    def _bias(self, settings: Settings) -> Array:
        """The part that stays, as far as the newest answer tells."""
        if self._observation.rotation_covariance is not None:
            return settings.bias_share * self._observation.rotation_covariance
        return math.radians(settings.rotation_bias) ** 2 * np.eye(3)

    def _status(self, stamp: int, settings: Settings) -> Status:
        if self.unseen(stamp) > settings.stale_after:
            return Status.STALE
        if stamp != self._last_seen:
            return Status.PREDICTED
        return Status.INVALID_ANSWER if self._observation.rotation is None else Status.OK

    def _start_turning(self, settings: Settings) -> None:
        if self._observation.rotation is not None:
            noise = _rotation_noise(self._observation, settings)
            self._turn = at_rest(ROTATIONS, self._observation.rotation, noise, settings.turning)


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
    side = SIDES * settings.box_noise
    return np.diag([middle**2, middle**2, side**2, side**2])


def _rotation_noise(observation: Observation, settings: Settings) -> Array:
    """The part of an answer's error that differs from image to image."""
    if observation.rotation_covariance is not None:
        return (1 - settings.bias_share) * observation.rotation_covariance
    return math.radians(settings.rotation_noise) ** 2 * np.eye(3)
