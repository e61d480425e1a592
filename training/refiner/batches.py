# SPDX-License-Identifier: Apache-2.0
"""Squares as the network sees them, moved, turned, mirrored and spoilt; targets follow exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from hpe_vlm_ros.geometry import box_iou, mirror_rotation
from hpe_vlm_ros.refinement import MARGIN, SIDE

from ..data.augment import camera_faults
from .crops import Crops

STILL_THERE = 0.4  # overlap (IoU) of a moved box with its head above which it is one of that head
TURN = 20.0  # degrees, standard deviation of the turn in the picture's plane
MOST_TURN = 45.0
SHIFT, STRETCH = 0.13, 0.16  # of a box, in its sides and as a logarithm: deviations of a detector
COARSE = 0.35  # share of squares that are shrunk and enlarged again, as small heads are
COARSEST = 12.0  # pixels of a head that was shrunk


@dataclass(frozen=True)
class Target:
    """What the outputs about one square should be; see `hpe_vlm_ros.refinement`.

    box: (4,) middle and logarithms of the sides, in sides of the square. rotation: (3, 3), NaN
    where unknown. spread: (3,) radians about x, y and z, 0 where exact.
    """

    head: bool
    box: np.ndarray
    rotation: np.ndarray
    spread: np.ndarray


def view(
    pixels: np.ndarray, box: np.ndarray, head: bool, rotation: np.ndarray, spread: np.ndarray,
    rng: np.random.Generator | None,
) -> tuple[np.ndarray, Target]:  # fmt: skip
    """One square (SIDE, SIDE, 3) and its target; with no `rng` as a perfect detector would cut."""
    asked = box if rng is None else _moved(box, head, rng)
    turn = 0.0 if rng is None else float(np.clip(rng.normal(0, TURN), -MOST_TURN, MOST_TURN))
    scale = SIDE / (MARGIN * max(asked[2] - asked[0], asked[3] - asked[1]))
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    plane = np.array([[cosine, -sine], [sine, cosine]])
    middle = asked.reshape(2, 2).mean(0)
    linear = scale * plane
    warp = np.hstack([linear, (SIDE / 2 - linear @ middle)[:, None]])
    square = cv2.warpAffine(pixels, warp, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    spin = np.eye(3)
    spin[:2, :2] = plane
    rotation = spin @ rotation
    place = _turned_box(box, warp, plane)
    if rng is not None:
        if rng.random() < 0.5:
            square = np.ascontiguousarray(square[:, ::-1])
            place[0] = SIDE - place[0]
            rotation = mirror_rotation(rotation)
        square = _coarser(square, place, rng) if rng.random() < COARSE else square
        square = camera_faults(square, rng)
    target = np.hstack([place[:2] / SIDE - 0.5, np.log(np.maximum(place[2:], 1.0) / SIDE)])
    # of a head that faces the camera: pitch turns it about x, yaw about y, roll about z
    yaw, pitch, roll = np.radians(spread)
    return square, Target(head, target, rotation, np.array([pitch, yaw, roll]))


def _moved(box: np.ndarray, head: bool, rng: np.random.Generator) -> np.ndarray:
    """A box as a detector may name it: near its head, and still that head's."""
    corners = box.reshape(2, 2)
    size = corners[1] - corners[0]
    for _ in range(10):
        middle = corners.mean(0) + rng.normal(0, SHIFT, 2) * size
        half = size / 2 * np.exp(rng.normal(0, STRETCH) + rng.normal(0, STRETCH / 2, 2))
        moved = np.hstack([middle - half, middle + half])
        if not head or box_iou([moved], [box])[0, 0] >= STILL_THERE:
            return moved
    return box


def _turned_box(box: np.ndarray, warp: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Middle x, y and width, height of the ellipse in a box after a turn."""
    scale = np.linalg.norm(warp[:, 0])
    half = (box[2:] - box[:2]) / 2 * scale
    middle = warp[:, :2] @ box.reshape(2, 2).mean(0) + warp[:, 2]
    return np.hstack([middle, 2 * np.sqrt((plane**2) @ half**2)])


def _coarser(square: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square as that of a head of fewer pixels."""
    extent = max(place[2:].max(), 1.0)
    factor = np.exp(rng.uniform(np.log(min(COARSEST / extent, 0.9)), 0))
    small = cv2.resize(square, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


class Stream(IterableDataset):
    """Endless batches (squares (B, 3, SIDE, SIDE) uint8, targets) drawn by weight.

    weights: (N,) how often each square is drawn.
    """

    def __init__(self, crops: Crops, weights: np.ndarray, size: int, seed: int) -> None:
        self._crops, self._size, self._seed = crops, size, seed
        self._chances = weights / weights.sum()

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        worker = get_worker_info()
        rng = np.random.default_rng((self._seed, 0 if worker is None else worker.id))
        crops = self._crops
        while True:
            rows = np.sort(rng.choice(len(self._chances), self._size, p=self._chances))
            yield collate(
                view(crops.pixels[i], crops.boxes[i], crops.heads[i], crops.rotations[i],
                     crops.spreads[i], rng)
                for i in rows
            )  # fmt: skip


def collate(views: Iterator[tuple[np.ndarray, Target]]) -> tuple[torch.Tensor, ...]:
    """Squares (B, 3, SIDE, SIDE) uint8, heads (B,), boxes (B, 4), rotations (B, 3, 3) and spreads
    (B, 3)."""
    squares, targets = zip(*views, strict=True)
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous()
    columns = (
        [t.head for t in targets],
        [t.box for t in targets],
        [t.rotation for t in targets],
        [t.spread for t in targets],
    )
    return (pixels, *(torch.from_numpy(np.array(c, np.float32)) for c in columns))
