# SPDX-License-Identifier: Apache-2.0
"""What an answer says of a head's pose: the numbers it prints, their means, how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hpe_vlm_ros.answers import Angles

from .constrained import Answer
from .numbers import CIRCLE, Weights, circular_deviation, circular_mean


@dataclass(frozen=True)
class Pose:
    """Yaw, pitch, roll in degrees, (-180, 180].

    Attributes:
        written: as the answer prints them, whole degrees.
        angles: the circular means of the numbers' probabilities; never farther from `written` than
            the deviation.
        deviations: circular standard deviations: of yaw, of pitch given the yaw that is written,
            of roll given both.
        probabilities: (3, 360), of each whole degree 0..359, from which these come.
    """

    written: Angles
    angles: Angles
    deviations: Angles
    probabilities: Weights = field(compare=False, repr=False)

    def mirrored(self) -> Pose:
        """The same head in the mirror image: -yaw, pitch, -roll."""
        turned = np.roll(self.probabilities[::2, ::-1], 1, axis=-1)  # of k degrees to -k
        probabilities = self.probabilities.copy()
        probabilities[::2] = turned
        return Pose(_mirror(self.written), _mirror(self.angles), self.deviations, probabilities)


def _mirror(angles: Angles) -> Angles:
    yaw, pitch, roll = angles
    return _signed(-yaw), pitch, _signed(-roll)


def pose_of(written: Angles, answer: Answer) -> Pose:
    """The pose in an answer that a grammar of angles has ruled; `written` are its numbers."""
    return pose(written, np.stack([d.probabilities for d in answer.decisions if d.choice.circular]))


def pose(written: Angles, weights: Weights) -> Pose:
    """The pose of an answer that prints `written`; `weights` (3, 360) are the probabilities of its
    numbers."""
    deviations = [circular_deviation(w) for w in weights]
    means = [
        _refined(number, circular_mean(w), deviation)
        for number, w, deviation in zip(written, weights, deviations, strict=True)
    ]
    return Pose(written, _triple(means), _triple(deviations), weights)


def _refined(number: float, mean: float, deviation: float) -> float:
    """The mean, or as near to it as the deviation allows from the number written."""
    turn = _signed(mean - number)
    return _signed(number + min(max(turn, -deviation), deviation))


def _signed(degrees: float) -> float:
    """The same angle in (-180, 180]."""
    turn = degrees % CIRCLE
    return turn - CIRCLE if turn > CIRCLE / 2 else turn


def _triple(values: Sequence[float]) -> Angles:
    yaw, pitch, roll = values
    return yaw, pitch, roll
