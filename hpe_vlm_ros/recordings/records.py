# SPDX-License-Identifier: Apache-2.0
"""What was perceived in a frame, as it is kept and reported; one JSON object a frame.

Numbers are rounded far below what the model can know, so that they are the same however they are
stored: pixels to 0.001, degrees to 0.0001.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.people.attention import gaze_angle
from hpe_vlm_ros.rays import unit_ray

Array = NDArray[np.float64]
OK, BOX_SIZE = 0, 1  # of HeadPose.msg


class Estimated(Protocol):
    """A HeadEstimate, or a person whose pose is known.

    box: x0, y0, x1, y1 in pixels. yaw, pitch, roll: degrees, NaN without a triple. rotation: (3, 3)
    head in the optical frame. score: 0..1. rotation_covariance: (3, 3) rad^2 about the optical
    axes, None where not stated.
    """

    @property
    def box(self) -> tuple[float, float, float, float]: ...
    @property
    def yaw(self) -> float: ...
    @property
    def pitch(self) -> float: ...
    @property
    def roll(self) -> float: ...
    @property
    def rotation(self) -> Array: ...
    @property
    def score(self) -> float: ...
    @property
    def rotation_covariance(self) -> Array | None: ...


@dataclass(frozen=True)
class Head:
    """One head, estimated or true.

    box: x0, y0, x1, y1 in pixels. yaw, pitch, roll: degrees, None without a triple. rotation: (9)
    row-major, head in the optical frame; of true heads empty where nobody knows it. position:
    sellion in metres, optical frame, or None; position_source: where it comes from, as the
    POSITION_ constants of HeadPose.msg. looking: degrees between gaze and the ray to the
    camera; looks, looks_score: the judgement of that, as in HeadPose.msg, like unseen and age (s).
    covariance: (9) row-major, rad², turns about the fixed optical axes, or None where not stated.
    visible: share of the head, 0..1.
    status: HeadPose.STATUS_*. facing, facing_score: as in HeadPose.msg, a word; "" where unknown.
    gesture: what the head does, as in HeadGesture.msg, a word; "none", or "" where nobody can tell.
    """

    box: tuple[float, ...]
    yaw: float | None
    pitch: float | None
    roll: float | None
    rotation: tuple[float, ...]
    score: float | None = None
    id: str = ""
    position: tuple[float, ...] | None = None
    looking: float | None = None
    looks: bool = False
    looks_score: float | None = None
    covariance: tuple[float, ...] | None = None
    unseen: float = 0.0
    age: float = 0.0
    visible: float = 1.0
    status: int = OK
    facing: str = ""
    facing_score: float | None = None
    gesture: str = ""
    position_source: int = BOX_SIZE

    @classmethod
    def of(cls, head: Estimated) -> Head:
        """What the model says of a head, or what tracking makes of that."""
        stated = head.rotation_covariance
        return cls(
            box=rounded(head.box, 3),
            yaw=_angle(head.yaw),
            pitch=_angle(head.pitch),
            roll=_angle(head.roll),
            rotation=rounded(head.rotation, 7),
            score=round(float(head.score), 6),
            covariance=None if stated is None else rounded(stated, 10),
        )

    @property
    def estimate(self) -> HeadEstimate:
        """As the perceiver gave it, with its stated covariance where there is one."""
        x0, y0, x1, y1 = self.box
        stated = None if self.covariance is None else np.array(self.covariance).reshape(3, 3)
        box = x0, y0, x1, y1
        return HeadEstimate(box, *self.angles, self.matrix, self.score or 0.0, stated)

    @property
    def matrix(self) -> Array:
        """(3, 3) rotation, NaN where it is not known."""
        return np.array(self.rotation or [math.nan] * 9).reshape(3, 3)

    @property
    def angles(self) -> tuple[float, float, float]:
        """Yaw, pitch, roll in degrees, NaN without a triple."""
        nan = math.nan
        y, p, r = (nan if a is None else a for a in (self.yaw, self.pitch, self.roll))
        return y, p, r


@dataclass(frozen=True)
class FrameRecord:
    """One frame of a recording and what was found in it.

    stamp, recorded: nanoseconds, see FrameInfo. error: why the frame could not be perceived. free:
    the reasons for which unconstrained answers about its heads were invalid, "" for a valid one;
    None when not asked. camera: as of `lens.as_numbers`, of the picture as it was taken. problem:
    what is amiss with the camera_info. seconds: time the model took; the one field that differs
    between equal runs. Until `replay.postprocessing` boxes are those of the upright picture.
    """

    recording: str
    number: int
    stamp: int
    recorded: int
    name: str
    frame_id: str
    width: int
    height: int
    heads: tuple[Head, ...]
    error: str | None = None
    free: tuple[str, ...] | None = None
    camera: tuple[float, ...] | None = None
    problem: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        """What tells the frame from all others of a run: recording and number."""
        return self.recording, self.number

    @property
    def time(self) -> int:
        """Nanoseconds: the stamp, or where there is none the time of recording."""
        return self.stamp or self.recorded

    def to_json(self) -> str:
        """One line of JSON; ValueError for a number that is not finite, which JSON does not
        have."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)


def from_json(line: str) -> FrameRecord:
    """Undoes `to_json`; ValueError for anything else."""
    try:
        values = json.loads(line)
        heads = tuple(map(head_from, values.pop("heads")))
        return FrameRecord(heads=heads, **_tuples(values))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a frame's record: {error}") from error


def head_from(values: dict[str, Any]) -> Head:
    """Undoes `asdict` of a head; TypeError for anything else."""
    return Head(**_tuples(values))


def _angle(degrees: float) -> float | None:
    """None where the rotation has no such triple."""
    return None if math.isnan(degrees) else round(float(degrees), 4) + 0.0  # no -0.0 in files


def looking(
    rotation: Any,
    box: Any,
    width: int,
    height: int,
    camera: CameraIntrinsics | None = None,
    position: Any = None,
) -> float:
    """Degrees between the gaze and the ray to the camera; 0 looks straight into it.

    The ray is that of the position, else through the box's middle, by the camera or, if there is
    none, for a focal length of one image width.
    """
    place = position
    if place is None and camera is not None:
        place = camera.ray(box)
    if place is None or not np.isfinite(place).all():
        place = unit_ray(box, width, height)
    matrix = np.asarray(rotation, dtype=float).reshape(3, 3)
    toward = -np.asarray(place, dtype=float)
    return round(math.degrees(gaze_angle(matrix, np.zeros(3), toward)), 4)


def rounded(values: Any, digits: int) -> tuple[float, ...]:
    """Plain floats of an array, row by row; minus zero becomes zero."""
    return tuple(round(float(v), digits) + 0.0 for v in np.asarray(values, dtype=float).ravel())


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
