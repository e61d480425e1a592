# SPDX-License-Identifier: Apache-2.0
"""Where a head is: from a depth image, else from the size of its box, with a covariance; numpy.

Positions are metres in the camera's optical frame, of the sellion (between the eyes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, head_position

Array = NDArray[np.float64]

HEAD_SIZE_SPREAD = 0.08  # of a head's size and of its box's edges, relative: all of one person's
DEPTH_SPREAD = 0.03  # metres: hair, and the camera's own noise near by
CENTRAL = 0.3  # of the box's sides: the window in which depth is read
LEAST_VALID = 0.2  # of the window's pixels


class Source(IntEnum):
    """As the POSITION_ constants of HeadPose.msg."""

    NONE = 0
    BOX_SIZE = 1
    DEPTH = 2


@dataclass(frozen=True, eq=False)
class Position:
    """point: (3,) metres, NaN when the source is NONE. covariance: (3, 3) m^2."""

    point: Array
    covariance: Array
    source: Source


UNKNOWN = Position(np.full(3, math.nan), np.zeros((3, 3)), Source.NONE)


def locate(
    box: ArrayLike,
    rotation: ArrayLike,
    camera: CameraIntrinsics | None,
    shape: HeadShape | None,
    depth: NDArray[np.float32] | None = None,
    box_deviation: tuple[float, float] = (0.0, 0.0),
) -> Position:
    """The sellion of a head with this box (pixels x0, y0, x1, y1) and rotation (3, 3).

    depth: (H, W) metres along z, registered to the image; not finite or not positive is unknown.
    box_deviation: standard deviation of the box's middle in pixels, and of the log of its height.
    """
    if camera is None or shape is None:
        return UNKNOWN
    turn = np.asarray(rotation, dtype=float)
    reading = None if depth is None else read_depth(depth, box)
    if reading is None:
        point = head_position(box, camera, turn, shape)
        # distance is a size over a size, so relative errors of both are relative errors of it
        ahead = math.hypot(HEAD_SIZE_SPREAD, box_deviation[1]) * float(np.linalg.norm(point))
        source = Source.BOX_SIZE
    else:
        point = _behind_surface(reading[0], box, camera, turn, shape)
        ahead, source = math.hypot(DEPTH_SPREAD, reading[1]), Source.DEPTH
    if not np.isfinite(point).all():  # where the lens has no rays
        return UNKNOWN
    distance = float(np.linalg.norm(point))
    ray = point / distance
    across = box_deviation[0] * distance / camera.fx + 0.01
    covariance = across**2 * (np.eye(3) - np.outer(ray, ray)) + ahead**2 * np.outer(ray, ray)
    return Position(point, covariance, source)


def read_depth(depth: NDArray[np.float32], box: ArrayLike) -> tuple[float, float] | None:
    """Depth in metres of the surface in the middle of a box, and its spread; None where unknown.

    The median of the nearer half of the middle's valid pixels: what lies behind the head and shows
    beside it is farther away.
    """
    x0, y0, x1, y1 = (float(v) for v in np.asarray(box, dtype=float))
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    half_x, half_y = (max(1.0, CENTRAL * side / 2) for side in (x1 - x0, y1 - y0))
    rows = np.clip([int(middle_y - half_y), math.ceil(middle_y + half_y)], 0, depth.shape[0])
    columns = np.clip([int(middle_x - half_x), math.ceil(middle_x + half_x)], 0, depth.shape[1])
    window = depth[slice(*rows), slice(*columns)].astype(np.float64)
    valid = window[np.isfinite(window) & (window > 0)]
    if valid.size == 0 or valid.size < LEAST_VALID * window.size:
        return None
    near = valid[valid <= np.median(valid)]
    middle = float(np.median(near))
    # the factor from a Gaussian's median absolute deviation to its standard deviation
    return middle, 1.4826 * float(np.median(np.abs(near - middle)))


def pose_covariance(
    position: Position, rotation: ArrayLike, shape: HeadShape | None, turn_covariance: ArrayLike
) -> Array:
    """(6, 6) of x y z in m^2 and turns about the optical axes in rad^2, as in a ROS message.

    The sellion lies before the point that box or depth gives, by a lever that turns with the head:
    an error of the rotation is one of the position as well, and the two are correlated.
    """
    result = np.zeros((6, 6))
    turns = np.asarray(turn_covariance, dtype=float)
    result[3:, 3:] = turns
    if position.source is Source.NONE or shape is None or not np.isfinite(turns).all():
        return result
    x, y, z = np.asarray(rotation, dtype=float) @ np.asarray(shape.offset)
    lever = -np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])  # turn x lever = -[lever]x turn
    result[:3, :3] = position.covariance + lever @ turns @ lever.T
    result[:3, 3:] = lever @ turns
    result[3:, :3] = result[:3, 3:].T
    return result


def _behind_surface(
    depth: float, box: ArrayLike, camera: CameraIntrinsics, rotation: Array, shape: HeadShape
) -> Array:
    """The sellion, the surface in the box's middle being at this depth.

    A head is as deep behind its surface as its sellion lies before its middle: for a frontal face
    the surface is the sellion, for the back of a head the sellion is a head's length behind it.
    """
    ray = camera.ray(box)
    offset = np.asarray(shape.offset)
    radius = float(np.linalg.norm(offset))
    middle = ray * depth + ray / np.linalg.norm(ray) * radius
    point: Array = middle + rotation @ offset
    return point
