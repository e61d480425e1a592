# SPDX-License-Identifier: Apache-2.0
"""Keypoints of bodies, asked of a model that has learnt them: one question a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .answers import grid_box
from .boxes import PixelBox, check_box, within
from .skeleton import ABSENT, MARGIN, Skeleton
from .tasks import keypoints
from .tasks.grid import GRID
from .tiles import Tile, square_around

if TYPE_CHECKING:
    from .looks import PointLook


def skeletons(
    look_at: Callable[[NDArray[np.uint8]], PointLook],
    image: NDArray[np.uint8],
    bodies: Sequence[PixelBox],
    names: Sequence[str],
    closer: bool,
) -> list[Skeleton]:
    """See `HeadPerceiver.keypoints`; `look_at` starts on a picture, or on a square of one."""
    height, width = size = image.shape[:2]
    tile, out = Tile(0, 0, width, height), []
    look = None if closer else look_at(image)
    for body in bodies:
        box = within(check_box(body, width, height), width, height)
        if closer:
            tile = square_around(box, MARGIN)
            look = look_at(tile.of(image))
        assert look is not None
        out.append(_skeleton(look, tile, box, names, size))
    return out


def _skeleton(
    look: PointLook, tile: Tile, box: PixelBox, names: Sequence[str], size: tuple[int, int]
) -> Skeleton:
    """What a look at a tile says of the body in a box (pixels) of a picture of `size` = (height,
    width)."""
    corner, step = np.array([tile.x, tile.y]), np.array([tile.width, tile.height]) / GRID
    x0, y0, x1, y1 = (np.array(box).reshape(2, 2) - corner).ravel().tolist()
    cells = grid_box((x0, y0, x1, y1), tile.width, tile.height)
    across, down = max(x1 - x0, y1 - y0) / step
    estimates = look.points([keypoints.question(cells, name) for name in names], (across, down))
    written = np.array([point.written for point in estimates], np.int64).reshape(-1, 3)
    points = (written[:, :2] + 0.5) * step + corner
    outside = ((points < 0) | (points >= size[::-1])).any(1)
    visibility = np.where(outside, ABSENT, written[:, 2])
    absent = visibility == ABSENT
    points[absent] = np.nan
    scores = np.where(absent, 0.0, [point.score for point in estimates])
    deviations = np.array([point.deviations for point in estimates]).reshape(-1, 2) * step
    deviations[absent] = np.nan
    covariances = deviations[:, :, None] ** 2 * np.eye(2)
    return Skeleton(box, tuple(names), points, visibility, scores, covariances)
