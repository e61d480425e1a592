# SPDX-License-Identifier: Apache-2.0
"""Head angles, rotations and frames; pure numpy, docs/conventions.md shows it in pictures.

Angles are degrees in the convention of DirectMHP and 300W-LP. The rotation of a head maps head axes
into the camera's optical frame (x right, y down, z forward; REP-103) and is the truth:

    R = Rx(-pitch) @ Ry(yaw) @ Rz(roll)        (right-handed elementary rotations)

The identity is a face looking straight along -z of the optical frame. Head axes are x to the
subject's left, y down to the chin, z out of the back of the head. Yaw > 0 turns the nose to the
image's left; pitch > 0 looks up and roll > 0 tilts clockwise in the image while |yaw| < 90, both
reversed beyond, since the angles turn about camera axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# REP-155 face axes (x out of the face, y to the subject's left, z up) in head axes.
HEAD_FROM_FACE: Array = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
# REP-155 gaze axes (z along the gaze, x to the subject's right, y down) in face axes.
FACE_FROM_GAZE: Array = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

_GIMBAL_COSINE = 1e-6  # below this |cos yaw|, only a sum of pitch and roll is known
_RECONSTRUCTION = 1e-5  # largest entry by which angles may miss the rotation they stand for
_EXACT = 1e-12  # largest entry by which M M^T may miss the identity with nothing left to improve
_IDENTITY = np.eye(3)
_ORTHOGONALITY = 1e-3  # largest entry by which a matrix may miss being a rotation


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole camera without distortion; all in pixels of the image in which boxes are given."""

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not (np.all(np.isfinite(values)) and self.fx > 0 and self.fy > 0):
            raise ValueError(
                f"camera {values}: focal lengths must be positive; calibrate the camera"
            )

    @property
    def matrix(self) -> Array:
        """(3, 3), pixels of what lies on the ray (x, y, 1)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    @property
    def turn(self) -> Array:
        """Rotation (3, 3) from the axes of the picture to the optical frame of its header: none,
        see `lens.LensCamera` for cameras where the two differ."""
        return _IDENTITY

    def directions(self, points: ArrayLike) -> Array:
        """Rays (N, 3) of pixels (N, 2) in the axes of the picture, with z = 1; NaN where the lens
        has none."""
        pixels = np.asarray(points, dtype=float)
        flat = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        return np.column_stack([flat, np.ones(len(flat))])

    def ray(self, box: ArrayLike) -> Array:
        """Ray (3,) to the middle of a box x0, y0, x1, y1 (pixels) in the optical frame; one unit
        long along the axis on which depth images measure."""
        x0, y0, x1, y1 = np.asarray(box, dtype=float)
        ray: Array = self.turn @ self.directions([[(x0 + x1) / 2, (y0 + y1) / 2]])[0]
        return ray

    def sphere(self, box: ArrayLike, radius: float) -> Array:
        """Centre (3,) in the axes of the picture of a sphere whose outline is as high as the box
        x0, y0, x1, y1 (pixels) and has the same middle; in the unit of `radius`.

        The box's edges are tangents of the sphere, so this is exact off the axis too.
        """
        x0, y0, x1, y1 = np.asarray(box, dtype=float)
        left, right = np.arctan(((x0 - self.cx) / self.fx, (x1 - self.cx) / self.fx))
        top, bottom = np.arctan(((y0 - self.cy) / self.fy, (y1 - self.cy) / self.fy))
        across, down = (left + right) / 2, (top + bottom) / 2
        reach = radius / np.sin((bottom - top) / 2)  # distance in the plane of y and z
        depth = reach * np.cos(down)
        return np.array([depth * np.tan(across), reach * np.sin(down), depth])


@dataclass(frozen=True)
class HeadShape:
    """The sphere about the head that a checkpoint's boxes enclose; fitted on data with truth.

    `diameter` in metres, of the sphere whose image is as high as the box. `offset` in metres and
    head axes, from its centre to the sellion (where nose meets brow; origin of the face frame).
    """

    diameter: float
    offset: tuple[float, float, float]

    @classmethod
    def read(cls, fields: Mapping[str, Any] | None) -> HeadShape | None:
        """Of a checkpoint's config.json or a run's file; None where it states none, ValueError
        where it states it wrongly."""
        if fields is None:
            return None
        try:
            x, y, z = (float(v) for v in fields["offset"])
            return cls(float(fields["diameter"]), (x, y, z))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"head_shape {fields} needs a diameter and an offset of three numbers in metres"
            ) from error


def rotation_from_angles(yaw: ArrayLike, pitch: ArrayLike, roll: ArrayLike) -> Array:
    """Rotation (..., 3, 3) of degrees that broadcast to (...); ValueError if one is not finite."""
    degrees = [np.asarray(a, dtype=float) for a in (yaw, pitch, roll)]
    if not all(np.isfinite(a).all() for a in degrees):
        raise ValueError(
            f"yaw {yaw!r}, pitch {pitch!r}, roll {roll!r}: angles must be finite degrees"
        )
    y, p, r = np.broadcast_arrays(*map(np.radians, degrees))
    return _elementary(-p, 0) @ _elementary(y, 1) @ _elementary(r, 2)


def angles_from_rotation(rotation: ArrayLike) -> tuple[float, float, float] | None:
    """Degrees (yaw, pitch, roll), yaw in (-180, 180], |pitch| and |roll| < 90, of (3, 3), or None.

    Half of all rotations have no such triple. At yaw 90 only roll - pitch is determined, at -90
    their sum: roll is then 0 where that leaves |pitch| < 90, otherwise the two share it.
    ValueError if `rotation` is not a rotation.
    """
    return _angles(nearest_rotation(rotation).tolist())


def angles_from_rotations(rotations: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """`angles_from_rotation` of (N, 3, 3): (angles (N, 3), valid (N,)); NaN where not valid."""
    found = [_angles(m) for m in nearest_rotation(rotations).tolist()]
    angles = [(math.nan,) * 3 if triple is None else triple for triple in found]
    return np.array(angles).reshape(-1, 3), np.array([t is not None for t in found], bool)


def _angles(m: list[list[float]]) -> tuple[float, float, float] | None:
    """`angles_from_rotation` of the rows of a rotation; plain floats are quicker here."""
    # M02 = sin yaw, M00 = cos yaw cos roll and M22 = cos yaw cos pitch. With both cosines positive,
    # M00 and M22 have the sign of cos yaw; if they differ, neither Euler solution is in the domain.
    sign = -1.0 if m[0][0] < 0 else 1.0
    cosine = sign * math.hypot(m[0][0], m[0][1])
    if abs(cosine) < _GIMBAL_COSINE:
        side = math.copysign(1.0, m[0][2])
        turn = math.atan2(m[1][0], m[1][1])  # roll - side * pitch, all there is to know
        share = 0.0 if abs(turn) < math.pi / 2 else 0.5
        yaw, pitch, roll = side * math.pi / 2, -side * turn * (1 - share), turn * share
    else:
        yaw = math.atan2(m[0][2], cosine)
        pitch = math.atan2(sign * m[1][2], sign * m[2][2])
        roll = math.atan2(-sign * m[0][1], sign * m[0][0])
    error = max(abs(a - b) for a, b in zip(_rows(yaw, pitch, roll), sum(m, []), strict=True))
    angles = tuple(math.degrees(a) + 0.0 for a in (yaw, pitch, roll))  # no negative zeros
    if max(abs(angles[1]), abs(angles[2])) >= 90 or error >= _RECONSTRUCTION:
        return None
    return 180.0 if angles[0] <= -180 else angles[0], angles[1], angles[2]


def _rows(yaw: float, pitch: float, roll: float) -> tuple[float, ...]:
    """The nine entries of Rx(-pitch) Ry(yaw) Rz(roll), row by row, of radians."""
    sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
    sr, cr = math.sin(roll), math.cos(roll)
    return (
        *(cy * cr, -cy * sr, sy),
        *(cp * sr - sp * sy * cr, cp * cr + sp * sy * sr, sp * cy),
        *(-sp * sr - cp * sy * cr, cp * sy * sr - sp * cr, cp * cy),
    )


def nearest_rotation(matrices: ArrayLike) -> Array:
    """(..., 3, 3) freed of rounding errors; ValueError if one is no rotation within 1e-3."""
    m = np.asarray(matrices, dtype=float)
    if m.shape[-2:] != (3, 3) or not np.isfinite(m).all():
        raise ValueError(f"rotations of shape {m.shape}: need finite numbers of shape (..., 3, 3)")
    with np.errstate(over="ignore", invalid="ignore"):  # huge entries are refused below
        off = np.abs(m @ m.swapaxes(-1, -2) - _IDENTITY).max(initial=0.0)
    if off < _EXACT and (np.linalg.det(m) > 0).all():
        return m  # as nearly all are
    u, _, vt = np.linalg.svd(m)
    nearest: Array = u @ vt
    if np.abs(nearest - m).max(initial=0.0) > _ORTHOGONALITY or (np.linalg.det(nearest) < 0).any():
        raise ValueError("not a rotation: rows must be unit, orthogonal and right-handed")
    return nearest


def face_rotation(rotation: ArrayLike) -> Array:
    """R(optical <- face), REP-155 face axes, of a head's rotation (..., 3, 3)."""
    return np.asarray(rotation, dtype=float) @ HEAD_FROM_FACE


def rotation_from_face(face: ArrayLike) -> Array:
    """The head's rotation (..., 3, 3) of R(optical <- face); undoes `face_rotation`."""
    return np.asarray(face, dtype=float) @ HEAD_FROM_FACE.T


def gaze_rotation(rotation: ArrayLike) -> Array:
    """R(optical <- gaze), REP-155 gaze axes (z along it), of a head's rotation (..., 3, 3)."""
    gaze: Array = face_rotation(rotation) @ FACE_FROM_GAZE
    return gaze


def mirror_rotation(rotation: ArrayLike) -> Array:
    """Rotation (..., 3, 3) of the head in the mirrored image: -yaw, pitch, -roll."""
    flip = np.diag([-1.0, 1.0, 1.0])
    mirrored: Array = flip @ np.asarray(rotation, dtype=float) @ flip
    return mirrored


def mean_rotations(rotations: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """The means (N, 3, 3), in the chordal sense, of several rotations (A, N, 3, 3) each.

    `weights` (A, N) are positive; None: all count alike. Source: Hartley et al., "Rotation
    Averaging" (2013), 5.3.
    """
    turns = np.asarray(rotations, dtype=float)
    parts = np.ones(turns.shape[:2]) if weights is None else np.asarray(weights, dtype=float)
    u, _, vt = np.linalg.svd((parts[..., None, None] * turns).sum(0))
    flip = np.where(np.linalg.det(u @ vt)[:, None, None] < 0, np.diag([1.0, 1.0, -1.0]), _IDENTITY)
    means: Array = u @ flip @ vt
    return means


def quaternion_from_matrix(rotation: ArrayLike) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation (3, 3)."""
    m = nearest_rotation(rotation)
    (a, m01, m02), (m10, b, m12), (m20, m21, c) = m.tolist()  # plain floats are quicker here
    # Each row is the quaternion times four times one of its entries; the longest is the safest,
    # which has the largest entry on the diagonal.
    xy, xz, yz = m01 + m10, m02 + m20, m12 + m21
    wx, wy, wz = m21 - m12, m02 - m20, m10 - m01
    _, (x, y, z, w) = max(
        (1 + a - b - c, (1 + a - b - c, xy, xz, wx)),
        (1 - a + b - c, (xy, 1 - a + b - c, yz, wy)),
        (1 - a - b + c, (xz, yz, 1 - a - b + c, wz)),
        (1 + a + b + c, (wx, wy, wz, 1 + a + b + c)),
    )
    scale = (-1.0 if w < 0 else 1.0) / math.hypot(x, y, z, w)
    return x * scale, y * scale, z * scale, w * scale


def matrix_from_quaternion(quaternion: ArrayLike) -> Array:
    """Rotation (3, 3) of a quaternion (x, y, z, w) of any length but zero."""
    q = np.asarray(quaternion, dtype=float)
    norm = np.linalg.norm(q)
    if q.shape != (4,) or not norm > 0 or not np.isfinite(norm):
        raise ValueError(f"quaternion {quaternion!r}: need finite x, y, z, w, not all zero")
    x, y, z, w = q / norm
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: Array = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    return rotation


def rotation_from_vector(vector: ArrayLike) -> Array:
    """Rotation (3, 3) by the length of `vector` (3,) in radians about its direction (Rodrigues)."""
    x, y, z = np.asarray(vector, dtype=float).tolist()
    angle = math.hypot(x, y, z)
    # sin(a) / a and (1 - cos a) / a^2, both exact at zero.
    first, half = (math.sin(a) / a if a else 1.0 for a in (angle, angle / 2))
    second = 0.5 * half * half
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: Array = np.eye(3) + first * cross + second * cross @ cross
    return rotation


def rotation_vector(rotation: ArrayLike) -> Array:
    """Vectors (..., 3) in radians, of length 0..pi, of which `rotation_from_vector` makes these
    rotations (..., 3, 3); NaN of one that is not known (NaN). ValueError for what is none."""
    m = np.asarray(rotation, dtype=float)
    unknown = ~np.isfinite(m).all(axis=(-2, -1))
    m = nearest_rotation(np.where(unknown[..., None, None], _IDENTITY, m) if unknown.any() else m)
    axis = (m - m.swapaxes(-1, -2))[..., [2, 0, 1], [1, 2, 0]]
    sine = np.sqrt((axis * axis).sum(-1))  # and the cosine: both are twice the true value
    angle = np.arctan2(sine, np.trace(m, axis1=-2, axis2=-1) - 1.0)
    scale = np.divide(angle, sine, out=np.full_like(sine, 0.5), where=sine > 1e-9)
    vectors: Array = axis * scale[..., None]
    # Near half a turn the skew part fades, and the axis with it; the quaternion still has it.
    for index in map(tuple, np.argwhere((sine < 1e-3) & (angle > 1))):
        x, y, z, w = quaternion_from_matrix(m[index])
        length = math.hypot(x, y, z)
        vectors[index] = np.array([x, y, z]) * (2 * math.atan2(length, w) / length)
    vectors[unknown] = np.nan
    return vectors


def circular_difference(a: ArrayLike, b: ArrayLike) -> Array:
    """a - b in degrees, in (-180, 180]; broadcasts."""
    d = np.mod(np.asarray(a, dtype=float) - np.asarray(b, dtype=float), 360.0)
    wrapped: Array = np.where(d > 180, d - 360.0, d)
    return wrapped


def geodesic_degrees(first: ArrayLike, second: ArrayLike) -> Array:
    """Angle in degrees of the turn from one rotation (..., 3, 3) to the other; broadcasts."""
    turn = np.swapaxes(np.asarray(first, dtype=float), -1, -2) @ np.asarray(second, dtype=float)
    skew = turn - np.swapaxes(turn, -1, -2)
    sine = np.sqrt(skew[..., 2, 1] ** 2 + skew[..., 0, 2] ** 2 + skew[..., 1, 0] ** 2)
    # atan2 keeps its precision near 0 and 180, where the arc cosine of the trace loses half.
    cosine = np.trace(turn, axis1=-2, axis2=-1) - 1.0  # both are twice the true value
    degrees: Array = np.degrees(np.arctan2(sine, cosine))
    return degrees


def head_position(
    box: ArrayLike, camera: CameraIntrinsics, rotation: ArrayLike, shape: HeadShape
) -> Array:
    """Sellion (3,) in metres, optical frame, of a head with box x0, y0, x1, y1 in pixels.

    The box's upper and lower edges are tangents of the sphere of `shape`: exact off the axis too,
    where `fy * diameter / height` overlooks perspective stretch. A box cut by the image's border
    puts the head too far away. NaN where the lens sees nothing.
    """
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"box {box!r}: need pixels x0 < x1 and y0 < y1")
    centre = camera.turn @ camera.sphere(box, shape.diameter / 2)
    sellion: Array = centre + np.asarray(rotation, dtype=float) @ np.asarray(shape.offset)
    return sellion


def box_area(boxes: ArrayLike) -> Array:
    """Areas (N,) of boxes x0, y0, x1, y1 (N, 4); 0 for empty ones."""
    box = np.asarray(boxes, dtype=float).reshape(-1, 4)
    area: Array = np.clip(box[:, 2:] - box[:, :2], 0, None).prod(axis=-1)
    return area


def box_overlap(a: ArrayLike, b: ArrayLike) -> Array:
    """Areas (N, M) that boxes x0, y0, x1, y1 (N, 4), (M, 4) share."""
    first = np.asarray(a, dtype=float).reshape(-1, 1, 4)
    second = np.asarray(b, dtype=float).reshape(1, -1, 4)
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared: Array = np.clip(high - low, 0, None).prod(axis=-1)
    return shared


def box_iou(a: ArrayLike, b: ArrayLike) -> Array:
    """Intersection over union (N, M) of boxes x0, y0, x1, y1 (N, 4), (M, 4); 0 for empty ones."""
    shared = box_overlap(a, b)
    union = box_area(a)[:, None] + box_area(b) - shared
    iou: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def _elementary(radians: Array, axis: int) -> Array:
    """Right-handed rotation (..., 3, 3) about axis 0, 1 or 2."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    m = np.zeros((*radians.shape, 3, 3))
    m[..., axis, axis] = 1.0
    m[..., i, i] = m[..., j, j] = np.cos(radians)
    m[..., j, i] = np.sin(radians)
    m[..., i, j] = -np.sin(radians)
    return m
