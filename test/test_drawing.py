# SPDX-License-Identifier: Apache-2.0
"""Drawings: read back from the pixels which way the axes point and where the boxes are."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from hpe_vlm_ros.drawing import (
    BOX_COLOUR,
    NOSE_COLOUR,
    X_COLOUR,
    Y_COLOUR,
    Colour,
    contact_sheet,
    draw_heads,
)
from hpe_vlm_ros.geometry import rotation_from_angles


@dataclass
class Head:
    box: tuple[float, float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def rotation(self) -> np.ndarray:
        return rotation_from_angles(self.yaw, self.pitch, self.roll)


def grey(width: int = 640, height: int = 480) -> np.ndarray:
    return np.full((height, width, 3), 110, dtype=np.uint8)


def mean_of(image: np.ndarray, colour: Colour) -> np.ndarray:
    """Mean pixel (column, row) of a colour that must be there."""
    rows, columns = np.nonzero((image == colour).all(axis=2))
    assert len(rows) > 0
    return np.array([columns.mean(), rows.mean()])


CENTRE = np.array([320, 240])
BOX = (270, 190, 370, 290)


@pytest.mark.parametrize(
    ("head", "colour", "side", "sign"),
    [
        (Head(BOX, yaw=70), NOSE_COLOUR, 0, -1),
        (Head(BOX, yaw=-70), NOSE_COLOUR, 0, 1),
        (Head(BOX, yaw=130), NOSE_COLOUR, 0, -1),
        (Head(BOX, pitch=60), NOSE_COLOUR, 1, -1),
        (Head(BOX, yaw=180, pitch=60), NOSE_COLOUR, 1, 1),
        (Head(BOX), X_COLOUR, 0, 1),
        (Head(BOX, yaw=180), X_COLOUR, 0, -1),
        (Head(BOX), Y_COLOUR, 1, 1),
        (Head(BOX, roll=60), Y_COLOUR, 0, -1),
    ],
)
def test_axes_point_where_the_head_does(head: Head, colour: Colour, side: int, sign: int) -> None:
    offset = (mean_of(draw_heads(grey(), [head]), colour) - CENTRE)[side]
    assert sign * offset > 10


def test_the_box_is_where_it_is_said_to_be() -> None:
    image = draw_heads(grey(), [Head((100, 150, 200, 250))])
    rows, columns = np.nonzero((image == BOX_COLOUR).all(axis=2)[140:])  # without the label
    assert (columns.min(), columns.max()) == pytest.approx((100, 200), abs=2)
    assert (rows.min() + 140, rows.max() + 140) == pytest.approx((150, 250), abs=2)


def test_the_nose_is_the_most_visible_axis() -> None:
    image = draw_heads(grey(), [Head(BOX, yaw=40, pitch=20)])
    count = {c: int((image == c).all(axis=2).sum()) for c in (NOSE_COLOUR, X_COLOUR, Y_COLOUR)}
    assert count[NOSE_COLOUR] > count[X_COLOUR] and count[NOSE_COLOUR] > count[Y_COLOUR]


def test_a_frontal_nose_is_a_dot() -> None:
    assert mean_of(draw_heads(grey(), [Head(BOX)]), NOSE_COLOUR) == pytest.approx(CENTRE, abs=1)


def test_lines_grow_with_the_image_and_with_scale() -> None:
    def thickness(image: np.ndarray) -> int:
        row = image[image.shape[0] // 2 + image.shape[0] // 20]  # beside the axes, through the box
        return int((row[: image.shape[1] // 2] == BOX_COLOUR).all(axis=1).sum())

    small = draw_heads(grey(), [Head(BOX)])
    large = draw_heads(grey(2560, 1920), [Head((1080, 760, 1480, 1160))])
    assert thickness(large) >= 2 * thickness(small)
    assert thickness(draw_heads(grey(), [Head(BOX)], scale=3)) > thickness(small)


@pytest.mark.parametrize("size", [(1, 1), (320, 240), (3840, 2160)])
def test_any_size_and_any_box_is_drawn_on_a_copy(size: tuple[int, int]) -> None:
    image = grey(*size)
    inside = Head((0.2 * size[0], 0.2 * size[1], 0.7 * size[0], 0.9 * size[1]), 12.0)
    drawn = draw_heads(image, [inside, Head((-500, -300, 99999, 99999))])
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (image == 110).all() and not (drawn == 110).all()


def test_a_head_without_angles_is_drawn_too() -> None:
    @dataclass
    class Upside:
        box: tuple[float, float, float, float] = BOX
        yaw: float = np.nan

        @property
        def rotation(self) -> np.ndarray:
            return rotation_from_angles(0, 0, 180)

    assert mean_of(draw_heads(grey(), [Upside()]), Y_COLOUR)[1] < CENTRE[1]


def test_no_heads_leave_the_image_as_it_is() -> None:
    assert (draw_heads(grey(), []) == grey()).all()


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)]
)
def test_other_images_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 H x W x 3"):
        draw_heads(image, [])


def test_contact_sheet_keeps_order_and_shape() -> None:
    images = [
        np.full((h, w, 3), v, np.uint8) for v, h, w in ((50, 60, 80), (150, 80, 60), (250, 9, 9))
    ]
    sheet = contact_sheet(images, 2, cell=(80, 60), gap=4)
    assert sheet.shape == (2 * 64 + 4, 2 * 84 + 4, 3)
    assert (sheet[4:64, 4:84] == 50).all()
    assert (sheet[4:64, 88:168] == 150).all(axis=(0, 2)).sum() == 45  # upright: 45 of 80 wide
    assert (sheet[68:128, 4:84] == 250).all(axis=(0, 2)).sum() == 60
    assert (sheet[68:, 88:] == 32).all()


def test_contact_sheet_captions_and_refusals() -> None:
    plain, written = (contact_sheet([grey()], 3, captions=c) for c in ((), ("a picture",)))
    assert plain.shape == written.shape and (plain != written).any()
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], 3)


def test_importing_the_core_stays_light() -> None:
    code = (
        "import sys, hpe_vlm_ros.answers, hpe_vlm_ros.geometry, hpe_vlm_ros.drawing;"
        "print(*(set(sys.modules) & {'torch', 'rclpy', 'cv2', 'scipy'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "\n", "")
