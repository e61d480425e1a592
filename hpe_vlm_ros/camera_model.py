# SPDX-License-Identifier: Apache-2.0
"""What a sensor_msgs/CameraInfo says of an image's pixels; the same for the node and for replay.

Source: the comments of sensor_msgs/msg/CameraInfo.msg and RegionOfInterest.msg, and image_geometry,
which reads them so: K and P are those of the full picture; an image is that, less what the region
of interest cuts off, divided by the binning. P is for rectified images, in the frame in which its
rays are given; K, D and R take pixels of raw images into that frame. The fourth column of P says
where the other camera of a pair stands, so it moves no ray of this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .geometry import CameraIntrinsics, nearest_rotation
from .lens import FRAME, LensCamera

Array = NDArray[np.float64]
Pair = tuple[float, float]

RECTIFIED: tuple[str | bool, ...] = ("auto", "true", "false", True, False)
"""What the parameter `rectified` may be; YAML makes booleans of the words."""
COEFFICIENTS = {
    "plumb_bob": (4, 5, 8, 12, 14),
    "rational_polynomial": (4, 5, 8, 12, 14),
    "equidistant": (4,),
}
"""Distortion models that are undone, and how many coefficients OpenCV takes for each."""
NO_MODEL = ("", "none", "pinhole")
FINEST = 10  # largest denominator of the fraction by which a picture may have been shrunk
SHORTEST, LONGEST = 0.02, 1000.0  # focal lengths, in widths and heights of the picture
STRONGEST = 1e6  # coefficient of distortion
OFF_CENTRE = 0.25  # of the picture's sides: a principal point that far from the middle is odd
UNKNOWN = "so head positions are unknown"
MISSING = f"no camera_info has come, {UNKNOWN}: set camera_info_topic"
Lens = tuple[tuple[float, ...], bool, str]
"""Coefficients as OpenCV takes them, whether they are a fisheye's, and a warning or ""."""
_NO_LENS: Lens = ((), False, "")


@dataclass(frozen=True)
class Region:
    """A RegionOfInterest: pixels of the full picture; all zero: all of it."""

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0
    do_rectify: bool = False


@dataclass(frozen=True)
class Calibration:
    """The fields of a CameraInfo, whatever library read it. recorded: ns, in force from then on."""

    width: int
    height: int
    k: tuple[float, ...]
    d: tuple[float, ...] = ()
    r: tuple[float, ...] = ()
    p: tuple[float, ...] = ()
    distortion_model: str = ""
    binning: tuple[int, int] = (1, 1)
    roi: Region = Region()
    recorded: int = field(default=0, compare=False)

    @classmethod
    def read(cls, info: Any, recorded: int = 0) -> Calibration:
        """Of a CameraInfo message."""
        roi = info.roi
        left, top, width, height = (
            int(v) for v in (roi.x_offset, roi.y_offset, roi.width, roi.height)
        )
        k, d, r, p = (tuple(map(_number, v)) for v in (info.k, info.d, info.r, info.p))
        return cls(
            width=int(info.width),
            height=int(info.height),
            k=k,
            d=d,
            r=r,
            p=p,
            distortion_model=str(info.distortion_model),
            binning=(max(int(info.binning_x), 1), max(int(info.binning_y), 1)),
            roi=Region(left, top, width, height, bool(roi.do_rectify)),
            recorded=recorded,
        )


def _number(value: Any) -> float:
    """One NaN for all, so that calibrations that hold it are equal."""
    return math.nan if math.isnan(value) else float(value)


@dataclass(frozen=True)
class Described:
    """The camera of an image, and what is not quite right with its calibration ("": nothing)."""

    camera: CameraIntrinsics
    warning: str = ""


def info_topic_beside(image_topic: str) -> str:
    """Where a camera driver puts the calibration of the images on this topic."""
    return str(PurePosixPath(image_topic.removesuffix("/compressed")).parent / "camera_info")


def is_rectified(wish: str | bool, topic: str) -> bool:
    """Whether a topic's images are rectified: as wished, or for "auto" as its name says."""
    if wish == "auto":
        return any(part.startswith("image_rect") for part in PurePosixPath(topic).parts)
    return wish in ("true", True)


def known_camera(
    info: Calibration | None, size: tuple[int, int], rectified: bool, missing: str = MISSING
) -> tuple[CameraIntrinsics | None, str]:
    """The camera as of `described` or None, and what is amiss with the calibration ("": nothing).

    missing: what to say where no calibration is there; "" where that was said before.
    """
    if info is None:
        return None, missing
    try:
        found = described(info, *size, rectified)
    except ValueError as error:
        return None, str(error)
    return found.camera, found.warning


def described(
    info: Calibration | None, width: int, height: int, rectified: bool = False
) -> Described:
    """The camera of an image of this size in pixels.

    `rectified`: the image is free of distortion, and P describes it. Rays and positions are in the
    frame of P. ValueError says why there is no camera, and what to do.
    """
    if info is None:
        raise ValueError(MISSING)
    matrix = _matrix(info, rectified)
    raw = not rectified and matrix is info.k
    distortion, fisheye, warning = _lens(info) if raw else _NO_LENS
    frame = _frame(info.r) if raw else FRAME
    fx, _, cx, _, fy, cy, *_ = _square(matrix)
    (x, y), (across, down), doubt = _window(info, (cx, cy), (width, height), rectified)
    warning = "; ".join(text for text in (warning, doubt) if text)
    pinhole = fx * across, fy * down, (cx - x) * across, (cy - y) * down
    _check_lengths(pinhole, (width, height))
    if not distortion and frame == FRAME:
        return Described(CameraIntrinsics(*pinhole), warning)
    return Described(LensCamera(*pinhole, distortion, fisheye, frame=frame), warning)


def _check_lengths(pinhole: tuple[float, float, float, float], size: Pair) -> None:
    """ValueError for focal lengths and principal points that no camera of such images has."""
    of_the_picture = np.array(pinhole) / (*size, *size)
    lengths, point = of_the_picture[:2], of_the_picture[2:]
    if (lengths < SHORTEST).any() or (lengths > LONGEST).any() or (np.abs(point) > LONGEST).any():
        fx, fy, cx, cy = pinhole
        raise ValueError(
            f"camera_info gives an image of {size[0]}x{size[1]} pixels focal lengths {fx:g} and "
            f"{fy:g} and principal point ({cx:g}, {cy:g}), which no camera has, {UNKNOWN}: "
            "calibrate the camera"
        )


def _matrix(info: Calibration, rectified: bool) -> tuple[float, ...]:
    """K or P, whichever describes such images."""
    if rectified and _usable(info.p):
        return info.p
    if rectified and _usable(info.k) and any(info.d):
        raise ValueError(
            f"the images are rectified but camera_info has no P that describes those, {UNKNOWN}: "
            "calibrate the camera, or set rectified to false if they are not"
        )
    if _usable(info.k):
        return info.k
    if _usable(info.p):
        return info.p
    fx, _, cx, _, fy, cy, *_ = _square(info.k)
    raise ValueError(
        f"camera_info has focal lengths {fx:g} and {fy:g} and principal point ({cx:g}, {cy:g}), "
        f"{UNKNOWN}: calibrate the camera"
    )


def _square(matrix: tuple[float, ...]) -> tuple[float, ...]:
    """The first three columns of K (9) or P (12), row by row; zeros of anything else."""
    if len(matrix) not in (9, 12):
        return (0.0,) * 9
    return tuple(np.reshape(matrix, (3, -1))[:, :3].ravel().tolist())


def _usable(matrix: tuple[float, ...]) -> bool:
    fx, _, cx, _, fy, cy, *_ = _square(matrix)
    return bool(np.isfinite([fx, fy, cx, cy]).all() and fx > 0 and fy > 0)


def _frame(r: tuple[float, ...]) -> tuple[float, ...]:
    """R as a rotation; none where it is not one, such as all zeros."""
    try:
        return tuple(nearest_rotation(np.reshape(r, (3, 3))).ravel().tolist())
    except ValueError:
        return FRAME


def _lens(info: Calibration) -> Lens:
    """The distortion that is to be undone; ValueError where it is no numbers."""
    name, given = info.distortion_model.strip().lower(), info.d
    if not (np.abs(given) < STRONGEST).all():
        raise ValueError(
            f"camera_info has distortion coefficients {list(given)}, {UNKNOWN}: "
            "calibrate the camera"
        )
    while given and given[-1] == 0:  # as some drivers fill up
        given = given[:-1]
    fisheye = name == "equidistant"
    if not given and (name in NO_MODEL or (name in COEFFICIENTS and not fisheye)):
        return _NO_LENS
    counts = [count for count in COEFFICIENTS.get(name, ()) if count >= len(given)]
    if not counts:
        known = ", ".join(COEFFICIENTS)
        return (), False, (
            f"camera_info has the distortion model '{info.distortion_model}' with {len(info.d)} "
            f"coefficients, which is not supported ({known} are): lens distortion is overlooked, "
            "so heads away from the middle are placed wrongly; give rectified images"
        )  # fmt: skip
    return given + (0.0,) * (counts[0] - len(given)), fisheye, ""


def _window(
    info: Calibration, principal: Pair, size: tuple[int, int], rectified: bool
) -> tuple[Pair, Pair, str]:
    """Which part of the full picture an image of `size` shows: the pixels cut off at its left and
    top, the factors by which what is left was shrunk, and a warning.

    Where size, region and binning fit together as CameraInfo defines them, that decides. Drivers
    often write the size of the published image where that of the full picture or the region
    belongs, or leave a region or a binning that is over; of what they can mean, the principal point
    decides: it is near the middle of a picture.
    """
    binned: Pair = (1 / info.binning[0], 1 / info.binning[1])
    windows = _windows(info, rectified)
    if len(windows) == 1 and not all(windows[0][1]):
        return windows[0][0], binned, ""
    consistent = all(_lies_within(window, (info.width, info.height)) for window in windows)
    meant: list[tuple[Pair, Pair]] = []
    for offset, extent in windows:
        if not all(extent) or _fits(extent, binned, size):
            if consistent:
                return offset, binned, ""
            meant.append((offset, binned))
        elif _fits(extent, (1, 1), size):
            meant += [(offset, binned), (offset, (1, 1))]
        elif consistent and _is_clean_fraction(extent, size):
            meant.append((offset, (size[0] / extent[0], size[1] / extent[1])))
    sizes = " or ".join(f"{w:g}x{h:g}" for _, (w, h) in windows)
    by = "" if info.binning == (1, 1) else " with a binning of {}x{}".format(*info.binning)
    text = f"camera_info is for {sizes} pixels{by}, the image has {size[0]}x{size[1]}"
    if not meant:
        raise ValueError(
            f"{text}, {UNKNOWN}: set camera_info_topic (of replay: --camera-info) to that of this "
            "image"
        )
    points = [(np.array(principal) - offset) * factors for offset, factors in meant]
    apart = [float(np.abs(point / size - 0.5).max()) for point in points]
    best = int(np.argmin(apart))
    if apart[best] < OFF_CENTRE:
        return *meant[best], ""
    x, y = points[best]
    return *meant[best], (
        f"{text}: taken for a picture whose principal point is at ({x:.0f}, {y:.0f}), which is far "
        "from its middle; check width, height, roi and binning"
    )  # fmt: skip


def _windows(info: Calibration, rectified: bool) -> list[tuple[Pair, Pair]]:
    """Offset and extent of what an image may show: the region of interest, if there is one, else
    the full picture; zeros where the extent is not said."""
    roi = info.roi
    found: list[tuple[Pair, Pair]] = []
    if any((roi.x_offset, roi.y_offset, roi.width, roi.height)):
        found.append(((roi.x_offset, roi.y_offset), (roi.width, roi.height)))
        if roi.do_rectify and rectified and all(found[0][1]):
            found += _rectified_window(info)
    if not found or all((info.width, info.height)):
        found.append(((0, 0), (info.width, info.height)))
    return found


def _rectified_window(info: Calibration) -> list[tuple[Pair, Pair]]:
    """The part of the rectified picture that a region of the raw one fills; image_geometry's."""
    roi = info.roi
    if not (_usable(info.k) and _usable(info.p)):
        return []
    right, bottom = roi.x_offset + roi.width, roi.y_offset + roi.height
    corners = np.array(
        [(x, y) for y in (roi.y_offset, bottom) for x in (roi.x_offset, right)], float
    )
    k, p = (np.reshape(_square(m), (3, 3)) for m in (info.k, info.p))
    lens, fisheye, _ = _lens(info)
    pinhole = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
    rays = LensCamera(*pinhole, lens, fisheye, frame=_frame(info.r))
    projected = rays.directions(corners) @ (p @ rays.turn).T
    projected = (projected[:, :2] / projected[:, 2:]).reshape(2, 2, 2)
    if not np.isfinite(projected).all():
        return []
    low = np.ceil([projected[:, 0, 0].min(), projected[0, :, 1].min()])
    high = np.floor([projected[:, 1, 0].max(), projected[1, :, 1].max()])
    return [((low[0], low[1]), (high[0] - low[0], high[1] - low[1]))]


def _lies_within(window: tuple[Pair, Pair], full: Pair) -> bool:
    """Whether a window has a size and lies in the full picture, or that has no size."""
    offset, extent = window
    return all(extent) and (not all(full) or bool((np.add(offset, extent) <= full).all()))


def _fits(extent: ArrayLike, factors: ArrayLike, size: ArrayLike) -> bool:
    """Whether an extent, shrunk, is an image's size; parts of pixels are lost either way."""
    return bool((np.abs(np.multiply(extent, factors) - size) < 1).all())


def _is_clean_fraction(extent: ArrayLike, size: ArrayLike) -> bool:
    """Whether a picture was shrunk to `size` by the same simple fraction in both directions."""
    fractions = {a / b for b in range(2, FINEST + 1) for a in range(1, b)}
    return any(_fits(extent, (f, f), size) for f in fractions)
