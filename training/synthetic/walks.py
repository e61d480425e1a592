# SPDX-License-Identifier: Apache-2.0
"""Render short videos of people who walk, cross, hide each other and turn their heads.

    python -m training.synthetic.walks OUT --walks 6 --seed 2026 --split test \\
        --assets ASSETS --panoramas PANORAMAS

Camera, light and background stand still over a walk; who is who is known in every frame. OUT holds
pictures and labels as `render` writes them (ASSETS and PANORAMAS as there); each line also has
walk, frame and time (seconds), and each head its person (p0, p1, ...). Everything depends on seed,
split and the walk's number alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data.json_lines import write_lines
from . import Integers, render
from .drawing.compose import Canvas
from .people.dressing import person_colours
from .people.posing import forward_kinematics
from .people.walkers import Walker, walking_pose
from .scene.backgrounds import panorama_view
from .scene.camera import Camera, develop, tilted
from .scene.figures import HEAD_MIDDLE, Drawn, Figure, draw_person, head_label
from .scene.lights import exposed, exposure, light_of
from .scene.sampling import random_panorama, random_room
from .scene.world import World
from .shards import write_picture
from .splits import number_of

PEOPLE = (2, 3, 1, 3, 2, 4)  # in the walks, in turn
FINER = 4  # steps of motion between two frames
QUALITY = 78  # of the JPEG pictures


class Stage:
    """What stands still during a walk, and who takes part."""

    stream = 75  # of random numbers

    def __init__(self, world: World, canvas: Canvas, walk: int) -> None:
        self.world, self.canvas, self.walk = world, canvas, walk
        self.seeds = [world.seed, number_of(world.split), self.stream, walk]
        rng = np.random.default_rng(self.seeds)
        self.camera = _robot_camera(canvas.width, canvas.height, rng)
        panorama, turn = random_panorama(world, rng), rng.random()
        inside = walk % 2 == 0 or panorama.name == "procedural"
        background = (
            random_room(world, self.camera, rng)
            if inside
            else panorama_view(panorama.image, self.camera, turn)
        )
        self.light, gain = exposed(light_of(panorama.small, turn), rng)
        self.background = background * exposure(background, gain, rng)
        count = PEOPLE[walk % len(PEOPLE)]
        half_view = self.camera.width / 2 / self.camera.focal
        self.walkers = [self._walker(rng, half_view) for _ in range(count)]
        chosen = rng.choice(world.identities, count, replace=False)
        self.people = [world.person(int(i)) for i in chosen]
        self.colours = [person_colours(person, world.texture_means, rng) for person in self.people]
        self.rng = rng

    def _walker(self, rng: np.random.Generator, half_view: float) -> Walker:
        return Walker(rng, half_view)

    def frames(self, count: int, rate: float) -> Iterator[tuple[Integers, dict[str, Any]]]:
        """Pictures (H, W, 3) uint8 RGB and their labels."""
        for frame in range(count):
            for k in range(FINER):
                for walker in self.walkers:
                    walker.step((frame + k / FINER) / rate, 1 / rate / FINER, self.walkers)
            yield self._frame(frame, frame / rate)

    def _frame(self, frame: int, time: float) -> tuple[Integers, dict[str, Any]]:
        self.canvas.clear()
        drawn = [self._draw(number) for number in range(len(self.people))]
        linear = self.canvas.over(self.background)
        picture = develop(linear, np.random.default_rng([*self.seeds, 1]))  # one camera for all
        picture = _grainy(picture, np.random.default_rng([*self.seeds, 2, frame]))
        found = [head_label(picture, self.canvas, self.camera, one) for one in drawn]
        label = {
            "width": self.canvas.width,
            "height": self.canvas.height,
            "focal": round(self.camera.focal, 3),
            "walk": self.walk,
            "frame": frame,
            "time": round(time, 4),
            "heads": [{"person": f"p{n}", **head} for n, head in enumerate(found) if head],
        }
        return picture, label

    def _draw(self, number: int) -> Drawn:
        person, walker = self.people[number], self.walkers[number]
        rig = self.world.rig
        linear, shift = forward_kinematics(
            rig.parents, person.joints, walking_pose(rig, person.joints, walker)
        )
        feet = float(person.rest[:, 2].min())
        shift = shift + np.array([*walker.place, -feet], np.float32)
        head = rig.labels.index("head")
        middle = linear[head] @ (person.sellion + HEAD_MIDDLE) + shift[head]
        maps, tone = self.colours[number]
        figure = Figure(person, linear, shift, maps, tone, middle, 0.45)
        return draw_person(self.canvas, self.camera, self.light, rig, figure, 1 + 2 * number)


def _robot_camera(width: int, height: int, rng: np.random.Generator) -> Camera:
    """At a robot's height, level or looking up a little."""
    focal = width / 2 / np.tan(np.radians(rng.uniform(52, 62)) / 2)
    position = np.array([0.0, 0.0, rng.uniform(1.25, 1.55)])
    return Camera(
        width, height, float(focal), tilted(rng.uniform(0, 4), rng.normal(0, 1)), position
    )


def _grainy(picture: Integers, rng: np.random.Generator) -> Integers:
    """Noise that differs from frame to frame."""
    noisy = picture + rng.normal(0, 1.0, picture.shape).astype(np.float32)
    return np.clip(noisy + 0.5, 0, 255).astype(np.uint8)


def write(stage: Stage, out: Path, frames: int, rate: float) -> int:
    """Render one walk; the number of frames written."""
    lines = []
    videos = stage.frames(frames, rate)
    for picture, label in tqdm(videos, f"walk {stage.walk}", frames, file=sys.stderr):
        name = f"images/{stage.walk}_{label['frame']:03d}.jpg"
        write_picture(out / name, picture, QUALITY)
        lines.append({"image": name, **label})
    write_lines(out / f"labels_{stage.walk}.jsonl", lines)
    return len(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_video_options(parser, rate=8.0)
    parser.add_argument("--walks", type=int, default=len(PEOPLE), help="(%(default)s)")
    return parser.parse_args(arguments)


def add_video_options(parser: argparse.ArgumentParser, rate: float) -> None:
    """The options of the world, of how many frames a video has, and of where to go on."""
    render.add_world_options(parser)
    add = parser.add_argument
    add("--first", type=int, default=0, help="number of the first (%(default)s)")
    add("--frames", type=int, default=80, help="in each (%(default)s)")
    add("--rate", type=float, default=rate, help="frames a second (%(default)s)")


def main(arguments: list[str] | None = None) -> None:
    """Renders walks that are not there yet, each with its labels."""
    args = parse(arguments)
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    world, canvas = render.make_world(args)
    for walk in range(args.first, args.first + args.walks):
        if not (args.out / f"labels_{walk}.jsonl").exists():
            write(Stage(world, canvas, walk), args.out, args.frames, args.rate)


if __name__ == "__main__":
    main()
