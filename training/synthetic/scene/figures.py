# SPDX-License-Identifier: Apache-2.0
"""Posed people: drawn into a scene, and the labels of their heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hpe_vlm_ros.geometry import angles_from_rotation

from ...data.labels import BOX_DECIMALS, head_record, rounded
from ...data.sample import Head
from .. import Array, Integers, labels
from ..drawing.compose import Canvas, Mesh
from ..drawing.raster import skin
from ..people.appearance import appearance_of
from ..people.bodies import Rig
from ..people.person import Person
from ..skeletons import posed_keypoints
from .camera import Camera
from .lights import Light

HEAD_MIDDLE = np.array([0.0, 0.08, 0.03], np.float32)  # from the nose bridge of a resting head


@dataclass(frozen=True)
class Figure:
    """A person ready to be drawn: bones go x -> linear @ x + shift; `maps` and `tone` as of
    `person_colours`; the head's middle in the world, about which it casts shadows on itself within
    `shadow_radius` (0: none)."""

    person: Person
    linear: Array
    shift: Array
    maps: Array
    tone: str
    middle: Array
    shadow_radius: float


@dataclass(frozen=True)
class Drawn:
    """What the label of a drawn person needs: its projected vertices, the head bone's rotation
    since rest, the nose bridge in the world, the owner that it was drawn as, and its keypoints as
    of `posed_keypoints`."""

    person: Person
    screen: Array
    linear: Array
    sellion: Array
    owner: int
    tone: str
    keypoints: tuple[Array, Array]


def draw_person(
    canvas: Canvas, camera: Camera, light: Light, rig: Rig, figure: Figure, owner: int
) -> Drawn:
    """Draw a person as owners `owner` and the next."""
    person, linear, shift = figure.person, figure.linear, figure.shift
    points, normals = np.empty_like(person.rest), np.empty_like(person.rest)
    skin(
        person.rest,
        person.normals,
        person.bones,
        person.weights,
        linear,
        shift,
        points,
        normals,
    )
    mesh = Mesh(
        points,
        normals,
        person.uv,
        person.triangles,
        person.materials,
        person.of_head,
        person.occlusion,
        person.textures,
        person.flags,
        person.gloss,
        figure.maps,
        figure.middle,
        figure.shadow_radius,
    )
    screen = canvas.add(mesh, owner, camera, light)
    head = rig.labels.index("head")
    sellion = linear[head] @ person.sellion + shift[head]
    keypoints = posed_keypoints(person, rig, linear, shift)
    return Drawn(person, screen, linear[head], sellion, owner, figure.tone, keypoints)


def head_label(
    picture: Integers, canvas: Canvas, camera: Camera, drawn: Drawn
) -> dict[str, Any] | None:
    """The label of one head as `render` describes it; None when nothing of it is in the image."""
    person, screen, owner = drawn.person, drawn.screen, drawn.owner
    full = labels.box_of(screen, person.box_points)
    if full is None:
        return None
    box = labels.clip_box(full, canvas.width, canvas.height)
    if box is None:
        return None
    rotation = labels.head_rotation(camera.rotation, drawn.linear)
    angles = angles_from_rotation(rotation)
    owners = canvas.owners()
    share = labels.visible_share(screen, person.triangles, person.of_head, full, owners, owner + 1)
    worn = zip(person.kinds, person.names, strict=True)
    position = camera.rotation @ (drawn.sellion - camera.position)
    keypoints = labels.point_labels(*drawn.keypoints, camera, canvas, (owner, owner + 1))
    head = Head(box, rotation, share, position, tone=drawn.tone, keypoints=keypoints)
    return head_record(head) | {
        "full_box": rounded(full, BOX_DECIMALS),
        "angles": None if angles is None else rounded(np.array(angles), 3),
        "looks": appearance_of(picture, owners, owner, full, worn),
    }
