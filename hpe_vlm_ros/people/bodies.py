# SPDX-License-Identifier: Apache-2.0
"""Bodies of people: whose keypoints are asked for, and what is known of them then. No ROS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.boxes import PixelBox
from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.mounting import Mounting
from hpe_vlm_ros.skeleton import ABSENT, LINES, Skeleton, body_around
from hpe_vlm_ros.tasks import keypoints

from .people import Person

Array = NDArray[np.float64]
NOBODY, NEAREST, EVERYBODY = "none", "nearest", "all"
CHOICES = (NOBODY, NEAREST, EVERYBODY)
"""Whose keypoints are asked for."""


@dataclass(frozen=True, eq=False)
class Body:
    """The body of a person at the time of an image.

    Attributes:
        person: whose it is.
        skeleton: in pixels of the image as the camera took it.
        places: (N, 3) metres in the optical frame, for drawings: of each keypoint as if it were as
            far along the optical axis as the head is; NaN where that is unknown, or the point
            absent.
    """

    person: Person
    skeleton: Skeleton
    places: Array

    @property
    def id(self) -> str:
        """ "b0001" of the head "h0001"; empty where the head has no id."""
        prefix, head, number = self.person.head.id.rpartition("h")
        return f"{prefix}b{number}" if head else ""

    @property
    def box(self) -> PixelBox:
        """Of the body: x0, y0, x1, y1 in pixels of the image as the camera took it."""
        return self.skeleton.box

    @property
    def score(self) -> float:
        """The mean of the scores of all keypoints, 0..1."""
        return float(self.skeleton.scores.mean())

    def line_ends(self) -> list[int]:
        """Two keypoints after each other for each line of a drawing whose ends are in the image."""
        there = self.skeleton.visibility != ABSENT
        return [end for line in LINES if there[list(line)].all() for end in line]


def check_learnt(perceiver: Any) -> None:
    """ValueError for a perceiver whose model does not answer where keypoints are."""
    if not perceiver.has_learnt(keypoints.TASK):
        raise ValueError(
            f"skeletons are asked for, but {perceiver.model_id} has not learnt the question "
            f"{keypoints.TASK.name!r}: set skeletons to {NOBODY}, or model to one whose "
            "config.json names it among its tasks"
        )


def asked(people: Sequence[Person], whose: str) -> list[Person]:
    """Those whose keypoints are to be asked for, by `whose` of CHOICES.

    Only people whose heads were found in this very image; the nearest is who has the tallest head.
    """
    detected = [person for person in people if person.head.unseen == 0 and whose != NOBODY]
    if whose == NEAREST:
        return sorted(detected, key=lambda p: p.box[1] - p.box[3])[:1]
    return detected


def body_boxes(people: Sequence[Person], mounting: Mounting) -> list[PixelBox]:
    """Where their bodies lie, in pixels of the upright picture."""
    size = mounting.upright_size
    return [body_around(mounting.upright_box(person.box), *size) for person in people]


def bodies_of(
    people: Sequence[Person],
    skeletons: Sequence[Skeleton],
    mounting: Mounting,
    camera: CameraIntrinsics | None,
) -> list[Body]:
    """Bodies of people, from their skeletons in the upright picture; `camera` as mounted."""
    mounted = [_as_mounted(skeleton, mounting) for skeleton in skeletons]
    return [
        Body(person, skeleton, _places(person, skeleton, camera))
        for person, skeleton in zip(people, mounted, strict=True)
    ]


def _as_mounted(skeleton: Skeleton, mounting: Mounting) -> Skeleton:
    if mounting.turn is None:
        return skeleton
    turn = mounting.turn[:2, :2]
    return replace(
        skeleton,
        box=mounting.box(skeleton.box),
        points=mounting.points(skeleton.points),
        covariances=turn @ skeleton.covariances @ turn.T,
    )


def _places(person: Person, skeleton: Skeleton, camera: CameraIntrinsics | None) -> Array:
    places = np.full((len(skeleton.points), 3), math.nan)
    there = skeleton.visibility != ABSENT
    if camera is not None and there.any():
        rays = camera.directions(skeleton.points[there]) @ camera.turn.T
        # a fisheye sees sideways and back: such a ray never comes as far ahead as the head
        rays[rays[:, 2] <= 0] = math.nan
        places[there] = rays / rays[:, 2:] * person.position.point[2]
    return places
