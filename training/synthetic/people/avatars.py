# SPDX-License-Identifier: Apache-2.0
"""Rigged people from a folder of glTF files, as a source of people beside parametric bodies.

They are posed by the same rig: every joint of an avatar moves with the bone of the same part of the
body. At rest an avatar must stand upright with its head exactly frontal (in glTF's axes towards
+z); the head's rotation is then the head bone's, as for other people.

VALID's avatars fit (https://github.com/xrtlab/Validated-Avatar-Library-for-Inclusion-and-Diversity---VALID,
MIT licence), so do other people with joints of Mixamo's names whose materials are called as below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import Array, Integers
from ..clothes.meshes import ObjMesh
from ..clothes.wardrobe import Garment, Wardrobe, raised
from ..drawing.textures import TO_LINEAR, TextureStore, shrunk
from ..splits import SPLITS, number_of
from .avatar_bones import joints_of, missing_joints, skinning, swapped
from .bodies import Rig
from .dressing import FACE, peaked
from .gltf import Part, Rigged, read_rigged
from .headforms import HeadForm, head_form
from .person import Body, Person, join
from .posing import NECK

SHARE = 0.3  # of all people, where there are avatars
SPREAD = 0.035  # standard deviation of the logarithm of a person's size along each axis
COVERED, GLASSES, MASK = 0.3, 0.2, 0.05  # chances of things to wear
LARGEST = 1024  # pixels of a texture's longer side

# By the material's name: kind of garment and gloss
MATERIALS = {
    "head": ("body", 0.05),
    "limbs": ("body", 0.05),
    "eyes": ("eye", 0.6),
    "clothes_torso": ("clothes", 0.03),
    "hair": ("hair", 0.2),
}


@dataclass(frozen=True)
class Avatar:
    """One file's person: a body and what it wears, in the frame and with the bones of the rig.

    `parts`: garments whose corners are the body's points, skin first. `shell_mesh`: the head's
    surface without doubled vertices. `swapped` (J,): each bone's mirror image.
    """

    name: str
    body: Body
    form: HeadForm
    parts: tuple[Garment, ...]
    shell_rig: Rig
    shell_mesh: ObjMesh
    swapped: Integers


def read_avatars(folder: Path, split: str, rig: Rig, store: TextureStore) -> list[Avatar]:
    """The avatars of a split to learn from; no two such splits show the same ones.

    Raises ValueError for splits to test on, and where a folder holds too few files or a file is no
    such avatar.
    """
    learning = [name for name in SPLITS if SPLITS[name].drawn]
    if split not in learning:
        raise ValueError(f"avatars are for splits to learn from ({', '.join(learning)}): {split}")
    paths = sorted(folder.glob("*.glb"))
    own = paths[learning.index(split) :: len(learning)]
    if not own:
        raise ValueError(
            f"{folder}: {len(paths)} .glb files, but {len(learning)} splits need one each"
        )
    return [_avatar(path, rig, store) for path in own]


def dress_avatar(
    avatars: Sequence[Avatar], wardrobe: Wardrobe, split: str, seed: int, index: int
) -> Person:
    """Identity `index`: an avatar of its own size and side, at times with a hat or hood."""
    rng = np.random.default_rng([seed, number_of(split), 80, index])
    avatar = avatars[int(rng.integers(len(avatars)))]
    size = np.exp(rng.normal(0, SPREAD, 3)).clip(0.9, 1.1).astype(np.float32)
    mirrored = rng.random() < 0.5

    def one(kind: str, chance: float) -> list[Garment]:
        options = wardrobe.choices(kind, split)
        return [options[rng.integers(len(options))]] if options and rng.random() < chance else []

    worn = []
    for garment in one("cover", COVERED) + one("mask", MASK):
        if garment.shell is not None:
            worn.append(raised(avatar.shell_rig, avatar.shell_mesh, garment.shell, garment.texture))
    stiff = one("glasses", GLASSES) + peaked(worn, wardrobe, split, rng)[len(worn) :]
    worn += [_on_head(garment, avatar) for garment in stiff]
    hooded = any(g.shell is not None and g.shell.region == "hood" for g in worn)
    parts = [p for p in avatar.parts if not (hooded and p.kind == "hair")] + worn
    if mirrored:
        parts = [replace(p, bones=avatar.swapped[p.bones]) for p in parts]
    body = _resized(avatar, size, mirrored)
    return join(body, [(part, None) for part in parts], None, avatar.name, rng, rng)


def _resized(avatar: Avatar, size: Array, mirrored: bool) -> Body:
    """The body with its axes scaled by `size` (3,), and its sides exchanged if asked."""
    body, form = avatar.body, avatar.form
    scale = size * np.array([-1 if mirrored else 1, 1, 1], np.float32)
    normals = body.normals / scale
    joints = body.joints * scale
    return Body(
        body.points * scale,
        normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9),
        joints[avatar.swapped] if mirrored else joints,
        body.head,
        body.chin * scale,
        body.sellion * scale,
        body.back * float(size[1]),
        lambda points: form.template(points / scale),
        body.age,
        body.face[[0, 2, 1] if mirrored else [0, 1, 2]] * scale,
    )


def _on_head(garment: Garment, avatar: Avatar) -> Garment:
    """A stiff thing for the template's head, such as spectacles, on this one."""
    assert garment.fit is not None
    points = avatar.form.own(avatar.form.template_sellion + garment.fit.offsets[garment.corners])
    return replace(
        garment,
        fit=None,
        corners=np.full(len(points), avatar.form.sellion_vertex),
        shift=points - avatar.body.points[avatar.form.sellion_vertex],
    )


def _avatar(path: Path, rig: Rig, store: TextureStore) -> Avatar:
    file = read_rigged(path)
    if missing := missing_joints(file):
        raise ValueError(f"{path}: has no joints {', '.join(missing)}; rename its own to these")
    unknown = sorted({part.material for part in file.parts} - set(MATERIALS))
    if unknown:
        raise ValueError(
            f"{path}: materials {', '.join(unknown)} are none of {', '.join(MATERIALS)}"
        )
    order = list(MATERIALS)
    pieces = sorted(file.parts, key=lambda part: order.index(part.material))
    if pieces[0].material != order[0]:
        raise ValueError(f"{path}: has no material {order[0]}")
    joints = joints_of(file, rig)
    textures = [store.add(shrunk(image, LARGEST)) for image in file.images]
    parts, start = [], 0
    for piece in pieces:
        parts.append(_garment(piece, file, rig, textures, start))
        start += len(piece.points)
    points = np.concatenate([piece.points for piece in pieces])
    skin = pieces[0]
    head = rig.labels.index(NECK[-1])
    at = dict(zip(file.names, file.joints, strict=True))
    firm = (parts[0].weights * (parts[0].bones == head)).sum(1) > 0.9
    try:
        form = head_form(skin.points, firm, (at["LeftEye"] + at["RightEye"]) / 2, rig)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if skin.image is not None:
        store.means[textures[skin.image]] = _skin_colour(file.images[skin.image], skin, form)
    body = Body(
        points,
        np.concatenate([piece.normals for piece in pieces]),
        joints,
        head,
        form.chin,
        form.sellion,
        form.back,
        form.template,
        0.75,
        form.own(rig.template[FACE]),
    )
    shell_rig, shell_mesh = _surface(skin, parts[0], form, rig)
    return Avatar(path.stem, body, form, tuple(parts), shell_rig, shell_mesh, swapped(rig))


def _garment(piece: Part, file: Rigged, rig: Rig, textures: list[int], start: int) -> Garment:
    kind, gloss = MATERIALS[piece.material]
    bones, weights = skinning(piece, file, rig)
    texture = 0 if piece.image is None else textures[piece.image]
    corners = np.arange(start, start + len(piece.points))
    return Garment(
        piece.material,
        kind,
        piece.uv,
        piece.triangles,
        corners,
        bones,
        weights,
        texture,
        0,
        gloss,
        own_normals=True,
    )


def _skin_colour(image: Integers, skin: Part, form: HeadForm) -> Array:
    """Mean linear colour (3,) of the face between chin and nose bridge."""
    height = skin.points[:, 2]
    face = (height > form.chin[2]) & (height < form.sellion[2])
    face &= skin.points[:, 1] < form.sellion[1] + 0.02
    rows, columns = image.shape[:2]
    x = ((skin.uv[face, 0] % 1) * columns).astype(int).clip(0, columns - 1)
    y = ((1 - skin.uv[face, 1] % 1) * rows).astype(int).clip(0, rows - 1)
    return np.asarray(TO_LINEAR[image[y, x]].mean(0))


def _surface(skin: Part, garment: Garment, form: HeadForm, rig: Rig) -> tuple[Rig, ObjMesh]:
    """The head's surface as shells are raised from: its template places, vertices joined."""
    keys = np.round(skin.points, 5)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    triangles = inverse.reshape(-1)[skin.triangles]
    flat = (triangles == np.roll(triangles, 1, axis=1)).any(1)
    surface = Rig(
        rig.labels, rig.parents, garment.bones, garment.weights, form.template(skin.points)
    )
    mesh = ObjMesh(skin.points, first, skin.uv[first], triangles[~flat].astype(np.int32))
    return surface, mesh
