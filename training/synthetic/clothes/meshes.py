# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes with one texture coordinate a vertex, and readers for .obj and .mhclo files.

Frames: Anny's, metres, x to the subject's left, y to its back, z up. MakeHuman files use decimetres
with y up and z to the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import Array, Integers


@dataclass(frozen=True)
class ObjMesh:
    """Triangles of an .obj file. `corners` (N,): the file's vertex of each split vertex."""

    points: Array  # (V, 3) as in the file
    corners: Integers  # (N,)
    uv: Array  # (N, 2)
    triangles: Integers  # (T, 3) into the split vertices


def read_obj(path: Path, group: str | None = None) -> ObjMesh:
    """Read vertices, texture coordinates and faces (of one group only, when named)."""
    points: list[list[float]] = []
    coordinates: list[list[float]] = [[0.0, 0.0]]
    pairs: dict[tuple[int, int], int] = {}
    triangles: list[tuple[int, int, int]] = []
    current = ""
    for line in path.read_text().splitlines():
        fields = line.split()
        if not fields:
            continue
        if fields[0] == "v":
            points.append([float(x) for x in fields[1:4]])
        elif fields[0] == "vt":
            coordinates.append([float(x) for x in fields[1:3]])
        elif fields[0] == "g":
            current = fields[1] if len(fields) > 1 else ""
        elif fields[0] == "f" and group in (None, current):
            face = [_corner(field, pairs) for field in fields[1:]]
            triangles += [(face[0], face[i], face[i + 1]) for i in range(1, len(face) - 1)]
    keys = np.array(list(pairs), np.int64).reshape(-1, 2)
    return ObjMesh(
        np.array(points, np.float32),
        keys[:, 0],
        np.array(coordinates, np.float32)[keys[:, 1]],
        np.array(triangles, np.int32).reshape(-1, 3),
    )


def _corner(field: str, pairs: dict[tuple[int, int], int]) -> int:
    parts = field.split("/")
    key = (int(parts[0]) - 1, int(parts[1]) if len(parts) > 1 and parts[1] else 0)
    return pairs.setdefault(key, len(pairs))


@dataclass(frozen=True)
class Fit:
    """How a garment follows the body: point = sum(weights * body[vertices]) + scale * offset."""

    vertices: Integers  # (n, 3) body vertices
    weights: Array  # (n, 3)
    offsets: Array  # (n, 3) in Anny axes, decimetres of the unscaled body
    scales: tuple[tuple[int, int, float], ...]  # per Anny axis: two body vertices, their distance
    deleted: Integers  # body vertices hidden by the garment

    def apply(self, body: Array) -> Array:
        """Garment points (n, 3) on a body (V, 3) in metres."""
        scale = np.array(
            [abs(body[a, i] - body[b, i]) / d for i, (a, b, d) in enumerate(self.scales)],
            np.float32,
        )
        on_body = np.einsum("nk,nkj->nj", self.weights, body[self.vertices])
        return (on_body + self.offsets * scale).astype(np.float32)


def read_mhclo(path: Path) -> Fit:
    """Read a MakeHuman clothes file. Raises ValueError naming the file when it has no vertices."""
    scales = {"x": (0, 1, 1.0), "y": (0, 1, 1.0), "z": (0, 1, 1.0)}
    rows: list[list[float]] = []
    deleted: list[int] = []
    section = ""
    for line in path.read_text(errors="replace").splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if fields[0] in ("verts", "delete_verts", "weights"):
            section = fields[0]
        elif fields[0] in ("x_scale", "y_scale", "z_scale"):
            scales[fields[0][0]] = (int(fields[1]), int(fields[2]), float(fields[3]))
        elif section == "verts" and _is_number(fields[0]):
            rows.append(_fit_row(fields))
        elif section == "delete_verts":
            deleted += _ranges(fields)
    if not rows:
        raise ValueError(f"{path}: holds no fitted vertices; is it a MakeHuman .mhclo file?")
    table = np.array(rows, np.float64)
    offsets = table[:, 6:9] * np.array([1.0, 1.0, 1.0])
    anny = np.stack([offsets[:, 0], -offsets[:, 2], offsets[:, 1]], 1)
    x, y, z = scales["x"], scales["y"], scales["z"]
    return Fit(
        table[:, :3].astype(np.int64),
        table[:, 3:6].astype(np.float32),
        anny.astype(np.float32),
        (x, z, y),
        np.array(deleted, np.int64),
    )


def _fit_row(fields: list[str]) -> list[float]:
    if len(fields) < 9:
        return [float(fields[0])] * 3 + [1.0, 0.0, 0.0] + [0.0] * 3
    return [float(x) for x in fields[:9]]


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _ranges(fields: list[str]) -> list[int]:
    """`3 - 5 9` names vertices 3, 4, 5 and 9."""
    out: list[int] = []
    i = 0
    while i < len(fields):
        if not _is_number(fields[i]):
            return out
        first = int(fields[i])
        if i + 2 < len(fields) and fields[i + 1] == "-":
            out += range(first, int(fields[i + 2]) + 1)
            i += 3
        else:
            out.append(first)
            i += 1
    return out


def blend_weights(
    vertices: Integers, shares: Array, bones: Integers, weights: Array
) -> tuple[Integers, Array]:
    """Skinning (n, 4) of points that follow three body vertices each with the given shares."""
    count = int(bones.max()) + 1
    rows = np.arange(len(vertices))
    dense = np.zeros((len(vertices), count), np.float32)
    share = np.clip(shares, 0.0, None) + 1e-6
    for k in range(vertices.shape[1]):
        for j in range(bones.shape[1]):
            body = vertices[:, k]
            np.add.at(dense, (rows, bones[body, j]), share[:, k] * weights[body, j])
    top = np.argsort(-dense, axis=1)[:, :4]
    value = np.take_along_axis(dense, top, 1)
    value /= value.sum(1, keepdims=True) + 1e-12
    return top.astype(np.int16), value.astype(np.float32)
