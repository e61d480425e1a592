# SPDX-License-Identifier: Apache-2.0
"""How sure an estimate is: the covariance of a head's rotation, and calibrated confidence.

A rotation's error is a small turn about the fixed axes of the optical frame,

    true rotation = exp([turn]x) @ stated rotation,

so its covariance (3, 3) in rad^2 has no singular poses and is what HeadPose.msg carries.

The model says yaw, then pitch given yaw, then roll given both. Each has a spread; but a pitch that
is off does not leave the roll as it is. For an error that is the same about all axes, the triple's
own geometry says what follows: roll moves by sin(yaw) times as much as pitch does. Then the three
spreads act about three orthogonal axes,

    c_roll  = Rx(-pitch) Ry(yaw) z      the axis about which roll turns
    c_yaw   = Rx(-pitch) y              the axis about which yaw turns
    c_pitch = c_yaw x c_roll            what of the pitch's axis is neither

and pitch counts with cos(yaw): at the profile, where only roll - pitch is determined, a pitch that
may be anything harms nothing. To first order that is exact for round errors; see the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
LARGEST = 180 / np.sqrt(3)  # degrees: that of an angle of which nothing is known


@dataclass(frozen=True)
class Calibration:
    """Numbers fitted on labelled pictures, so that what is stated is what happens.

    Attributes:
        rotation_scale: factor of the deviations that the answer's probabilities give.
        rotation_floor: degrees about each axis that even the surest answer is off.
        score_slope, score_offset: of the logit of a box's score. The calibrated score is the
            probability that the box is one of a head (overlap of at least 0.5).
    """

    rotation_scale: float = 1.0
    rotation_floor: float = 0.0
    score_slope: float = 1.0
    score_offset: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.rotation_scale < 0 or self.rotation_floor < 0 or self.score_slope <= 0:
            raise ValueError("rotation_scale and rotation_floor must be >= 0, score_slope > 0")

    @classmethod
    def read(cls, content: Mapping[str, Any] | None) -> Calibration:
        """Of config.json's `calibration`; None is none, ValueError says what is wrong."""
        try:
            return cls(**(content or {}))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"config.json's calibration {content!r}: {error}; fit it anew with "
                "python -m training.release.calibrate"
            ) from error

    def as_dict(self) -> dict[str, float]:
        """Names and values, fit for JSON."""
        return asdict(self)

    def covariance(self, stated: Array) -> Array:
        """(..., 3, 3) rad^2, calibrated, of what `turn_covariance` gives."""
        floor = np.radians(self.rotation_floor) ** 2 * np.eye(3)
        honest: Array = self.rotation_scale**2 * stated + floor
        return honest

    def score(self, stated: float) -> float:
        """The probability that a box with this score, 0..1, is one of a head."""
        if self.score_slope == 1 and self.score_offset == 0:
            return stated
        certain = min(max(stated, 1e-9), 1 - 1e-9)
        logit = np.log(certain / (1 - certain))
        return float(1 / (1 + np.exp(-(self.score_slope * logit + self.score_offset))))


def check_numbers(stated: Any) -> None:
    """ValueError that names a field of the dataclass `stated` which is no finite number."""
    for field in fields(stated):
        value = getattr(stated, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{field.name} is {value!r}: must be a number")
        if not np.isfinite(value):
            raise ValueError(f"{field.name} is {value!r}: must be finite")


def turn_covariance(angles: ArrayLike, deviations: ArrayLike) -> Array:
    """(..., 3, 3) rad^2 of the turn from the stated to the true rotation, about optical axes.

    angles: (..., 3) yaw, pitch, roll in degrees. deviations: (..., 3), the standard deviations in
    degrees of yaw, of pitch given that yaw, and of roll given both.
    """
    yaw, pitch, _ = np.radians(np.moveaxis(np.asarray(angles, dtype=float), -1, 0))
    sy, cy, sp, cp = np.sin(yaw), np.cos(yaw), np.sin(pitch), np.cos(pitch)
    yaw_axis = np.stack([np.zeros_like(yaw), cp, -sp], axis=-1)  # second of Rx(-pitch)
    roll_axis = np.stack([sy, sp * cy, cp * cy], axis=-1)  # third of Rx(-pitch) Ry(yaw)
    axes = np.stack([yaw_axis, np.cross(yaw_axis, roll_axis), roll_axis], axis=-1)
    across = np.radians(np.minimum(deviations, LARGEST))
    across[..., 1] *= np.abs(cy)
    covariance: Array = (axes * across[..., None, :] ** 2) @ np.swapaxes(axes, -1, -2)
    return covariance


def deviations_of(covariance: Array) -> tuple[float, float, float]:
    """Standard deviations in degrees of the turn about the optical x, y and z axes."""
    x, y, z = np.degrees(np.sqrt(np.clip(np.diagonal(covariance), 0.0, None)))
    return float(x), float(y), float(z)
