# SPDX-License-Identifier: Apache-2.0
"""Draws the animation of the README: what the embedded model and the tracker say of two cameras.

    python docs/figures/animation.py   (in the environment of scripts/env.sh; writes demo.webp)

Left: the demo's camera, panning over three photographs: Eileen Collins (NASA, public domain), the
cameraman (Lav Varshney, CC0) and Grace Hopper (US Navy, public domain). They are sample data of
scikit-image and Matplotlib. Right: rendered people who walk, from the tracking test set. Nothing is
selected by hand: the boxes, axes and yaw angles are the answers to every image shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.photographs import Clip, frames, hang
from demo.photographs import View as CameraView
from demo.photographs import photographs as pictures
from hpe_vlm_ros.drawing import draw_heads
from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.images import to_rgb
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.testsets import WALKS

Rgb = NDArray[np.uint8]
FILE = Path(__file__).with_name("demo.webp")
FILM, FIRST, COUNT, FPS = 5, 28, 44, 8
SIZE, PANEL = (640, 480), (360, 270)
QUALITY = 40


def photographs() -> Iterator[tuple[Rgb, CameraIntrinsics]]:
    """A pan along the photographs of people: COUNT images, SIZE, with their intrinsics."""
    wall, _ = hang({name: photograph for name, photograph in pictures().items() if name != "cat"})
    y, end = wall.shape[0] / 2, wall.shape[1]
    along = [
        CameraView(480, y, 960),
        CameraView(end / 2, y, 1100, 3),
        CameraView(end - 480, y, 900),
    ]
    for frame in frames([Clip("", wall, 1024.0, None, along, COUNT)], start=10**9):
        k = frame.info.k
        yield to_rgb(frame.image), CameraIntrinsics(k[0], k[4], k[2], k[5])


def film() -> Iterator[tuple[Rgb, CameraIntrinsics]]:
    """COUNT images of one rendered film, enlarged to SIZE, with their intrinsics."""
    lines = (WALKS / f"labels_{FILM}.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines[FIRST : FIRST + COUNT]:
        record = json.loads(line)
        image = Image.open(WALKS / record["image"]).convert("RGB").resize(SIZE, Image.LANCZOS)
        focal = record["focal"] * SIZE[0] / record["width"]
        yield np.asarray(image), CameraIntrinsics(focal, focal, SIZE[0] / 2, SIZE[1] / 2)


def panels(
    perceiver: HeadPerceiver, source: Iterator[tuple[Rgb, CameraIntrinsics]]
) -> Iterator[Image.Image]:
    """Each image with the tracked heads drawn over it, shrunk to PANEL."""
    people = People()
    for number, (rgb, camera) in enumerate(source):
        view = View(SIZE, camera, perceiver.head_shape)
        tracked = people.see(int((1 + number / FPS) * 1e9), perceiver(rgb), view)
        drawn = draw_heads(rgb, [person for person in tracked if person.posed], scale=1.3)
        yield Image.fromarray(drawn).resize(PANEL, Image.LANCZOS)


def main() -> None:
    perceiver = HeadPerceiver.load(device="cpu")
    pairs = zip(panels(perceiver, photographs()), panels(perceiver, film()), strict=True)
    images = [Image.fromarray(np.hstack([np.asarray(side) for side in pair])) for pair in pairs]
    images[0].save(
        FILE,
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / FPS),
        loop=0,
        quality=QUALITY,
        method=6,
        minimize_size=True,
    )
    print(f"{FILE}: {len(images)} images, {FILE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
