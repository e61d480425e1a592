# SPDX-License-Identifier: Apache-2.0
"""Test-time flip: a second pass over the mirror image, and both answers joined.

A model errs in one way about a picture and in another about its mirror image. Boxes that both
passes name are joined, those that only one names keep a quarter of their score. Of two poses of one
head the mean is taken, of which the surer one is the larger part (test-time augmentation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .answers import GRID, Box
from .boxes import match_boxes
from .geometry import (
    angles_from_rotation,
    angles_from_rotations,
    mean_rotations,
    rotation_from_angles,
    rotation_vector,
)
from .spread import turn_covariance

if TYPE_CHECKING:
    from .looks import Detection, Look
    from .vlm.decoding.poses import Pose

SAME_IOU = 0.4  # of two boxes of one head, one in each pass
# Of the score of a box that one pass alone names. On 400 Panoptic-style scenes recall at a
# precision of 0.90 was 0.913 with it, 0.911 with a half, 0.912 with a twentieth, and 0.880 with
# one pass.
ALONE = 0.25
# As users spell them. The last two are for command lines: YAML reads them as booleans.
MIRROR_CHOICES: dict[str, bool | None] = {
    "auto": None, "always": True, "never": False, "on": True, "off": False
}  # fmt: skip
Array = NDArray[np.float64]


def mirror_choice(value: object) -> bool | None:
    """Whether test-time flip is wanted, None where the model is to say: of one of MIRROR_CHOICES,
    or of a boolean, also one in words. ValueError for anything else."""
    words = {**MIRROR_CHOICES, "true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError("use auto or always or never, or true or false")


def swapped(box: Box) -> Box:
    """A box on the 0..999 grid in the mirror image."""
    x0, y0, x1, y1 = box
    return GRID - 1 - x1, y0, GRID - 1 - x0, y1


class Mirrored:
    """The mirror image, asked and answering about the picture itself."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def detect(
        self, max_heads: int, draft: Sequence[Box] | None = None, slack: int = 0
    ) -> list[Detection]:
        """As `Look.detect`."""
        # heads are named from left to right
        drafted = None if draft is None else sorted(swapped(box) for box in draft)
        found = self._look.detect(max_heads, drafted, slack)
        return [type(one)(swapped(one.box), one.score) for one in found]

    def estimates(self, boxes: Sequence[Box]) -> list[Pose]:
        """As `Look.estimates`."""
        poses = self._look.estimates([swapped(box) for box in boxes])
        return [pose.mirrored() for pose in poses]


def joined_boxes(
    first: Sequence[Detection], second: Sequence[Detection], iou: float = SAME_IOU
) -> list[Detection]:
    """What two passes found, boxes on the same grid: those of one head (overlap of at least `iou`)
    are averaged by their scores; one that only one pass found has a lower score."""
    pairs = match_boxes([d.box for d in first], [d.box for d in second], iou).tolist()
    both = [_mean(first[i], second[j]) for i, j in pairs]
    alone = [d for i, d in enumerate(first) if i not in {pair[0] for pair in pairs}]
    alone += [d for j, d in enumerate(second) if j not in {pair[1] for pair in pairs}]
    return both + [type(d)(d.box, ALONE * d.score) for d in alone]


def _mean(first: Detection, second: Detection) -> Detection:
    weights = np.maximum([first.score, second.score], 1e-9)
    x0, y0, x1, y1 = (round(v) for v in np.average([first.box, second.box], 0, weights).tolist())
    return type(first)((x0, y0, x1, y1), (first.score + second.score) / 2)


def joined_poses(rotations: Array, covariances: Array) -> tuple[Array, Array]:
    """The mean (N, 3, 3) of two answers (2, N, 3, 3) about N heads, and its covariance.

    Weights are one over the traces of the covariances (2, N, 3, 3), rad^2. Both answers come from
    one model and err together, so the covariance is that of their mixture: the mean of both, and
    what they are apart.
    """
    certainty = 1 / np.maximum(np.trace(covariances, axis1=-2, axis2=-1), 1e-9)
    weights = certainty / certainty.sum(0)
    turns = rotations[0] @ rotations[1].swapaxes(-1, -2)
    apart = rotation_vector(turns)
    between = weights.prod(0)[:, None, None] * apart[:, :, None] * apart[:, None, :]
    within = (weights[..., None, None] * covariances).sum(0)
    return mean_rotations(rotations, weights), within + between


def joined_answers(poses: Sequence[Sequence[Pose]]) -> tuple[Array, Array, Array]:
    """Angles (N, 3), rotations (N, 3, 3) and their covariances (N, 3, 3) of N heads, of which each
    pass has an answer; NaN where an answer is invalid, or does not tell how sure it is."""
    triples = np.array([[pose.angles for pose in answers] for answers in poses])
    valid = np.isfinite(triples).all(-1)[..., None]
    rotations = rotation_from_angles(*np.moveaxis(np.where(valid, triples, 0.0), -1, 0))
    rotations[~valid[..., 0]] = np.nan
    deviations = np.array([[pose.deviations for pose in answers] for answers in poses])
    spreads = turn_covariance(triples, deviations)
    angles, turns, covariances = triples[0], rotations[0], spreads[0]
    if len(poses) > 1:
        turns, covariances = joined_poses(rotations, spreads)
        angles, named = angles_from_rotations(turns)
        # what no yaw, pitch and roll can name stays as the first pass has it
        angles = np.where(named[:, None], angles, triples[0])
        turns = np.where(named[:, None, None], turns, rotations[0])
    for index, (_, pitch, roll) in enumerate(angles):
        if max(abs(pitch), abs(roll)) >= 90:  # another triple may name the same turn
            angles[index] = angles_from_rotation(turns[index]) or angles[index]
    return angles, turns, covariances
