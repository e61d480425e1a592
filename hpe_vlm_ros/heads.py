# SPDX-License-Identifier: Apache-2.0
"""Heads as they are found in an image, and what is checked before one is looked at; numpy only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import PixelBox
from .geometry import CameraIntrinsics, angles_from_rotation
from .rays import ray_rotation, rotation_to_ray, usual_camera
from .spread import deviations_of

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeadEstimate:
    """One head. Angles follow DirectMHP/300W-LP, see `hpe_vlm_ros.geometry`.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the image given.
        yaw: degrees in (-180, 180]; positive turns the nose to the image's left.
        pitch: degrees; positive is up while |yaw| < 90.
        roll: degrees; positive is clockwise in the image while |yaw| < 90.
        rotation: (3, 3) head in the camera's optical frame; the truth that the angles shorten.
        score: 0..1, how sure the model is of the box; the probability that it is one, if the
            checkpoint is calibrated.
        rotation_covariance: (3, 3) rad^2 of the turn from `rotation` to the true one, about the
            optical axes, see `hpe_vlm_ros.spread`; None where the answer does not tell.
    """

    box: PixelBox
    yaw: float
    pitch: float
    roll: float
    rotation: NDArray[np.float64]
    score: float
    rotation_covariance: NDArray[np.float64] | None = None

    @property
    def spread(self) -> tuple[float, float, float] | None:
        """Standard deviations in degrees of the rotation, about the optical x, y and z axes."""
        stated = self.rotation_covariance
        return None if stated is None else deviations_of(stated)

    def turned(self, turn: NDArray[np.float64]) -> HeadEstimate:
        """This head turned by a rotation (3, 3), covariance included; as it is where no yaw, pitch
        and roll can name the turned rotation."""
        turned = _in_frame(self, turn)
        return self if np.isnan(turned.yaw) else turned


class Heads(list[HeadEstimate]):
    """Heads from left to right; `left_out` counts smaller ones for which max_heads had no room.

    `named` are the boxes (pixels) as the model named them, those dropped included: a good draft for
    the next image. `presence` is the model's map (rows, columns) of logits that a head's middle
    lies in each patch of the image; None where it has none.
    """

    def __init__(
        self,
        heads: Iterable[HeadEstimate] = (),
        left_out: int = 0,
        named: Sequence[PixelBox] = (),
        presence: NDArray[np.float32] | None = None,
    ):
        super().__init__(heads)
        self.left_out, self.named, self.presence = left_out, named, presence

    def to_supervision(self) -> Any:
        """See `to_supervision`."""
        return to_supervision(self)


def to_supervision(heads: Sequence[Any]) -> Any:
    """Heads or people (`people.Person`) as `supervision.Detections` of N boxes.

    xyxy (N, 4) in pixels, confidence (N,) in 0..1, class 0 named "head"; in `data` yaw, pitch and
    roll (N,) in degrees, NaN where unknown. People have a tracker_id too, the number in their id:
    12 for h0012, and -1 before they have one. ImportError without supervision.
    """
    try:
        import supervision
    except ImportError as error:
        raise ImportError(f"{error}: pip install supervision", name="supervision") from error
    ids = [getattr(getattr(head, "head", None), "id", None) for head in heads]
    angles = np.array([(h.yaw, h.pitch, h.roll) for h in heads], dtype=float).reshape(-1, 3)
    digits = [re.search(r"\d+$", id or "") for id in ids]
    numbers = [-1 if found is None else int(found[0]) for found in digits]
    return supervision.Detections(
        xyxy=np.array([head.box for head in heads], dtype=np.float32).reshape(-1, 4),
        confidence=np.array([head.score for head in heads], dtype=np.float32),
        class_id=np.zeros(len(heads), dtype=int),
        tracker_id=None if None in ids or not ids else np.array(numbers),
        data={
            "class_name": np.full(len(heads), "head"),
            **dict(zip(("yaw", "pitch", "roll"), angles.T, strict=True)),
        },
    )


def seen_by(
    camera: CameraIntrinsics | None,
    heads: Sequence[HeadEstimate],
    size: tuple[int, int],
    mounted: Array | None = None,
) -> list[HeadEstimate]:
    """Heads of an image of `size` = (width, height) in the optical frame of its true camera.

    The model is told no lens: it takes every picture for one of the usual camera (`rays`), before
    which a head at the border of a wide lens's picture would stand nearer to the middle. Rotations
    are turned by the angle between both rays. Without a camera, or where its lens has no ray, heads
    stay as the model told them, but for `mounted`: the rotation (3, 3) from the picture's axes to
    those of the camera's optical frame, none by default, which a camera itself knows.

    Angles are NaN where no yaw, pitch and roll can name the turned rotation.
    """
    assumed = usual_camera(size[::-1])
    frame = camera.turn if camera is not None else np.eye(3) if mounted is None else mounted
    if camera is None and mounted is None:
        return list(heads)
    return [_in_frame(head, frame @ _to_view(camera, assumed, head.box)) for head in heads]


def _to_view(camera: CameraIntrinsics | None, assumed: Array, box: PixelBox) -> Array:
    """Rotation (3, 3) from the ray that the model took a box to be seen along to the true one."""
    if camera is None:
        return np.eye(3)
    x0, y0, x1, y1 = box
    (ray,) = camera.directions([[(x0 + x1) / 2, (y0 + y1) / 2]])
    if not np.isfinite(ray).all():
        return np.eye(3)
    return ray_rotation(ray) @ rotation_to_ray(assumed, box).T


def _in_frame(head: HeadEstimate, turn: Array) -> HeadEstimate:
    rotation = turn @ head.rotation
    if not np.isfinite(rotation).all():
        return head
    yaw, pitch, roll = angles_from_rotation(rotation) or (np.nan,) * 3
    stated = head.rotation_covariance
    covariance = None if stated is None else turn @ stated @ turn.T
    return replace(
        head, yaw=yaw, pitch=pitch, roll=roll, rotation=rotation, rotation_covariance=covariance
    )


def check_image(image: Any) -> NDArray[np.uint8]:
    """The image itself if it is one; else a ValueError that says what to do."""
    if not isinstance(image, np.ndarray):
        raise ValueError(f"the image is a {type(image).__name__}; give a numpy array H x W x 3")
    if image.dtype != np.uint8:
        raise ValueError(f"the image's type is {image.dtype}; convert it to uint8 (0..255) first")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"the image's shape is {image.shape}; it must be (H, W, 3) in RGB order: repeat a grey "
            "channel three times, drop an alpha channel"
        )
    if image.size == 0:
        raise ValueError(f"the image of shape {image.shape} is empty; check its source")
    return image


def check_counts(max_heads: int, tiles: int) -> None:
    """ValueError for numbers of heads or tiles that make no sense."""
    if max_heads < 1:
        raise ValueError(f"max_heads is {max_heads}; it must be at least 1")
    if tiles < 0:
        raise ValueError(
            f"tiles is {tiles}; give 0 for one tile where it pays, 1 for the whole image alone, "
            "else 2 or 3"
        )
