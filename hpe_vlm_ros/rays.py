# SPDX-License-Identifier: Apache-2.0
"""Rays: the direction a head is seen along, without which its look does not tell its rotation.

A head that stays turned the same way towards the camera looks the same wherever it stands in the
picture, but its rotation in the camera's frame differs: by the turn of the ray it is seen along.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FIELD_OF_VIEW = 60.0  # degrees, across: the middle of the cameras that models were trained with


def camera_matrix(focal_x: float, focal_y: float, width: int, height: int) -> Array:
    """Pinhole matrix (3, 3) in pixels with the principal point at the image centre."""
    return np.array([[focal_x, 0, width / 2], [0, focal_y, height / 2], [0, 0, 1.0]])


def usual_camera(size: tuple[int, int], squeeze: float = 1.0) -> Array:
    """Matrix (3, 3) of the camera assumed where none is known; `size` = (height, width).

    `squeeze` is the factor by which the picture was made narrower."""
    focal = size[1] / 2 / np.tan(np.radians(FIELD_OF_VIEW) / 2)
    return camera_matrix(focal, focal / squeeze, size[1], size[0])


def ray_to(camera: ArrayLike, box: ArrayLike) -> Array:
    """Direction (3,), of any length, in the optical frame towards the middle of a box (pixels)."""
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    to_ray = np.linalg.inv(np.asarray(camera, dtype=float))
    ray: Array = to_ray @ [(x0 + x1) / 2, (y0 + y1) / 2, 1.0]
    return ray


def ray_rotation(ray: ArrayLike) -> Array:
    """The smallest rotation (3, 3) that turns the optical axis onto `ray` (3,), any length."""
    direction = np.asarray(ray, dtype=float)
    x, y, z = direction / np.linalg.norm(direction)
    turn = np.array([[0, 0, x], [0, 0, y], [-x, -y, 0]])
    # Rodrigues' formula, between two directions; straight back (z = -1) no turn is the smallest
    rotation: Array = np.eye(3) + turn + turn @ turn / (1 + z)
    return rotation


def rotation_to_ray(camera: ArrayLike, box: ArrayLike) -> Array:
    """The smallest rotation (3, 3) from the optical axis to the ray through a box's middle."""
    return ray_rotation(ray_to(camera, box))


def unit_ray(box: ArrayLike, width: int, height: int) -> Array:
    """Unit vector (3,), optical frame, to the box's middle for a camera whose focal length is one
    image width: a fair guess where the calibration is unknown. Box and size in pixels."""
    x0, y0, x1, y1 = np.asarray(box, dtype=float)
    ray = np.array([((x0 + x1) - width) / (2 * width), ((y0 + y1) - height) / (2 * width), 1.0])
    unit: Array = ray / np.linalg.norm(ray)
    return unit
