# SPDX-License-Identifier: Apache-2.0
"""A closer look at each head that was found: a square around it, in the camera's own pixels.

The model sees the whole picture at one size, in which a head may have a token or two. A small
convolutional network, the refiner, then sees a square around each box, whatever its size was, and
says whether a head is there, where its box lies, and how it is turned ("two-stage detection", Ren
et al., "Faster R-CNN", 2015; here the first stage is the language model). This module holds what is
independent of how the network is run: squares in, heads out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .boxes import PixelBox, largest, within, without_duplicates
from .geometry import (
    angles_from_rotation,
    box_iou,
    mean_rotations,
    rotation_from_vector,
    rotation_vector,
)
from .head_map import HeadMap
from .heads import HeadEstimate
from .rays import rotation_to_ray, usual_camera
from .spread import Calibration
from .tiles import INSIDE, SAME_IOU, Tile, peaks, square_around

MARGIN = 1.75  # side of the square, in longer sides of the box
SIDE = 112  # pixels of the square as the network sees it
ALMOST_PARALLEL = 1e-6  # sine of the angle between two columns that tell no rotation
AGAIN = -2.0  # logit of presence from which a box is looked at again
LIKELY = 0.3  # probability from which the box that a patch predicts is worth a closer look
PEAK = 0.2  # the same of peaks of a map without boxes
MOVED = 0.6  # overlap (IoU) with what was asked about, below which a box has moved far
OUTPUTS = 14  # presence 1, box 4, rotation 6, logarithms of deviations 3
# Of the outputs about a square and about its mirror image: x of the box's middle changes its sign,
# and so do four numbers of the rotation, which M R M with M = diag(-1, 1, 1) turns round.
MIRRORED = np.array([1, -1, 1, 1, 1, 1, -1, -1, -1, 1, 1, 1, 1, 1])

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Refined:
    """What the network says of N squares.

    presence: (N,) logits that a head is there, in the middle of the square. boxes: (N, 4) in the
    pixels of the picture. rotations: (N, 3, 3) of the heads relative to the rays they are seen
    along, NaN where none is told. deviations: (N, 3) radians, standard, about the axes of an
    optical frame along that ray.
    """

    presence: Array
    boxes: Array
    rotations: Array
    deviations: Array

    def rows(self, rows: NDArray[np.int64]) -> Refined:
        """Only these rows."""
        parts = self.presence, self.boxes, self.rotations, self.deviations
        return Refined(*(part[rows] for part in parts))

    def with_rows(self, rows: NDArray[np.int64], other: Refined) -> Refined:
        """This with other answers in some rows."""
        mine = [self.presence, self.boxes, self.rotations, self.deviations]
        theirs = [other.presence, other.boxes, other.rotations, other.deviations]
        mine = [array.copy() for array in mine]
        for array, others in zip(mine, theirs, strict=True):
            array[rows] = others
        return Refined(*mine)


def squares(boxes: Sequence[PixelBox], margin: float = MARGIN) -> list[Tile]:
    """The squares around boxes (pixels) that are looked at."""
    return [square_around(box, margin) for box in boxes]


def cut_out(image: NDArray[np.uint8], tile: Tile, side: int = SIDE) -> NDArray[np.uint8]:
    """A square of a picture (H, W, 3) as (side, side, 3); black outside of the picture."""
    method = cv2.INTER_AREA if tile.width > side else cv2.INTER_LINEAR
    out = cv2.resize(tile.of(image), (side, side), interpolation=method)
    return np.asarray(out, np.uint8)


def refined(outputs: ArrayLike, tiles: Sequence[Tile], mirrored: bool = False) -> Refined:
    """What the network's outputs (N, OUTPUTS) say of squares of a picture, also where it was shown
    their mirror images.

    The box is told as its middle and the logarithms of its sides, in sides of the square; the
    rotation as its first two columns (Zhou et al. 2019).
    """
    rows = np.asarray(outputs, dtype=float).reshape(-1, OUTPUTS)
    rows = rows * MIRRORED if mirrored else rows
    corner = np.array([[tile.x, tile.y] for tile in tiles], dtype=float).reshape(-1, 2)
    side = np.array([[tile.width] for tile in tiles], dtype=float).reshape(-1, 1)
    middle = corner + (rows[:, 1:3] + 0.5) * side
    reach = np.exp(np.clip(rows[:, 3:5], -5.0, 1.0)) * side / 2
    boxes = np.hstack([middle - reach, middle + reach])
    return Refined(
        rows[:, 0], boxes, _rotations(rows[:, 5:11]), np.exp(np.clip(rows[:, 11:14], -6.0, 1.0))
    )


def _rotations(columns: Array) -> Array:
    """(N, 3, 3) of two vectors (N, 6), by Gram-Schmidt; NaN where they are parallel or nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first = columns[:, :3] / np.linalg.norm(columns[:, :3], axis=1, keepdims=True)
        second = columns[:, 3:] - (first * columns[:, 3:]).sum(1, keepdims=True) * first
        length = np.linalg.norm(second, axis=1, keepdims=True)
        least = ALMOST_PARALLEL * np.linalg.norm(columns[:, 3:], axis=1, keepdims=True)
        second = np.where(length > least, second / length, np.nan)
    return np.stack([first + 0 * second, second, np.cross(first, second)], axis=-1)


@dataclass(frozen=True)
class Proposal:
    """A box (pixels of the picture) that may be one of a head, and how likely, 0..1."""

    box: PixelBox
    score: float


def with_likely(
    named: Sequence[Proposal], presence: HeadMap | None, size: tuple[int, int]
) -> list[Proposal]:
    """What the model names, and beside it where its patches say that a head is likely, in a picture
    of `size` = (height, width).

    Each likely patch predicts a box; of several about one place the surest is kept, as in one-stage
    detectors. A map without boxes has only its peaks, which are no nearer to each other than three
    patches: in crowds most small heads have none of their own.
    """
    if presence is None:
        return list(named)
    if presence.edges is None:
        known = np.array([one.box for one in named], dtype=float).reshape(-1, 4)
        around, _ = peaks(presence.logits, known, size, PEAK, beside=0.0)
        return [*named, *(Proposal(tuple(box), 0.0) for box in around.tolist())]
    probabilities = presence.probabilities
    rows = probabilities >= LIKELY
    patches = zip(presence.boxes(size)[rows].tolist(), probabilities[rows].tolist(), strict=True)
    likely = [Proposal((x0, y0, x1, y1), p) for (x0, y0, x1, y1), p in patches
              if x1 - x0 >= 1 and y1 - y0 >= 1]  # fmt: skip
    return [*named, *without_duplicates(likely, SAME_IOU, INSIDE, named)]


class BoxRefiner(Protocol):
    """A refiner that is ready to be asked, such as `vlm.refiner.Refiner`."""

    @property
    def min_score(self) -> float:
        """Of heads; boxes of lower scores are dropped."""

    def __call__(
        self, image: NDArray[np.uint8], boxes: Sequence[PixelBox], mirrored: bool = False
    ) -> Refined:
        """What it says of the squares around boxes, or of their mirror images."""

    def scores(
        self, output: Refined, proposals: Sequence[Proposal], size: tuple[int, int]
    ) -> Array:
        """(N,) probabilities that proposals in a picture of `size` = (height, width) are heads."""


def looked_twice(
    image: NDArray[np.uint8], boxes: Sequence[PixelBox], refiner: BoxRefiner
) -> Refined:
    """What a refiner says of boxes (pixels); where a head may be, after a second look.

    The second look is at the mirror image of the square around the box that the first one tells,
    and the mean of both counts: a network errs in one way about a square and in another about its
    mirror image (test-time flip). Where the first look moved the box far, the second alone counts:
    what the first was shown was not in the middle.
    """
    first = refiner(image, boxes)
    rows = np.flatnonzero(first.presence > AGAIN)
    if not len(rows):
        return first
    before = first.rows(rows)
    asked = [boxes[row] for row in rows.tolist()]
    second = refiner(image, [as_box(box) for box in before.boxes], mirrored=True)
    stayed = np.diagonal(box_iou(asked, before.boxes)) >= MOVED
    return first.with_rows(rows, _mean(before, second, stayed / 2))


def _mean(first: Refined, second: Refined, share: Array) -> Refined:
    """Two answers about N boxes as one, `share` (N,) of it the first. A rotation that one of both
    does not tell is the second's."""
    column = share[:, None]
    rotations, told = second.rotations.copy(), np.stack([first.rotations, second.rotations])
    both = np.isfinite(told).all((0, 2, 3))
    rotations[both] = mean_rotations(told[:, both], np.stack([share, 1 - share])[:, both])
    return Refined(
        share * first.presence + (1 - share) * second.presence,
        column * first.boxes + (1 - column) * second.boxes,
        rotations,
        column * first.deviations + (1 - column) * second.deviations,
    )


def refined_heads(
    image: NDArray[np.uint8], proposals: Sequence[Proposal], refiner: BoxRefiner, most: int
) -> tuple[list[HeadEstimate], int]:
    """The heads among proposals, at most `most` (the largest), and how many more there were.

    Rotations are as the model tells them: for the usual camera (`rays`).
    """
    size = image.shape[:2]
    output = looked_twice(image, [one.box for one in proposals], refiner)
    scores = refiner.scores(output, proposals, size)
    kept = np.flatnonzero(scores >= refiner.min_score)
    found = _heads(output.rows(kept), scores[kept], size)
    found = [cut for head in found if (cut := _in_picture(head, size)) is not None]
    return largest(without_duplicates(found, SAME_IOU, INSIDE), most)


def _in_picture(head: HeadEstimate, size: tuple[int, int]) -> HeadEstimate | None:
    """A head whose box is cut at the picture's border; None where nothing of it is left."""
    x0, y0, x1, y1 = box = within(head.box, size[1], size[0])
    return replace(head, box=box) if x1 - x0 >= 1 and y1 - y0 >= 1 else None


def refined_poses(
    image: NDArray[np.uint8], boxes: Sequence[PixelBox], refiner: BoxRefiner
) -> list[HeadEstimate]:
    """Poses of heads whose boxes (pixels) are known: in their order, with these boxes and score
    1."""
    looks = refiner(image, boxes), refiner(image, boxes, mirrored=True)
    output = _mean(*looks, np.full(len(boxes), 0.5))
    kept = replace(output, boxes=np.array(boxes, dtype=float).reshape(-1, 4))
    ones = np.ones(len(boxes))
    return _heads(kept, ones, image.shape[:2])


def with_answers(
    heads: Sequence[HeadEstimate],
    answers: Sequence[HeadEstimate],
    size: tuple[int, int],
    factors: Sequence[float],
    calibration: Calibration,
) -> list[HeadEstimate]:
    """Refined heads whose poses are joined with what the language model says of them.

    Both see the head at another size and err in other ways, so that a mean is better than either.
    It is taken about each axis of the optical frame along the ray, with weights of one over the
    variances; `factors` (3,) are those of the answers' variances about x, y and z: the refiner is
    better at yaw and roll, the language model at pitch. The covariance is that of the mixture
    of both, then calibrated. Heads stay as they are where one of both tells no rotation or no
    covariance; where no triple of angles names the joined rotation, the answer alone counts.
    `size` = (height, width) of the picture.
    """
    camera = usual_camera(size)
    return [
        _joined(head, answer, rotation_to_ray(camera, head.box), factors, calibration)
        for head, answer in zip(heads, answers, strict=True)
    ]


def parts_along(ray: Array, head: HeadEstimate, answer: HeadEstimate) -> tuple[Array, Array, Array]:
    """(3,) each about the axes of the optical frame along a ray (3, 3): the turn from a head's
    rotation to an answer's, radians, and the variances of both, rad^2."""
    assert head.rotation_covariance is not None and answer.rotation_covariance is not None
    turn = rotation_vector(ray.T @ answer.rotation @ head.rotation.T @ ray)
    both = head.rotation_covariance, answer.rotation_covariance
    ours, theirs = (np.diagonal(ray.T @ covariance @ ray) for covariance in both)
    return turn, ours, theirs


def _joined(
    head: HeadEstimate,
    answer: HeadEstimate,
    ray: Array,
    factors: Sequence[float],
    calibration: Calibration,
) -> HeadEstimate:
    if head.rotation_covariance is None or answer.rotation_covariance is None:
        return head
    turn, ours, theirs = parts_along(ray, head, answer)
    share = ours / (ours + factors * theirs)
    rotation = ray @ rotation_from_vector(share * turn) @ ray.T @ head.rotation
    variances = share * theirs + (1 - share) * ours + share * (1 - share) * turn**2
    joined = _posed(head, rotation, calibration.covariance(ray @ np.diag(variances) @ ray.T))
    # what no yaw, pitch and roll can name stays as the language model says it
    return joined if np.isfinite(joined.yaw) else replace(answer, box=head.box, score=head.score)


def _posed(head: HeadEstimate, rotation: Array, covariance: Array | None) -> HeadEstimate:
    """A head with another rotation; angles are NaN where no triple names it."""
    yaw, pitch, roll = angles_from_rotation(rotation) or (np.nan,) * 3
    return replace(
        head, yaw=yaw, pitch=pitch, roll=roll, rotation=rotation, rotation_covariance=covariance
    )


def as_box(row: Array) -> PixelBox:
    """The four numbers of a row of boxes."""
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1


def _heads(output: Refined, scores: Array, size: tuple[int, int]) -> list[HeadEstimate]:
    """Every answer as a head; angles are NaN where no triple names the rotation."""
    camera, heads = usual_camera(size), []
    for index, score in enumerate(scores.tolist()):
        box = as_box(output.boxes[index])
        turn = rotation_to_ray(camera, box)
        rotation = turn @ output.rotations[index]
        head = HeadEstimate(box, np.nan, np.nan, np.nan, rotation, score)
        if np.isfinite(rotation).all():
            covariance = turn @ np.diag(output.deviations[index] ** 2) @ turn.T
            head = _posed(head, rotation, covariance)
        heads.append(head)
    return heads
