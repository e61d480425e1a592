# SPDX-License-Identifier: Apache-2.0
"""The pictures that the demo brings along, and a camera that moves over them.

Photographs, each from an installed Python package, none of them downloaded or kept here:
  astronaut   Eileen Collins, NASA; public domain (scikit-image)
  cameraman   by Lav Varshney; CC0 (scikit-image)
  admiral     Grace Hopper, US Navy; public domain (Matplotlib, where that is installed)
  cat         Chelsea, by Stefan van der Walt; CC0 (scikit-image): no head to be found here
Rendered scenes come from the test set, where that is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from demo.frames import Frame, Rgb, from_pixels
from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.pictures import read_picture

WIDTH, HEIGHT, FPS = 640, 480, 10
PLASTER, EDGE, GAP = (203, 198, 188), (245, 244, 240), 80
CLIPS = 3
SCENES = Path(__file__).parents[1] / "training" / "testsets" / "scenes"


@dataclass(frozen=True)
class View:
    """Where the camera looks: the middle and the width of what it sees in pixels of the picture,
    and how far the camera is turned clockwise about its axis, in degrees."""

    x: float
    y: float
    width: float
    turn: float = 0.0


@dataclass(frozen=True)
class Clip:
    """A camera that moves from view to view over a picture.

    focal: of the camera that took the picture, in pixels of the picture.
    centre: its principal point in the picture; None where there is no such point: the moving
        camera then has its own in the middle of what it sees.
    """

    name: str
    picture: Rgb
    focal: float
    centre: tuple[float, float] | None
    views: Sequence[View]
    frames: int


def clips() -> list[Clip]:
    """All that the demo shows, photographs first."""
    return [*photograph_clips(), *scene_clips()]


def frames(shown: Sequence[Clip], start: int) -> Iterator[Frame]:
    """The clips as a camera sends them, from the time `start` in nanoseconds on, at FPS.

    Stamps jitter by some milliseconds as those of real cameras do.
    """
    jitter = np.random.default_rng(0)
    number = 0
    for clip in shown:
        for share in np.linspace(0.0, 1.0, clip.frames):
            pixels, camera = look(clip, _between(clip.views, float(share)))
            stamp = start + int(number * 1e9 / FPS + jitter.uniform(-3e6, 3e6))
            yield from_pixels(pixels, stamp, camera, clip.name)
            number += 1


def look(clip: Clip, view: View) -> tuple[Rgb, CameraIntrinsics]:
    """What the camera sees, HEIGHT x WIDTH, and its intrinsics.

    A camera's picture, scaled, moved and turned about the optical axis, is again the picture of a
    camera, and the intrinsics of that one follow exactly.
    """
    picture = clip.picture
    scale = WIDTH / view.width
    shrink = min(1.0, scale)
    small = picture
    if shrink < 1:
        small = np.asarray(
            cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        )
    ratio = np.array([small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]])
    # OpenCV's angle is positive anticlockwise; the scene turns against the camera.
    turn = np.asarray(cv2.getRotationMatrix2D((view.x, view.y), view.turn, scale), np.float64)
    turn[:, 2] += (WIDTH / 2 - view.x, HEIGHT / 2 - view.y)
    middle = turn @ (*(clip.centre or (view.x, view.y)), 1.0)
    turn[:, :2] /= ratio
    shown = cv2.warpAffine(
        small, turn, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    focal = clip.focal * scale
    camera = CameraIntrinsics(focal, focal, float(middle[0]), float(middle[1]))
    return np.asarray(shown, np.uint8), camera


def photographs() -> dict[str, Rgb]:
    """The photographs by name, uint8 (H, W, 3) RGB."""
    from skimage import data

    found = {
        "astronaut": data.astronaut(),
        "cameraman": np.repeat(data.camera()[..., None], 3, axis=2),
        "cat": data.chelsea(),
    }
    admiral = _admiral()
    if admiral is not None:
        found["admiral"] = admiral
    return found


def hang(pictures: dict[str, Rgb]) -> tuple[Rgb, dict[str, tuple[int, int, int, int]]]:
    """A wall with the pictures side by side, and where each one hangs: x, y, width, height."""
    height = max(p.shape[0] for p in pictures.values()) + 3 * GAP
    width = sum(p.shape[1] + GAP for p in pictures.values()) + GAP
    wall = np.empty((height, width, 3), np.uint8)
    wall[:] = PLASTER
    places, x = {}, GAP
    for name, picture in pictures.items():
        high, wide, _ = picture.shape
        y = (height - high) // 2
        wall[y - 12 : y + high + 12, x - 12 : x + wide + 12] = EDGE
        wall[y : y + high, x : x + wide] = picture
        places[name] = (x, y, wide, high)
        x += wide + GAP
    return wall, places


def photograph_clips() -> list[Clip]:
    """One clip for each person, and one along the wall on which all of them hang."""
    pictures = photographs()
    wall, places = hang(pictures)
    focal = 1024.0  # assumed for all: a portrait lens, twice as long as the pictures are wide

    def portrait(name: str, *views: View) -> Clip:
        x, y, wide, high = places[name]
        moved = [View(x + v.x, y + v.y, v.width, v.turn) for v in views]
        return Clip(name, wall, focal, (x + wide / 2, y + high / 2), moved, 22)

    shown = [
        portrait("astronaut", View(256, 250, 700, -4), View(220, 130, 330, 12)),
        portrait("cameraman", View(230, 150, 400, -8), View(280, 230, 640, 5)),
    ]
    if "admiral" in places:
        shown.append(portrait("admiral", View(256, 300, 760, 8), View(262, 175, 460, -10)))
    y, end = wall.shape[0] / 2, wall.shape[1]
    along = [View(500, y, 1000), View(end / 2, y, 1150, 3), View(end - 480, y, 960, -3)]
    return [*shown, Clip("wall", wall, focal, None, along, 30)]


def scene_clips(folder: Path = SCENES, count: int = CLIPS) -> list[Clip]:
    """Slow zooms into rendered scenes with many heads, all to be seen well; none without the test
    set."""
    files = sorted(folder.glob("labels*.jsonl"))
    labels = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    labels.sort(key=lambda label: label["image"])
    best = sorted(labels, key=_clear_heads, reverse=True)[: 4 * count : 4]
    shown = []
    for number, label in enumerate(best, start=1):
        x, y = label["width"] / 2, label["height"] / 2
        whole = max(label["width"], label["height"] * WIDTH / HEIGHT)
        views = [View(x, y, whole), View(x, y, 0.88 * whole, 4.0)]
        picture = read_picture(folder / label["image"])
        shown.append(Clip(f"scene {number}", picture, label["focal"], (x, y), views, 10))
    return shown


def _clear_heads(label: dict[str, Any]) -> int:
    """How many heads are whole, neither tiny nor hidden, less those that are not."""
    clear = 0
    for head in label["heads"]:
        x0, y0, x1, y1 = head["box"]
        whole = x0 > 0 and y0 > 0 and x1 < label["width"] and y1 < label["height"]
        clear += bool(whole and head["visible"] > 0.8 and 0.06 < (x1 - x0) / label["width"] < 0.4)
    return 2 * clear - len(label["heads"])


def _between(views: Sequence[View], share: float) -> View:
    """The view after this share of the way, 0..1; the camera starts and stops gently."""
    place = share * share * (3 - 2 * share) * (len(views) - 1)
    index = min(int(place), len(views) - 2)
    part = place - index
    a, b = views[index], views[index + 1]

    def mix(first: float, last: float) -> float:
        return first + (last - first) * part

    return View(mix(a.x, b.x), mix(a.y, b.y), mix(a.width, b.width), mix(a.turn, b.turn))


def _admiral() -> Rgb | None:
    spec = find_spec("matplotlib")  # only for the picture among its sample data
    for place in (spec.submodule_search_locations or []) if spec else []:
        file = Path(place) / "mpl-data" / "sample_data" / "grace_hopper.jpg"
        if file.is_file():
            return read_picture(file)
    return None
