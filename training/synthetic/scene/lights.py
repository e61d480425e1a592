# SPDX-License-Identifier: Apache-2.0
"""Light: HDR panoramas (or a procedural sky) as spherical harmonics plus one key light.

Panoramas may be `.exr` files, or the `.js` modules with base64 EXR data of npm's `@pmndrs/assets`
(CC0). Directions: z up, the panorama's middle column looks along -y.
"""

from __future__ import annotations

import base64
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from .. import Array
from ..splits import usable

SOURCE_SIZE = (1024, 512)


@dataclass(frozen=True)
class Panorama:
    """`image` (H, W, 3) linear radiance, W = 2 H; `small`: the same in 64 x 128 pixels."""

    name: str
    image: Array
    small: Array


def panorama_of(name: str, image: Array) -> Panorama:
    """A panorama with its small copy."""
    return Panorama(name, image, cv2.resize(image, (128, 64), interpolation=cv2.INTER_AREA))


@dataclass(frozen=True)
class Light:
    """`sh` (9, 3) radiance coefficients; key light towards `direction` with irradiance / pi."""

    sh: Array
    direction: Array  # (3,) unit, towards the light
    colour: Array  # (3,)


def load_panoramas(folder: Path | None, split: str) -> list[Panorama]:
    """All panoramas of a folder (searched recursively) that belong to the split.

    None for `panoptic`, which has its own light.
    """
    if folder is None or split == "panoptic":
        return []
    paths = [path for path in folder.rglob("*.exr*") if path.name.endswith((".exr", ".exr.js"))]
    paths = sorted((path for path in paths if "matcap" not in path.parts), key=_in_order)
    names = [path.name.split(".")[0] for path in paths]
    chosen = [(paths[i], names[i]) for i in usable(names, split)]
    if not chosen:
        raise FileNotFoundError(f"{folder}: no .exr or .exr.js panoramas for split {split!r}")
    return [panorama_of(f"{path.parent.name}/{name}", read_panorama(path)) for path, name in chosen]


def _in_order(path: Path) -> tuple[bool, str]:
    """An order that holds wherever in the folder the files were unpacked: scenes draw by number."""
    return path.suffix == ".js", path.name


def read_panorama(path: Path) -> Array:
    """Read one equirectangular picture, at most 1024 x 512."""
    import OpenEXR

    with tempfile.TemporaryDirectory() as scratch:
        if path.suffix == ".js":
            found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
            if found is None:
                raise ValueError(f"{path}: no base64 data in it")
            plain = Path(scratch) / "panorama.exr"
            plain.write_bytes(base64.b64decode(found.group(1)))
            path = plain
        channels = OpenEXR.File(str(path)).channels()
        if "RGB" in channels or "RGBA" in channels:
            image = (channels.get("RGB") or channels["RGBA"]).pixels[..., :3]
        else:
            image = np.dstack([channels[c].pixels for c in "RGB"])
    image = np.ascontiguousarray(np.nan_to_num(image.astype(np.float32), posinf=6e4))
    if image.shape[1] > SOURCE_SIZE[0]:
        image = cv2.resize(image, SOURCE_SIZE, interpolation=cv2.INTER_AREA)
    return np.maximum(image, 0)


def procedural_panorama(rng: np.random.Generator, size: int = 64) -> Panorama:
    """Sky, horizon, ground and a few lamps or windows."""
    directions, _ = sphere(size)
    height = directions[..., 2:]
    sky, ground = rng.uniform(0.3, 1.2) * _tint(rng), rng.uniform(0.1, 0.5) * _tint(rng)
    image = np.where(height > 0, sky * (0.6 + 0.6 * height), ground * (1 + 0.3 * height))
    for _ in range(rng.integers(1, 5)):
        towards = rng.normal(size=3) + [0, 0, 0.8]
        towards /= np.linalg.norm(towards)
        spread = rng.uniform(0.05, 0.5)
        glow = np.exp((directions @ towards - 1) / spread**2)
        image = image + glow[..., None] * rng.uniform(0.5, 8.0) * _tint(rng)
    return panorama_of("procedural", image.astype(np.float32))


def _tint(rng: np.random.Generator) -> Array:
    warm = rng.normal(0, 0.12)
    return np.array([1 + warm, 1.0, 1 - warm])


def sphere(height: int) -> tuple[Array, Array]:
    """Directions (H, 2H, 3) and solid angles (H, 1) of an equirectangular grid."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = (np.arange(2 * height) + 0.5) / height * np.pi - np.pi
    sine = np.sin(polar)[:, None]
    directions = np.stack(
        [
            -np.sin(azimuth) * sine,
            -np.cos(azimuth) * sine,
            np.broadcast_to(np.cos(polar)[:, None], (height, 2 * height)),
        ],
        -1,
    )
    return directions.astype(np.float32), (sine * (np.pi / height) ** 2).astype(np.float32)


def light_of(small: Array, turn: float = 0.0) -> Light:
    """Split a panorama (64, 128, 3) into nine SH coefficients and its dominant direction.

    `turn` rotates it about the vertical axis by a share (0..1) of a full turn.
    """
    small = np.roll(small, int(turn * 128), axis=1)
    directions, solid = SPHERE
    grey = small.mean(2)
    limit = max(float(np.quantile(grey, 0.985)), 2.5 * float(grey.mean()), 1e-4)
    scale = np.minimum(1.0, limit / np.maximum(grey, 1e-6))[..., None]
    soft = small * scale
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    basis = np.stack(
        [
            np.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        -1,
    )
    sh = np.einsum("hwk,hwc,hw->kc", basis, soft, np.broadcast_to(solid, x.shape))
    extra = (small - soft) * solid[..., None]
    power = extra.mean(2)
    towards = (directions * power[..., None]).sum((0, 1))
    length = float(np.linalg.norm(towards))
    direction = towards / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])
    return Light(
        sh.astype(np.float32),
        direction.astype(np.float32),
        (extra.sum((0, 1)) / np.pi).astype(np.float32),
    )


SPHERE = sphere(64)


def exposed(light: Light, rng: np.random.Generator) -> tuple[Light, float]:
    """Scale a light so that skin comes out at a photograph's brightness; also its gain."""
    around = float(light.sh[0].mean()) * 0.282 + 1e-4
    key = float(light.colour.mean())
    limit = rng.uniform(0.2, 2.5) * around
    colour = light.colour * min(1.0, limit / max(key, 1e-6))
    gain = 0.85 * float(np.exp(rng.normal(0, 0.3))) / (around + 0.4 * float(colour.mean()))
    hue = light.sh[0] / around / 3.5449 * 3.5449 * 0.282
    neutral = (hue / hue.mean()) ** np.float32(-0.6)  # the camera's white balance, incomplete
    return (
        replace(
            light,
            sh=(light.sh * gain * neutral).astype(np.float32),
            colour=(colour * gain * neutral).astype(np.float32),
        ),
        gain,
    )


def exposure(background: Array, gain: float, rng: np.random.Generator) -> np.float32:
    """What to multiply a background by, so that it fits people under a light of this gain."""
    middle = max(float(np.median(background[::4, ::4])), 0.02)
    level = float(np.exp(rng.normal(0, 0.35))) * 0.3 / middle
    return np.float32(min(max(level, 0.35 * gain), 2.5 * gain))
