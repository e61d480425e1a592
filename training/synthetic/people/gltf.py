# SPDX-License-Identifier: Apache-2.0
"""Rigged people from binary glTF 2.0 files (.glb): meshes in their rest pose, joints and textures.

Frame of everything returned: Anny's, metres, x to the subject's left, y to its back, z up. glTF has
y up and faces +z.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .. import Array, Integers

# Component types and element widths, glTF 2.0 section 3.6.2.2
COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
TRIANGLES = 4
AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # glTF to Anny


@dataclass(frozen=True)
class Part:
    """Triangles of one material. `joints` (N, 4): rows of `Rigged.joints`; `image`: RGB or None."""

    material: str
    points: Array  # (N, 3)
    normals: Array  # (N, 3)
    uv: Array  # (N, 2), v up
    joints: Integers  # (N, 4)
    weights: Array  # (N, 4)
    triangles: Integers  # (T, 3)
    image: int | None  # into `Rigged.images`


@dataclass(frozen=True)
class Rigged:
    """`names` of the joints and where they rest, (J, 3); `parents` (J,), -1 for the root."""

    names: tuple[str, ...]
    joints: Array
    parents: Integers
    parts: tuple[Part, ...]
    images: tuple[Integers, ...]


def read_rigged(path: Path) -> Rigged:
    """Read the first skin of a .glb file and every mesh that is bound to it.

    Raises ValueError naming the file where it is no glTF, has no skin or needs an extension.
    """
    import pygltflib

    try:
        file = pygltflib.GLTF2().load_binary(str(path))
        blob = file.binary_blob()
        if file.extensionsRequired:
            raise ValueError(f"it needs {', '.join(file.extensionsRequired)}; export it without")
        if not file.skins:
            raise ValueError("it has no skin; export it with its armature")
        return _read(file, blob)
    except OSError:
        raise
    except Exception as error:  # of a broken file pygltflib raises whatever happens to it
        raise ValueError(f"{path}: not a readable rigged .glb file: {error}") from error


def _read(file: Any, blob: bytes) -> Rigged:
    skin = file.skins[0]
    above = {child: i for i, node in enumerate(file.nodes) for child in node.children or []}
    world = np.array([_world(file.nodes, above, i) for i in skin.joints])
    inverse = np.tile(np.eye(4), (len(skin.joints), 1, 1))
    if skin.inverseBindMatrices is not None:
        columns = _values(file, blob, skin.inverseBindMatrices).reshape(-1, 4, 4)
        inverse = columns.transpose(0, 2, 1)
    rows = {node: row for row, node in enumerate(skin.joints)}
    parents = [rows.get(above.get(node, -1), -1) for node in skin.joints]
    parts = [
        _part(file, blob, primitive, world @ inverse)
        for node in file.nodes
        if node.skin == 0 and node.mesh is not None
        for primitive in file.meshes[node.mesh].primitives
    ]
    return Rigged(
        tuple(file.nodes[i].name or "" for i in skin.joints),
        world[:, :3, 3] @ AXES.T,
        np.array(parents),
        tuple(parts),
        tuple(_image(file, blob, image) for image in file.images),
    )


def _world(nodes: Any, above: dict[int, int], number: int) -> Array:
    """A node's rest transform (4, 4) to the scene."""
    node = nodes[number]
    local = np.eye(4)
    if node.matrix:
        local = np.array(node.matrix, float).reshape(4, 4).T
    else:
        from scipy.spatial.transform import Rotation

        turn = Rotation.from_quat(node.rotation or [0, 0, 0, 1]).as_matrix()
        local[:3, :3] = turn * np.array(node.scale or [1, 1, 1])
        local[:3, 3] = node.translation or [0, 0, 0]
    return _world(nodes, above, above[number]) @ local if number in above else local


def _part(file: Any, blob: bytes, primitive: Any, bind: Array) -> Part:
    """One primitive, its points skinned to the rest pose by `bind` (J, 4, 4)."""
    if primitive.mode not in (None, TRIANGLES):
        raise ValueError("it has lines, points, strips or fans; export triangles alone")
    given = primitive.attributes
    names = ("POSITION", "NORMAL", "TEXCOORD_0", "JOINTS_0", "WEIGHTS_0")
    missing = [name for name in names if getattr(given, name) is None]
    if missing:
        raise ValueError(f"a mesh has no {', '.join(missing)}")
    points, normals, uv, joints, weights = (
        _values(file, blob, getattr(given, name)) for name in names
    )
    weights = weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)
    blend = np.einsum("nk,nkij->nij", weights, bind[joints])
    points = np.einsum("nij,nj->ni", blend[:, :3, :3], points) + blend[:, :3, 3]
    normals = np.einsum("nij,nj->ni", blend[:, :3, :3], normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    if primitive.indices is None:
        corners = np.arange(len(points))
    else:
        corners = _values(file, blob, primitive.indices)
    material = None if primitive.material is None else file.materials[primitive.material]
    return Part(
        "" if material is None else material.name or "",
        (points @ AXES.T).astype(np.float32),
        (normals @ AXES.T).astype(np.float32),
        np.stack([uv[:, 0], 1 - uv[:, 1]], 1).astype(np.float32),
        joints.astype(np.int16),
        weights.astype(np.float32),
        corners.reshape(-1, 3).astype(np.int32),
        _image_number(file, material),
    )


def _values(file: Any, blob: bytes, number: int) -> Any:
    """An accessor's elements (count, width)."""
    accessor = file.accessors[number]
    if accessor.sparse or accessor.bufferView is None:
        raise ValueError("it has sparse accessors; export it without")
    view = file.bufferViews[accessor.bufferView]
    kind, width = np.dtype(COMPONENTS[accessor.componentType]), WIDTHS[accessor.type]
    stride = view.byteStride or width * kind.itemsize
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    out = np.ndarray((accessor.count, width), kind, blob, start, (stride, kind.itemsize))
    return out / np.iinfo(kind).max if accessor.normalized else out.copy()


def _image_number(file: Any, material: Any) -> int | None:
    surface = material and material.pbrMetallicRoughness
    texture = surface and surface.baseColorTexture
    return None if texture is None else int(file.textures[texture.index].source)


def _image(file: Any, blob: bytes, image: Any) -> Integers:
    view = file.bufferViews[image.bufferView]
    start = view.byteOffset or 0
    data = np.frombuffer(blob, np.uint8, view.byteLength, start)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"its image {image.name} cannot be decoded")
    return np.ascontiguousarray(pixels[..., ::-1])
