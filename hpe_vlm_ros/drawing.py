# SPDX-License-Identifier: Apache-2.0
"""Pictures of what was found: boxes, head axes and yaw on an image, and sheets of such images.

OpenCV is imported on first use, so that importing this module costs nothing.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Point = NDArray[np.float64]

# Red, green, blue for x, y, z as everywhere; z is drawn out of the face, where the nose points.
X_COLOUR: Colour = (235, 60, 60)
Y_COLOUR: Colour = (60, 205, 80)
NOSE_COLOUR: Colour = (45, 130, 255)
BOX_COLOUR: Colour = (255, 255, 255)
MARKED_COLOUR: Colour = (255, 170, 0)
_DARK: Colour = (20, 20, 20)
_PLATE = 13  # height of a label in line widths
_SUB_BITS = 4  # OpenCV's fixed point: coordinates in 1/16 pixel, so that small heads stay exact


class DrawableHead(Protocol):
    """What drawing needs of a head; `HeadEstimate` has it.

    box: x0, y0, x1, y1 in pixels of the picture. rotation: (3, 3) head in the optical frame. yaw:
    degrees; NaN is written as a question mark.
    """

    @property
    def box(self) -> Sequence[float]: ...
    @property
    def rotation(self) -> NDArray[np.floating]: ...
    @property
    def yaw(self) -> float: ...


def draw_heads(
    image: Image,
    heads: Iterable[DrawableHead],
    scale: float = 1.0,
    marked: Iterable[bool] = (),
) -> Image:
    """A copy of `image` (uint8 H x W x 3 RGB) with each head's box, axes and yaw in degrees.

    The axes are head axes in the optical frame, seen without perspective: x (red) to the subject's
    left, y (green) to the chin, the nose (blue, thickest, with an arrowhead) out of the face. Lines
    and letters grow with the image; `scale` multiplies them. Heads that are `marked`, such as those
    that look at the camera, get an amber box. ValueError for any other image.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image {image.dtype} {image.shape}: need uint8 H x W x 3 in RGB order")
    canvas = np.ascontiguousarray(image).copy()
    width = max(1.0, scale * min(image.shape[:2]) / 320)
    boxes = [(head, mark) for head, mark in zip_longest(heads, marked) if head is not None]
    boxes.sort(key=lambda box: -_area(box[0]))  # small heads stay visible over large ones
    heads = [head for head, _ in boxes]
    for head, mark in boxes:
        style = (MARKED_COLOUR, 2.0 * width) if mark else (BOX_COLOUR, width)
        _draw_box(canvas, head, *style)
    for head in heads:
        _draw_axes(canvas, head, width)
    for head in heads:
        _draw_label(canvas, head, width)
    return canvas


def contact_sheet(
    images: Sequence[Image],
    columns: int,
    cell: tuple[int, int] = (480, 360),
    captions: Sequence[str] = (),
    gap: int = 6,
) -> Image:
    """One picture of many: `columns` cells a row, each (width, height) pixels; shapes are kept.

    `captions`, where given, are written at the top left of each image. ValueError for no image.
    """
    if not images or columns < 1:
        raise ValueError(f"{len(images)} images in {columns} columns: need at least one of each")
    import cv2

    width, height = cell
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, 3)
    sheet = np.full(shape, 32, dtype=np.uint8)
    for index, image in enumerate(images):
        ratio = min(width / image.shape[1], height / image.shape[0])
        size = [max(1, round(s * ratio)) for s in (image.shape[1], image.shape[0])]
        method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
        small = cv2.resize(image, size, interpolation=method).astype(np.uint8)
        if index < len(captions):
            _text(small, captions[index], (4, 4), max(1.0, height / 320))
        row, column = divmod(index, columns)
        top = gap + row * (height + gap) + (height - size[1]) // 2
        left = gap + column * (width + gap) + (width - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = small
    return sheet


def _area(head: DrawableHead) -> float:
    x0, y0, x1, y1 = head.box
    return (x1 - x0) * (y1 - y0)


def _draw_box(canvas: Image, head: DrawableHead, box_colour: Colour, width: float) -> None:
    import cv2

    x0, y0, x1, y1 = (float(v) for v in head.box)
    corners = _fixed(((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    for colour, thickness in ((_DARK, width + 2), (box_colour, width)):
        cv2.polylines(canvas, [corners], True, colour, round(thickness), cv2.LINE_AA, _SUB_BITS)


def _draw_axes(canvas: Image, head: DrawableHead, width: float) -> None:
    x0, y0, x1, y1 = (float(v) for v in head.box)
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    length = 0.5 * max(x1 - x0, y1 - y0)
    # A line may not be thicker than the head can bear.
    thickness = float(np.clip(1.5 * width, 1.0, max(1.0, length / 8)))
    x, y, z = np.asarray(head.rotation, dtype=float).T
    axes = [(x, 1.0, X_COLOUR, 1.0), (y, 1.0, Y_COLOUR, 1.0), (-z, 1.7, NOSE_COLOUR, 1.6)]
    for direction, reach, colour, weight in sorted(axes, key=lambda axis: -axis[0][2]):
        tip = centre + reach * length * direction[:2]
        stroke = _arrow if colour is NOSE_COLOUR else _line
        _outlined(stroke, canvas, centre, tip, colour, weight * thickness)
    dot = max(1.0, 1.6 * thickness)
    _outlined(_dot, canvas, centre, centre, NOSE_COLOUR, dot)


def _outlined(
    stroke: "Callable[..., None]",
    canvas: Image,
    start: Point,
    end: Point,
    colour: Colour,
    thickness: float,
) -> None:
    """A stroke with a dark rim, readable on any ground."""
    stroke(canvas, start, end, _DARK, thickness, max(1.0, 0.35 * thickness))
    stroke(canvas, start, end, colour, thickness, 0.0)


def _line(
    canvas: Image, start: Point, end: Point, colour: Colour, width: float, rim: float
) -> None:
    import cv2

    points = _fixed((start, end))
    cv2.line(
        canvas, points[0], points[1], colour, max(1, round(width + 2 * rim)), cv2.LINE_AA, _SUB_BITS
    )


def _dot(canvas: Image, start: Point, end: Point, colour: Colour, width: float, rim: float) -> None:
    import cv2

    radius = round((width + rim) * 2**_SUB_BITS)
    cv2.circle(canvas, _fixed((start,))[0], radius, colour, -1, cv2.LINE_AA, _SUB_BITS)


def _arrow(
    canvas: Image, start: Point, end: Point, colour: Colour, width: float, rim: float
) -> None:
    """A line ending in a filled triangle; the head shrinks with a foreshortened shaft."""
    import cv2

    length = float(np.linalg.norm(end - start))
    if length < 1e-6:
        return
    along = (end - start) / length
    side = np.array([-along[1], along[0]])
    head = min(4.0 * width, 0.6 * length)
    neck = end - head * along
    _line(canvas, start, neck, colour, width, rim)
    tip, back = end + 2 * rim * along, neck - rim * along
    spread = (0.5 * head + 1.5 * rim) * side
    triangle = _fixed((tip, back + spread, back - spread))
    cv2.fillConvexPoly(canvas, triangle, colour, cv2.LINE_AA, _SUB_BITS)


def _draw_label(canvas: Image, head: DrawableHead, width: float) -> None:
    x0, y0, _, y1 = (float(v) for v in head.box)
    text = f"{head.yaw:+.0f}" if np.isfinite(head.yaw) else "?"
    above = round(y0 - _PLATE * width)
    _text(canvas, text, (round(x0), above if above >= 0 else round(y1 + 2 * width)), width)


def _text(canvas: Image, text: str, corner: tuple[int, int], width: float) -> None:
    """White letters on a dark plate whose top left is `corner`, moved into the picture."""
    import cv2

    font, size, bold = cv2.FONT_HERSHEY_SIMPLEX, 0.36 * width, max(1, round(width * 0.8))
    (wide, high), below = cv2.getTextSize(text, font, size, bold)
    pad = max(1, round(1.5 * width))
    x = int(np.clip(corner[0], 0, max(0, canvas.shape[1] - wide - 2 * pad)))
    y = int(np.clip(corner[1], 0, max(0, canvas.shape[0] - high - 2 * pad)))
    cv2.rectangle(canvas, (x, y), (x + wide + 2 * pad, y + high + 2 * pad), _DARK, -1)
    cv2.putText(canvas, text, (x + pad, y + high + pad), font, size, BOX_COLOUR, bold, cv2.LINE_AA)


def _fixed(points: Sequence[Point] | Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    """Pixel coordinates (N, 2) in OpenCV's fixed point, kept within what it can hold."""
    scaled = np.asarray(points, dtype=float) * 2**_SUB_BITS
    return np.clip(np.rint(scaled), -(2**24), 2**24).astype(np.int32)
