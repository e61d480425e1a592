# SPDX-License-Identifier: Apache-2.0
"""Augmentation whose labels stay exact: a turned and zoomed virtual camera, mirror, camera faults.

Turning a pinhole camera about its centre by R maps the picture by the homography K' R K^-1 and the
head's rotation M to R M (Hartley & Zisserman, Multiple View Geometry, 8.4.2), so a warped scene is
as exactly labelled as the rendered one. A plain crop or in-plane shift would not be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from hpe_vlm_ros.geometry import mirror_rotation, rotation_from_vector
from hpe_vlm_ros.rays import camera_matrix

from . import keypoints
from .sample import Head, Sample

SMALL = 0.2  # of the picture's height: heads below may be shown closer
LITTLE = 0.8  # scale above which bilinear warping skips few pixels


@dataclass
class Augmentation:
    """Ranges. Angles in degrees, drawn uniformly from +-value; zoom and aspect as factors.

    `aspect` squeezes the picture sideways, as the model's square input does to wide cameras. A
    `turned_share` of the pictures rolls by up to `turned` in place of `roll`: few people tilt their
    heads far, and a model that never saw it reads tilted heads as too upright. A `closer_share` of
    the pictures with small heads, and of those with none, shows a part of the scene, enlarged by
    `closer` in place of `zoom`, as the second pass for small heads does (`hpe_vlm_ros.tiles`).
    """

    pan: float = 6.0
    tilt: float = 5.0
    roll: float = 8.0
    turned: float = 40.0
    turned_share: float = 0.25
    zoom: tuple[float, float] = (0.92, 1.35)
    closer_share: float = 0.0
    closer: tuple[float, float] = (1.3, 2.4)
    aspect: tuple[float, float] = (0.72, 1.1)
    aspect_share: float = 0.3
    mirror: bool = True
    colour: bool = True


def render_view(
    sample: Sample,
    image: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator | None = None,
    options: Augmentation | None = None,
) -> tuple[np.ndarray, list[Head]]:
    """The sample as the model sees it: image (H, W, 3) uint8 of `size` (height, width), and heads.

    Without `rng` the picture is only resized. With it a random virtual camera looks at the scene.
    """
    height, width = size
    if rng is None:
        view = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return view, resized_heads(sample, size)
    options = options or Augmentation()
    rotation, closer = _camera_rotation(rng, options), options.closer_share
    is_closer = closer > 0 and _may_be_closer(sample) and rng.random() < closer
    zoom = np.exp(rng.uniform(*np.log(options.closer if is_closer else options.zoom)))
    if is_closer:
        rotation = rotation @ _part_of(sample, zoom, rng)
    focal = sample.likely_focal * zoom
    image, scales = shrunk(image, zoom * width / sample.width, zoom * height / sample.height)
    aspect = rng.uniform(*options.aspect) if rng.random() < options.aspect_share else 1.0
    source = camera_matrix(*[sample.likely_focal] * 2, sample.width, sample.height)
    target = camera_matrix(
        focal * width / sample.width * aspect, focal * height / sample.height, width, height
    )
    homography = target @ rotation @ np.linalg.inv(source)
    fill = [int(v) for v in rng.integers(0, 256, 3)]
    view = cv2.warpPerspective(
        image,
        homography @ np.diag([1 / scales[0], 1 / scales[1], 1]),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderValue=fill,
    )
    heads = [warp_head(head, homography, rotation, width, height) for head in sample.heads]
    if options.mirror and rng.random() < 0.5:
        view, heads = mirrored(view, heads)
    if options.colour:
        view = camera_faults(view, rng)
    return view, heads


def resized_heads(sample: Sample, size: tuple[int, int]) -> list[Head]:
    """The heads of a sample in a picture of `size` (height, width) that shows all of it."""
    height, width = size
    scale = np.array([width / sample.width, height / sample.height] * 2)
    heads = []
    for head in sample.heads:
        appearance = head.appearance
        if appearance is not None:
            area = None if appearance.area is None else appearance.area * scale[0] * scale[1]
            appearance = replace(appearance, body=appearance.body * scale, area=area)
        points = None if head.keypoints is None else head.keypoints * [*scale[:2], 1]
        heads.append(replace(head, box=head.box * scale, appearance=appearance, keypoints=points))
    return heads


def _camera_rotation(rng: np.random.Generator, options: Augmentation) -> np.ndarray:
    """Rotation (3, 3) from the old optical frame to the turned camera's."""
    most = options.turned if rng.random() < options.turned_share else options.roll
    pan, tilt, roll = np.radians(rng.uniform(-1, 1, 3) * (options.pan, options.tilt, most))
    turns = [rotation_from_vector(axis) for axis in ([0, pan, 0], [tilt, 0, 0], [0, 0, roll])]
    return turns[2] @ turns[1] @ turns[0]


def _small_heads(sample: Sample) -> list[Head]:
    return [h for h in sample.heads if h.box[3] - h.box[1] < SMALL * sample.height]


def _may_be_closer(sample: Sample) -> bool:
    return not sample.heads or bool(_small_heads(sample))


def _part_of(sample: Sample, zoom: float, rng: np.random.Generator) -> np.ndarray:
    """Rotation (3, 3) that turns the camera to a part of the scene, which it shows `zoom` times as
    large: around one of the small heads, or anywhere where there is none."""
    sides = np.array([sample.width, sample.height])
    most = 0.5 * (1 - 1 / zoom) * sides  # pixels the view may move before it leaves the picture
    middle = rng.uniform(-most, most)
    if small := _small_heads(sample):
        box = small[rng.integers(len(small))].box
        near = rng.uniform(-0.35, 0.35, 2) * sides / zoom
        middle = np.clip((box[:2] + box[2:]) / 2 - sides / 2 + near, -most, most)
    pan, tilt = np.arctan(middle / sample.likely_focal) * (-1, 1)
    return rotation_from_vector([tilt, 0, 0]) @ rotation_from_vector([0, pan, 0])


def shrunk(image: np.ndarray, *scales: float) -> tuple[np.ndarray, tuple[float, ...]]:
    """The image as small as its (horizontal, vertical) scales say, every pixel a mean, and what was
    done; a side that shrinks little stays.

    Bilinear warping alone would skip pixels, and small heads would not look as they do in use.
    """
    done = tuple(scale if scale <= LITTLE else 1.0 for scale in scales)
    if done == (1.0, 1.0):
        return image, done
    return cv2.resize(image, None, fx=done[0], fy=done[1], interpolation=cv2.INTER_AREA), done


def warp_head(
    head: Head, homography: np.ndarray, rotation: np.ndarray, width: int, height: int
) -> Head:
    """Warp the ellipse inscribed in the box (heads are round, corners are background) and clip.

    homography: (3, 3), pixels to those of a picture of this width and height. rotation: (3, 3), by
    which the camera turns, for the head's own. Where the head is in space is not known afterwards.
    """
    box, inside = warp_box(head.box, homography, width, height)
    turned = None if head.rotation is None else rotation @ head.rotation
    appearance = head.appearance
    if appearance is not None:
        body = warp_box(appearance.body, homography, width, height)[0]
        appearance = replace(appearance, body=body, area=None)
    points = head.keypoints
    if points is not None:
        points = keypoints.warped(points, homography, width, height)
    return replace(
        head,
        box=box,
        rotation=turned,
        visible=head.visible * inside,
        position=None,
        appearance=appearance,
        keypoints=points,
    )


def warp_box(
    box: np.ndarray, homography: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, float]:
    """The clipped box of the warped inscribed ellipse, and the share of it inside."""
    x0, y0, x1, y1 = box
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    outline = np.stack(
        [(x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(turn), (y0 + y1) / 2 + (y1 - y0) / 2 * np.sin(turn)]
    )
    warped = homography @ np.vstack([outline, np.ones(len(turn))])
    points = (warped[:2] / warped[2]).T
    low, high = points.min(0), points.max(0)
    clipped_low = np.clip(low, 0, (width, height))
    clipped_high = np.clip(high, 0, (width, height))
    inside = np.prod(clipped_high - clipped_low) / max(np.prod(high - low), 1e-9)
    return np.concatenate([clipped_low, clipped_high]), float(inside)


def mirrored(view: np.ndarray, heads: list[Head]) -> tuple[np.ndarray, list[Head]]:
    """An RGB picture (H, W, 3) uint8 and its heads as a mirror shows them."""
    width, swapped = view.shape[1], []
    for head in heads:
        rotation = None if head.rotation is None else mirror_rotation(head.rotation)
        appearance = head.appearance
        if appearance is not None:
            appearance = replace(appearance, body=_mirror_box(appearance.body, width))
        points = None if head.keypoints is None else keypoints.mirrored(head.keypoints, width)
        swapped.append(
            replace(
                head,
                box=_mirror_box(head.box, width),
                rotation=rotation,
                position=None,
                appearance=appearance,
                keypoints=points,
            )
        )
    return np.ascontiguousarray(view[:, ::-1]), swapped


def _mirror_box(box: np.ndarray, width: int) -> np.ndarray:
    x0, y0, x1, y1 = box
    return np.array([width - x1, y0, width - x0, y1])


def camera_faults(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An RGB picture (H, W, 3) uint8 as another camera might give it: exposure, contrast, gamma and
    white balance as one table a channel; sometimes grey, blurred, noisy."""
    levels = np.arange(256) / 255.0
    gamma = np.exp(rng.uniform(-0.25, 0.25))
    contrast = np.exp(rng.uniform(-0.2, 0.2))
    gain = np.exp(rng.uniform(-0.2, 0.2)) * np.exp(rng.uniform(-0.1, 0.1, 3))
    table = ((levels**gamma)[:, None] - 0.5) * contrast + 0.5
    table = np.clip(table * gain * 255, 0, 255).astype(np.uint8)
    view = cv2.LUT(view, table[None])
    if rng.random() < 0.08:
        view = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.15:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.2:
        noise = np.empty(view.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, 0, rng.uniform(2, 10))
        view = cv2.add(view, noise, dtype=cv2.CV_8U)
    return view
