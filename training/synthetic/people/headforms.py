# SPDX-License-Identifier: Apache-2.0
"""Landmarks of a head mesh that is known by its surface alone, and its map to the template's head.

Frame: metres, x to the subject's left, y to its back, z up; the head at rest is frontal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import Array, Integers
from .bodies import Rig
from .dressing import CHIN, SELLION

MIDLINE = 0.006  # metres to each side
FACE = 0.14  # metres below the eyes within which the chin lies
CHIN_AHEAD = 0.008  # metres that a chin lies before the eyes' centres; a throat lies behind them
BRIDGE = 0.012  # metres above the eyes' centres within which the nose bridge is deepest


@dataclass(frozen=True)
class HeadForm:
    """`chin`, `sellion` (3,); `back`: y of the skull's back; `sellion_vertex`: the mesh's vertex.

    `lengths` and `template_lengths` (4,): half width, sellion to back, to crown, to chin.
    """

    chin: Array
    sellion: Array
    sellion_vertex: int
    back: float
    lengths: Array
    template_sellion: Array
    template_lengths: Array

    def template(self, points: Array) -> Array:
        """Places (N, 3) on the template's head of points on this one."""
        return _mapped(
            points, self.sellion, self.lengths, self.template_sellion, self.template_lengths
        )

    def own(self, points: Array) -> Array:
        """Inverse of `template`."""
        return _mapped(
            points, self.template_sellion, self.template_lengths, self.sellion, self.lengths
        )


def head_form(points: Array, firm: Integers, eyes: Array, rig: Rig) -> HeadForm:
    """Find the landmarks of a head.

    points (N, 3): its skin with short hair; firm (N,): whether a point moves with the head alone;
    eyes (3,): the middle between the eyeballs. Raises ValueError where there is no face.
    """
    away = points - eyes
    middle = np.abs(away[:, 0]) < MIDLINE
    face = middle & (away[:, 2] > -FACE) & (away[:, 1] < -CHIN_AHEAD)
    bridge = middle & (away[:, 2] > -0.001) & (away[:, 2] < BRIDGE) & (away[:, 1] < 0)
    if not (face & (away[:, 2] < -FACE / 2)).any() or not bridge.any():
        raise ValueError("no face is found in front of and below the eyes; does it face +z?")
    chin = points[np.flatnonzero(face)[points[face, 2].argmin()]]
    vertex = _deepest(points, np.flatnonzero(bridge))
    template = rig.template
    weight = (rig.weights * (rig.bones == rig.labels.index("head"))).sum(1) > 0.9
    weight[13380:] = False  # helper surfaces
    return HeadForm(
        chin,
        points[vertex],
        vertex,
        float(points[firm & (away[:, 2] > 0), 1].max()),
        _lengths(points[firm], points[vertex], chin),
        template[SELLION],
        _lengths(template[weight], template[SELLION], template[CHIN]),
    )


def _deepest(points: Array, bridge: Integers) -> int:
    """Of midline vertices (their numbers), the hindmost of those in front at their height."""
    height = np.round(points[bridge, 2] / 0.003)
    front = [bridge[height == h][points[bridge[height == h], 1].argmin()] for h in set(height)]
    return int(max(front, key=lambda vertex: points[vertex, 1]))


def _lengths(points: Array, sellion: Array, chin: Array) -> Array:
    above = points[points[:, 2] > sellion[2] + 0.03]  # the ears end lower
    return np.array(
        [
            np.abs(above[:, 0] - sellion[0]).max(),
            above[:, 1].max() - sellion[1],
            above[:, 2].max() - sellion[2],
            sellion[2] - chin[2],
        ]
    )


def _mapped(points: Array, origin: Array, sizes: Array, to: Array, to_sizes: Array) -> Array:
    ratio = to_sizes / sizes
    away = points - origin
    scale = np.tile(ratio[:3], (len(points), 1))
    scale[away[:, 2] < 0, 2] = ratio[3]
    return np.asarray(to + away * scale)
