# SPDX-License-Identifier: Apache-2.0
"""Tiles: they cover the picture, and what is found in them is put back where it is."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.answers import grid_box
from hpe_vlm_ros.boxes import without_duplicates
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.head_map import HeadMap
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.looks import Detection
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera
from hpe_vlm_ros.tiles import (
    ADAPTIVE,
    INSIDE,
    SAME_IOU,
    Tile,
    adaptive_tile,
    counts,
    put_back,
    square_around,
    tiles_of,
)
from hpe_vlm_ros.vlm.decoding.poses import Pose
from hpe_vlm_ros.vlm.facts import ModelFacts

sides = st.integers(1, 3000)
numbers = st.integers(1, 5)


def head(box: Any, yaw: float = 0.0, score: float = 0.5, **more: Any) -> HeadEstimate:
    rotation = rotation_from_angles(yaw, 0, 0)
    return HeadEstimate(tuple(map(float, box)), yaw, 0.0, 0.0, rotation, score, **more)


@given(sides, sides, numbers)
def test_tiles_lie_in_the_picture_and_cover_it(width, height, count):
    tiles = tiles_of(width, height, count)
    assert len(tiles) == count**2
    for tile in tiles:
        assert 0 <= tile.x and tile.x + tile.width <= width and tile.width > 0
        assert 0 <= tile.y and tile.y + tile.height <= height and tile.height > 0
    columns = sorted({(tile.x, tile.x + tile.width) for tile in tiles})
    assert columns[0][0] == 0 and columns[-1][1] == width
    assert all(end >= start for (_, end), (start, _) in zip(columns, columns[1:], strict=False))


@given(*[st.floats(-200, 300)] * 2, *[st.floats(0.01, 300)] * 2, st.floats(1, 2))
def test_a_square_holds_its_box_in_the_middle(x, y, width, height, margin):
    tile = square_around((x, y, x + width, y + height), margin)
    longer = max(width, height)
    assert tile.width == tile.height <= margin * longer + 2
    assert tile.x <= x + 1e-9 and tile.x + tile.width >= x + width - 1e-9
    assert tile.y <= y + 1e-9 and tile.y + tile.height >= y + height - 1e-9
    assert abs(tile.x + tile.width / 2 - x - width / 2) <= 0.5 + 1e-9
    assert abs(tile.y + tile.height / 2 - y - height / 2) <= 0.5 + 1e-9


@given(*[st.integers(-30, 40)] * 2, *[st.integers(1, 50)] * 2)
def test_a_tile_is_black_outside_the_picture(x, y, width, height):
    image = np.arange(1, 20 * 12 + 1, dtype=np.uint8).reshape(12, 20, 1).repeat(3, 2)
    part = Tile(x, y, width, height).of(image)
    assert part.shape == (height, width, 3)
    for row, column in np.ndindex(height, width):
        inside = 0 <= y + row < 12 and 0 <= x + column < 20
        expected = image[y + row, x + column, 0] if inside else 0
        assert (part[row, column] == expected).all()


@given(st.integers(60, 3000), st.integers(60, 3000), st.integers(2, 4), st.data())
def test_a_head_of_a_quarter_of_a_tile_is_whole_in_one(width, height, count, data):
    tiles = tiles_of(width, height, count)
    across, down = tiles[0].width / 4, tiles[0].height / 4
    x = data.draw(st.floats(0, width - across))
    y = data.draw(st.floats(0, height - down))
    boxes = [(t, (x - t.x, y - t.y, x - t.x + across, y - t.y + down)) for t in tiles]
    inside = [
        tile
        for tile, (x0, y0, x1, y1) in boxes
        if x0 >= 0 and y0 >= 0 and x1 <= tile.width and y1 <= tile.height
        if counts((x0, y0, x1, y1), tile, (height, width))
    ]
    assert inside


def test_large_heads_are_left_to_the_whole_picture():
    tile = Tile(0, 0, 100, 100)
    assert counts((0, 0, 50, 50), tile, (300, 300))
    assert not counts((0, 0, 51, 20), tile, (300, 300))
    assert not counts((0, 0, 20, 51), tile, (300, 300))


def test_the_borders_of_the_picture_cut_nothing():
    first, last = tiles_of(300, 300, 2)[0], tiles_of(300, 300, 2)[-1]
    assert counts((0, 0, 50, 50), first, (300, 300))
    assert not counts((150, 20, first.width, 70), first, (300, 300))
    assert not counts((20, 150, 70, first.height), first, (300, 300))
    assert not counts((0, 20, 50, 70), last, (300, 300))
    assert not counts((20, 0, 70, 50), last, (300, 300))
    assert counts((120, 120, last.width, last.height), last, (300, 300))


@given(st.floats(-60, 60), st.floats(5, 300), st.floats(5, 200))
def test_a_head_seen_the_same_way_is_turned_by_its_ray(yaw, x, y):
    """What the model says of a tile is true of one that is a picture; the head's look, its rotation
    relative to the ray, is the same in both."""
    size, tile = (480, 640), Tile(310, 250, 330, 230)
    answer = head((x, y, x + 20, y + 25), yaw, rotation_covariance=np.diag([1.0, 2.0, 3.0]))
    back = put_back(answer, tile, size)
    np.testing.assert_allclose(back.box, (x + 310, y + 250, x + 330, y + 275))
    there = rotation_to_ray(usual_camera((230, 330)), answer.box)
    here = rotation_to_ray(usual_camera(size), back.box)
    np.testing.assert_allclose(here.T @ back.rotation, there.T @ answer.rotation, atol=1e-9)
    angles = back.yaw, back.pitch, back.roll
    np.testing.assert_allclose(rotation_from_angles(*angles), back.rotation, atol=1e-6)
    assert back.rotation_covariance is not None
    np.testing.assert_allclose(np.linalg.eigvalsh(back.rotation_covariance), [1, 2, 3])


def test_a_pose_nobody_knows_stays_unknown():
    """As a server's invalid answer leaves it."""
    unknown = HeadEstimate((1, 2, 3, 4), *[np.nan] * 3, np.full((3, 3), np.nan), 0.5)
    back = put_back(unknown, Tile(10, 10, 50, 50), (100, 100))
    assert back.box == (11, 12, 13, 14) and np.isnan(back.rotation).all()


def test_the_surest_of_several_answers_is_kept():
    sure, twin = head((10, 10, 50, 60), 3, 0.9), head((12, 9, 52, 62), 7, 0.6)
    part = head((12, 12, 30, 30), 0, 0.3)
    other, corner = head((80, 10, 120, 60), 0, 0.4), head((45, 50, 70, 80), 0, 0.35)
    found = [part, twin, other, sure, corner]
    assert without_duplicates(found, SAME_IOU, INSIDE) == [sure, other, corner]


class Painted:
    """A model that finds what is painted in certain greys, if it is a tenth of the picture wide."""

    model_id, runtime, device, at_once = "painted", "test", "cpu", 1
    facts = ModelFacts()

    def __init__(self, *greys: int, presence: np.ndarray | None = None) -> None:
        self.greys, self.presence = greys, presence
        self.seen: list[tuple[int, ...]] = []  # shapes of pictures
        self.asked: list[int] = []  # poses asked for, by picture

    def look_at(self, image, reuse_prefix=True, pick=None):
        self.seen.append(image.shape)
        self.asked.append(0)
        return PaintedLook(self, image, len(self.seen) - 1)


class PaintedLook:
    def __init__(self, model: Painted, image: np.ndarray, number: int) -> None:
        self.model, self.image, self.number = model, image, number
        self.presence = None if model.presence is None else HeadMap(model.presence)

    def detect(self, max_heads, draft=None, slack=0):
        height, width = self.image.shape[:2]
        boxes = [extent(self.image, value) for value in self.model.greys]
        large = [b for b in boxes if b is not None and b[2] - b[0] >= width / 10]
        return [Detection(grid_box(box, width, height), 0.9) for box in large]

    def estimates(self, boxes):
        self.model.asked[self.number] += len(boxes)
        angles = 10.0 * self.number, 0.0, 0.0
        return [Pose(angles, angles, (1.0, 1.0, 1.0), np.zeros((3, 360))) for _ in boxes]


def painted(*boxes, greys=(60, 120, 240)) -> np.ndarray:
    picture = np.zeros((300, 400, 3), np.uint8)
    for value, (x0, y0, x1, y1) in zip(greys, boxes, strict=True):
        picture[y0:y1, x0:x1] = value
    return picture


@pytest.mark.parametrize("max_heads", [20, 2])
def test_far_heads_are_found_in_tiles_only(max_heads):
    truth = [(10, 10, 36, 36), (200, 100, 300, 220), (350, 250, 380, 280)]
    model: Any = Painted(60, 120, 240)
    perceiver = HeadPerceiver(model, max_heads=max_heads, tiles=1)
    (large,) = perceiver(painted(*truth))
    np.testing.assert_allclose(large.box, truth[1], atol=0.5)
    found = perceiver(painted(*truth), tiles=2)
    expected = truth if max_heads == 20 else truth[1:]
    np.testing.assert_allclose([h.box for h in found], expected, atol=0.5)
    assert found.left_out == len(truth) - len(expected)
    # a draft is for the whole picture
    np.testing.assert_allclose(found.named, truth[1:2], atol=0.5)


def test_a_head_that_two_passes_found_is_asked_about_once_where_it_was_surest():
    model: Any = Painted(60, 120, 240)
    boxes = [(20, 20, 62, 64), (100, 30, 145, 80), (150, 100, 176, 130)]
    found = HeadPerceiver(model, tiles=2)(painted(*boxes))
    assert len(found) == 3 and sum(model.asked) == 3 and model.asked[:2] == [2, 1]


def presence_at(*spots: tuple[int, int], sure: float = 3.0) -> np.ndarray:
    """A map of 20 x 20 patches, sure of heads at (row, column) alone."""
    logits = np.full((20, 20), -8.0, np.float32)
    for spot in spots:
        logits[spot] = sure
    return logits


@given(st.integers(60, 900), st.integers(60, 900), st.integers(0, 16), st.integers(0, 16))
def test_the_adaptive_tile_holds_what_the_map_is_sure_of(width, height, row, column):
    """Three peaks near each other, wherever they are in a picture of any size."""
    spots = [(row, column), (row, column + 3), (row + 3, column)]
    assert adaptive_tile([], presence_at(*spots[:2]), (height, width), 320) is None, "too little"
    tile = adaptive_tile([], presence_at(*spots), (height, width), 320)
    assert tile is not None
    assert 0 <= tile.x and tile.x + tile.width <= width
    assert 0 <= tile.y and tile.y + tile.height <= height
    for y, x in spots:
        across, down = (x + 0.5) * width / 20, (y + 0.5) * height / 20
        assert tile.x < across < tile.x + tile.width and tile.y < down < tile.y + tile.height


def test_large_heads_that_were_found_are_no_reason_to_look_closer():
    spots = [(4, 4), (4, 10), (10, 4)]
    around = [head((c * 16 - 30, r * 16 - 30, c * 16 + 40, r * 16 + 40)) for r, c in spots]
    assert adaptive_tile(around, presence_at(*spots), (320, 320), 320) is None
    small = [head((c * 16, r * 16, c * 16 + 12, r * 16 + 14), score=0.9) for r, c in spots]
    assert adaptive_tile(small, presence_at(), (320, 320), 320) is not None
    assert adaptive_tile([], presence_at(), (320, 320), 320) is None


@pytest.mark.parametrize("known", [True, False])
def test_one_tile_is_looked_at_where_the_map_asks_for_it(known):
    presence = presence_at((2, 2), (2, 6), (6, 2)) if known else None
    model: Any = Painted(60, presence=presence)
    found = HeadPerceiver(model, tiles=ADAPTIVE)(painted((10, 10, 36, 40), greys=(60,)))
    assert model.seen == [(300, 400, 3), (180, 240, 3)][: 1 + known] and len(found) == known


def extent(image: Any, value: int) -> tuple[int, int, int, int] | None:
    ys, xs = np.nonzero(image[..., 0] == value)
    return (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1) if len(xs) else None


def test_a_number_of_tiles_that_makes_no_sense():
    engine: Any = SimpleNamespace()
    with pytest.raises(ValueError, match="tiles is -1; give 0"):
        HeadPerceiver(engine, tiles=-1)
