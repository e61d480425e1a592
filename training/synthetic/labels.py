# SPDX-License-Identifier: Apache-2.0
"""Exact labels of what is rendered: heads (rotation, box, visible share) and points.

The rotation M takes head axes (x subject's left, y down to the chin, z out of the back of the head)
to the camera's optical frame (x right, y down, z forward); the identity is a frontal face. Angles
are read off it by `hpe_vlm_ros.geometry.angles_from_rotation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpe_vlm_ros.skeleton import ABSENT, COVERED, SEEN

from . import Array, Integers
from .drawing.compose import Canvas
from .drawing.raster import cover
from .scene.camera import Camera

# Head axes (columns) in a resting body's frame: x left, y back, z up.
HEAD_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
GRID = 40
NEAREST = 0.08  # metres before the camera from which on a point can be in the picture


def head_rotation(world_to_optical: Array, head_linear: Array) -> Array:
    """M (3, 3) from the camera's rotation and the head bone's rotation since rest."""
    m = np.asarray(world_to_optical, np.float64) @ np.asarray(head_linear, np.float64) @ HEAD_AXES
    u, _, vt = np.linalg.svd(m)  # float32 kinematics: back to an exact rotation
    return u @ vt


def box_of(screen: Array, points: Integers) -> Array | None:
    """(x0, y0, x1, y1) spanned by projected vertices in front of the camera; None without any."""
    chosen = screen[points]
    chosen = chosen[chosen[:, 2] > 0]
    if len(chosen) == 0:
        return None
    return np.concatenate([chosen[:, :2].min(0), chosen[:, :2].max(0)])


def clip_box(box: Array, width: float, height: float) -> Array | None:
    """The part of a box (x0, y0, x1, y1, pixels) inside the image, or None when nothing is."""
    out = np.array(
        [max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)], np.float64
    )
    return out if out[2] - out[0] > 1e-6 and out[3] - out[1] > 1e-6 else None


def visible_share(
    screen: Array,
    triangles: Integers,
    of_head: Integers,
    box: Array,
    owner_of: Integers,
    owner: int,
) -> float:
    """Share of the head's silhouette (0..1) that shows: neither covered nor outside the image."""
    mask = np.zeros((GRID, GRID), np.uint8)
    cover(screen, triangles, of_head, box.astype(np.float32), mask)
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return 0.0
    x = (box[0] + (columns + 0.5) / GRID * (box[2] - box[0])).astype(int)
    y = (box[1] + (rows + 0.5) / GRID * (box[3] - box[1])).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < owner_of.shape[1]) & (y < owner_of.shape[0])
    shown = owner_of[y[inside], x[inside]] == owner
    return float(shown.sum() / len(rows))


def point_labels(
    places: Array, deep: Array, camera: Camera, canvas: Canvas, owners: Sequence[int] = ()
) -> Array:
    """Labels (N, 3) of places in the world (N, 3): x and y in pixels and, as in
    `hpe_vlm_ros.skeleton`, how each is seen. A place outside the picture has x = y = 0.

    deep: (N,) metres that each place may lie behind the surface that shows there. A place at an
    edge is seen where one of the drawn pixels around it says so.
    owners: of the drawn meshes the place may be seen on; () where any will do, or none.
    """
    label = np.full((len(places), 3), float(ABSENT))
    for row, place, below in zip(label, places, deep, strict=True):
        u, v, depth = camera.pixel(place)
        if depth <= NEAREST or not (0 <= u < canvas.width and 0 <= v < canvas.height):
            continue
        x, y = int(u * canvas.scale), int(v * canvas.scale)
        around = slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2)
        limit = 1 / (depth - below) if depth > below else np.inf  # the canvas holds 1 / depth
        visible = canvas.depth[around] <= limit
        if owners:
            visible &= np.isin(canvas.owner_of[around], owners)
        row[:] = u, v, SEEN if visible.any() else COVERED
    return label
