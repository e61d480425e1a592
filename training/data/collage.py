# SPDX-License-Identifier: Apache-2.0
"""Pictures made of head views from many scenes: several times as many poses a picture.

Most of a scene's pixels show no head, and computing time is spent by the pixel. A collage fills a
grid of cells, each with a virtual camera's view of one head and what is around it.

Labels stay true to what is seen. A head's look depends on its rotation relative to the ray it is
seen along, so a view moved to another place in the picture keeps that relative rotation, and its
label becomes the one of a head seen so, there, by a camera of the usual field of view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hpe_vlm_ros.geometry import rotation_from_vector
from hpe_vlm_ros.rays import camera_matrix, ray_to, rotation_to_ray, usual_camera

from . import keypoints
from .augment import shrunk, warp_head
from .sample import Head, Sample

SQUEEZE = 0.75  # sideways factor of a 4:3 picture made square


@dataclass
class Collage:
    """How collages are made. `share` of the pictures are collages of 1, 4, 9 or 16 cells, drawn
    with the weights `cells`. A cell's head is `reach` of the cell high, drawn log-uniformly,
    enlarged at most `enlarge` times; `squeeze` is the sideways factor of a 4:3 picture made
    square; `roll` in degrees is drawn from +-roll, for a `turned_share` of the cells from +-turned.
    Heads below `min_size` pixels (root of the box's area in the source) or `min_visible` start no
    cell. A share `decoys` of the cells shows something that was taken for a head and is none."""

    share: float = 0.0
    cells: tuple[float, float, float, float] = (0.1, 0.3, 0.35, 0.25)
    reach: tuple[float, float] = (0.4, 0.95)
    enlarge: float = 2.2
    squeeze: tuple[float, float] = (0.68, 0.9)
    roll: float = 15.0
    turned: float = 40.0
    turned_share: float = 0.3
    decoys: float = 0.12
    min_size: float = 22.0
    min_visible: float = 0.3


Subject = tuple[Sample, int]  # a scene and the head in it that a cell is about
Decoy = tuple[Sample, np.ndarray]  # a picture and a box in it that is no head


def subjects(samples: list[Sample], options: Collage) -> list[Subject]:
    """Every head that may start a cell, in pictures of which all heads are known."""
    return [
        (sample, index)
        for sample in samples
        if sample.all_heads
        for index, head in enumerate(sample.heads)
        if head.visible >= options.min_visible and _is_large(head.box, options)
    ]


def decoys_of(samples: list[Sample], options: Collage) -> list[Decoy]:
    """Everything that was taken for a head and may start a cell, in such pictures."""
    known = [sample for sample in samples if sample.all_heads]
    return [(s, box) for s in known for box in s.decoys if _is_large(box, options)]


def _is_large(box: np.ndarray, options: Collage) -> bool:
    return bool(np.prod(box[2:] - box[:2]) >= options.min_size**2)


def make_collage(
    pool: list[Subject],
    size: tuple[int, int],
    rng: np.random.Generator,
    options: Collage,
    decoys: Sequence[Decoy] = (),
) -> tuple[np.ndarray, list[Head]]:
    """One collage: image (H, W, 3) uint8 of `size` = (height, width), and all heads in it."""
    height, width = size
    side = int(rng.choice(4, p=np.array(options.cells) / sum(options.cells))) + 1
    columns = np.linspace(0, width, side + 1).round().astype(int)
    rows = np.linspace(0, height, side + 1).round().astype(int)
    view, heads = np.empty((height, width, 3), np.uint8), []
    for y0, y1 in zip(rows, rows[1:], strict=False):
        for x0, x1 in zip(columns, columns[1:], strict=False):
            if decoys and rng.random() < options.decoys:
                sample, box = decoys[rng.integers(len(decoys))]
            else:
                sample, index = pool[rng.integers(len(pool))]
                box = sample.heads[index].box
            cell = np.array([x0, y0, x1, y1])
            view[y0:y1, x0:x1], shown = _fill_cell(sample, box, cell, size, rng, options)
            heads += shown
    return view, heads


def _fill_cell(
    sample: Sample,
    box: np.ndarray,
    cell: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    options: Collage,
) -> tuple[np.ndarray, list[Head]]:
    """The cell's pixels and the heads in it, their boxes in pixels of the whole picture."""
    width, height = cell[2:] - cell[:2]
    squeeze = rng.uniform(*options.squeeze)
    share = np.exp(rng.uniform(*np.log(options.reach)))
    zoom = min(share * height / (box[3] - box[1]), options.enlarge)
    image, scales = shrunk(sample.load(), zoom * squeeze, zoom)
    focal = sample.likely_focal
    source = camera_matrix(focal, focal, sample.width, sample.height)
    most = options.turned if rng.random() < options.turned_share else options.roll
    roll = np.radians(rng.uniform(-most, most))
    tilt = rotation_from_vector([0, 0, roll])
    # the subject's middle comes to rest near the cell's
    spot = np.array([width, height]) * (0.5 + rng.uniform(-0.15, 0.15, 2))
    local = np.array([[focal * zoom * squeeze, 0, spot[0]], [0, focal * zoom, spot[1]], [0, 0, 1]])
    look = tilt @ rotation_to_ray(source, box).T
    homography = local @ look @ np.linalg.inv(source)
    pixels = cv2.warpPerspective(
        image,
        homography @ np.diag([1 / scales[0], 1 / scales[1], 1]),
        (int(width), int(height)),
        flags=cv2.INTER_LINEAR,
        borderValue=[int(v) for v in rng.integers(0, 256, 3)],
    )
    target = usual_camera(size, squeeze)
    heads = []
    for head in sample.heads:
        # behind the turned camera, or so far aside that the homography folds
        if (look @ ray_to(source, head.box))[2] < 0.2:
            continue
        warped = warp_head(head, homography, np.eye(3), int(width), int(height))
        warped.box = warped.box + np.tile(cell[:2], 2)
        if warped.keypoints is not None:
            warped.keypoints = keypoints.moved(warped.keypoints, cell[:2])
        warped.appearance = None  # the cell shows a head: whose in the scene cannot be told from it
        if head.rotation is not None:
            relative = tilt @ rotation_to_ray(source, head.box).T @ head.rotation
            warped.rotation = rotation_to_ray(target, warped.box) @ relative
        heads.append(warped)
    return pixels, heads
