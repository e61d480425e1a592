# SPDX-License-Identifier: Apache-2.0
"""What can be tuned about tracking; the defaults suit the embedded model at 1 to 10 Hz."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from .motion import Motion


@dataclass(frozen=True)
class Settings:
    """All may change between two images. Angles in degrees, lengths in heights of the head's box.

    Attributes:
        birth_frames: images in which a head must be found before it gets an id.
        birth_score: least score of a sure detection. A new head needs one at least among those that
            found it; unsure ones are given what the sure ones left, and only where it is expected.
        timeout: seconds a head may go unseen before its id is given up for good.
        stale_after: seconds unseen after which a prediction is flagged stale instead of predicted;
            from then on hardly one in twenty lies on a head that shows (docs/tracking.md).
        pose_weight: 0 assigns heads by box alone, 1 by pose alone.
        colour_weight: how much different colours of head and clothes count beside both; 0: not.
        rotation_noise: standard deviation of one answer about each axis, where the answer itself
            does not say. It differs from image to image and is averaged away.
        rotation_bias: the part of an answer's error that is the same in the next image, per axis;
            no averaging helps against it, so it is added to every covariance that goes out. The
            covariance that an answer states itself is divided in the ratio of the two.
        turn_speed: typical speed of a turning head about each axis, degrees per second.
        move_speed: typical speed of a head across the image, heads per second; who walks at 1 m/s
            makes 4.
        turn_memory, move_memory: seconds for which a head goes on turning and moving as it did;
            predictions come to rest after it.
        box_noise: standard deviation of a box's middle, in heads, and of the log of its sides.
    """

    birth_frames: int = 3
    birth_score: float = 0.6
    timeout: float = 2.0
    stale_after: float = 0.3
    pose_weight: float = 0.2
    colour_weight: float = 1.0
    rotation_noise: float = 8.0
    rotation_bias: float = 15.0
    turn_speed: float = 60.0
    move_speed: float = 3.0
    turn_memory: float = 0.7
    move_memory: float = 0.7
    box_noise: float = 0.08

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0.0 if field.name in MAY_BE_ZERO else 1e-6
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{field.name} is {value}: must be a positive number")
        if self.pose_weight > 1:
            raise ValueError(f"pose_weight is {self.pose_weight}: must be within 0 and 1")

    @property
    def bias_share(self) -> float:
        """The share of an answer's variance that is the same in the next image."""
        noise, bias = self.rotation_noise**2, self.rotation_bias**2
        return bias / (noise + bias)

    @property
    def turning(self) -> Motion:
        """Of a rotation: radians per second about each optical axis."""
        return Motion(math.radians(self.turn_speed), self.turn_memory)

    def moving(self, height: float) -> Motion:
        """Of a box this many pixels high: middle in pixels, then the logs of width and height."""
        across = self.move_speed * height
        return Motion((across, DOWN * across, SIZE_SPEED, SIZE_SPEED), self.move_memory)


MAY_BE_ZERO = "birth_score", "pose_weight", "colour_weight", "rotation_bias", "stale_after"
DOWN = 0.4  # heads move less up and down than across
SIZE_SPEED = 0.3  # per second, of the log of a box's sides: walking up to a camera from 3 m away
