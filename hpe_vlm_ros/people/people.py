# SPDX-License-Identifier: Apache-2.0
"""From what the model says of one image to people: ids, places, and what they look at. No ROS.

One `People` for each camera; the node and offline replay go through the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.boxes import from_left
from hpe_vlm_ros.facing import facing_probabilities
from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, angles_from_rotation
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.mounting import Mounting

from .attention import UNKNOWN as UNKNOWN_GAZE
from .attention import Gaze, Judge, gaze_covariance, gaze_offset
from .distance import UNKNOWN as UNKNOWN_POSITION
from .distance import Position, locate, pose_covariance
from .gestures.events import Gesture
from .gestures.reader import GestureReader
from .tracking import Ids, Observation, Settings, Status, TrackedHead, Tracker
from .tracking.colours import colours_of

Array = NDArray[np.float64]
ROBOT = "robot"
"""The target that every head is judged against, beside those that are named."""


@dataclass(frozen=True, eq=False)
class View:
    """What is known about an image beside its pixels.

    Attributes:
        size: width and height in pixels, of the upright picture, as of all that follows.
        camera, shape: None where unknown; positions are unknown then.
        depth: (H, W) metres, registered to the image.
        targets: name to place (3,) in the optical frame, metres; None where unknown.
        rgb: uint8 (H, W, 3), of which the tracker may look at the colours; None: it may not.
        mounting: how the upright picture lies in the one that the camera took.
    """

    size: tuple[int, int]
    camera: CameraIntrinsics | None = None
    shape: HeadShape | None = None
    depth: NDArray[np.float32] | None = None
    targets: Mapping[str, Array | None] = field(default_factory=lambda: {ROBOT: np.zeros(3)})
    rgb: NDArray[np.uint8] | None = None
    mounting: Mounting = Mounting()


@dataclass(frozen=True, eq=False)
class Person:
    """A head at the time of an image, with all that is known about it.

    Attributes:
        head: id, box, rotation, status.
        angles: yaw, pitch, roll in degrees; NaN where the rotation has no such triple.
        position: the sellion's, in the optical frame.
        covariance: (6, 6), as of `distance.pose_covariance`; zero where unknown.
        gazes: one for each target of the view.
        facing: probabilities (6,) of `tasks.facing.LABELS`; None where no pose is known.
        gestures: what it has done in the last seconds and does, where gestures are asked for.
        gestures_known: whether its newest window of poses could be judged.
    """

    head: TrackedHead
    angles: tuple[float, float, float]
    position: Position
    covariance: Array
    gazes: dict[str, Gaze]
    facing: Array | None = None
    gestures: tuple[Gesture, ...] = ()
    gestures_known: bool = False

    # As a HeadEstimate has them: pixels, degrees relative to the camera (NaN where unknown).

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.head.box

    @property
    def rotation(self) -> Array:
        """NaN where no valid answer about it has ever come."""
        return np.full((3, 3), math.nan) if self.head.rotation is None else self.head.rotation

    @property
    def posed(self) -> bool:
        """Whether a valid answer about its rotation has ever come."""
        return self.head.rotation is not None

    @property
    def score(self) -> float:
        return self.head.score

    @property
    def yaw(self) -> float:
        return self.angles[0]

    @property
    def pitch(self) -> float:
        return self.angles[1]

    @property
    def roll(self) -> float:
        return self.angles[2]

    @property
    def rotation_covariance(self) -> Array | None:
        """rad^2, about the optical axes; None where unknown."""
        stated = self.covariance[3:, 3:]
        return stated if stated.any() else None


class People:
    """The people that one camera sees. Settings may be replaced between two images."""

    def __init__(self, ids: Ids | None = None) -> None:
        self.tracker = Tracker(ids=ids)
        self.judge = Judge()
        self.tracking = True
        self.gestures: GestureReader | None = None
        self.new_gestures: list[Gesture] = []
        """Gestures that began or ended with the newest image."""

    def see(self, stamp: int, found: Sequence[HeadEstimate], view: View) -> list[Person]:
        """People at this image (stamp in nanoseconds), from left to right; LateFrame as of
        `Tracker.update`.

        `found`: heads of the upright picture, their rotations as of `heads.seen_by` in the
        frame of the camera as mounted. All that comes out is in that camera's frame and pixels.
        """
        # the tracker takes the logarithms of a box's sides, so both must be positive
        found = [e for e in found if e.box[0] < e.box[2] and e.box[1] < e.box[3]]
        if self.tracking:
            heads = self.tracker.update(stamp, [observation(e, view.rgb) for e in found], view.size)
        else:
            heads = [untracked(e, self.tracker.settings) for e in found]
        self.judge.keep(head.id for head in heads)
        self.new_gestures = [] if self.gestures is None else self.gestures.see(stamp, heads)
        return from_left(as_mounted(self._person(head, view), view.mounting) for head in heads)

    def forget(self) -> None:
        """As after a jump of time; ids go on."""
        self.tracker.reset()
        self.judge.forget()
        if self.gestures is not None:
            self.gestures.forget()

    def _person(self, head: TrackedHead, view: View) -> Person:
        nothing = math.nan, math.nan, math.nan
        if head.rotation is None:
            unseen = dict.fromkeys(view.targets, UNKNOWN_GAZE)
            return Person(head, nothing, UNKNOWN_POSITION, np.zeros((6, 6)), unseen)
        place = locate(
            head.box, head.rotation, view.camera, view.shape, view.depth, head.box_deviation
        )
        covariance = pose_covariance(place, head.rotation, view.shape, head.rotation_covariance)
        across = gaze_covariance(head.rotation, head.rotation_covariance)
        gazes = {}
        for name, target in view.targets.items():
            ahead = gaze_offset(head.rotation, place.point, nothing if target is None else target)
            gazes[name] = self.judge(head.id, name, ahead, across)
        angles = angles_from_rotation(head.rotation) or nothing
        facing = facing_probabilities(head.rotation, head.rotation_covariance)
        reader = self.gestures
        done, known = ((), False) if reader is None else (reader.of(head.id), reader.known(head.id))
        return Person(head, angles, place, covariance, gazes, facing, done, known)


def as_mounted(person: Person, mounting: Mounting) -> Person:
    """A person of the upright picture, with the box in the picture that the camera took."""
    if not mounting.degrees:
        return person
    return replace(person, head=replace(person.head, box=mounting.box(person.head.box)))


def observation(estimate: HeadEstimate, rgb: NDArray[np.uint8] | None = None) -> Observation:
    """What the tracker takes from an estimate; its own covariance, where the model states one."""
    rotation, stated = _valid(estimate.rotation), estimate.rotation_covariance
    colours = None if rgb is None else colours_of(rgb, estimate.box)
    return Observation(estimate.box, rotation, estimate.score, stated, colours)


def _valid(rotation: Array) -> Array | None:
    """None where the answer about it was invalid, which leaves NaN."""
    return rotation if np.isfinite(rotation).all() else None


def untracked(estimate: HeadEstimate, settings: Settings) -> TrackedHead:
    """An estimate of a single image as it stands, with the covariance of single answers."""
    stated = estimate.rotation_covariance
    variance = (
        math.radians(settings.rotation_noise) ** 2 + math.radians(settings.rotation_bias) ** 2
    )
    height = estimate.box[3] - estimate.box[1]
    return TrackedHead(
        id="",
        box=estimate.box,
        rotation=_valid(estimate.rotation),
        rotation_covariance=variance * np.eye(3) if stated is None else stated,
        box_deviation=(settings.box_noise * height, settings.box_noise),
        score=estimate.score,
        status=Status.INVALID_ANSWER if _valid(estimate.rotation) is None else Status.OK,
        unseen=0.0,
        age=0.0,
    )
