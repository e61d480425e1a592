# SPDX-License-Identifier: Apache-2.0
"""Render films of people before a robot who nod, shake, turn or tilt their heads.

    python -m training.synthetic.films OUT --films 24 --seed 2026 --split test \\
        --assets ASSETS --panoramas PANORAMAS

As `walks`, with a script (`gestures`) for every head. OUT/film_0.mp4 is a film, film_0.jsonl its
labels, a line a frame; each head also has its person and its gesture. --busy 0 gives films in
which no head does anything of the kind.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hpe_vlm_ros.tasks.gesture import LABELS

from ..data.json_lines import write_lines
from . import render
from .drawing.compose import Canvas
from .gestures import Script, random_script
from .people.walkers import Walker
from .scene.world import World
from .walks import PEOPLE, Stage, add_video_options

CODEC = "mp4v"
STANDING = 0.7  # share of people who stand
NEAR, FAR = 1.0, 2.4  # metres
KEPT = ("box", "rotation", "visible")  # of `scenes.head_label`


class Performer(Walker):
    """A walker, or somebody who stands, with a script for the head."""

    def __init__(
        self, rng: np.random.Generator, half_view: float, script: Script, side: float
    ) -> None:
        """side: where in the picture who stands does so, -1 (left border) to 1."""
        super().__init__(rng, half_view)
        self.script = script
        self.stands = rng.random() < STANDING
        if self.stands:
            depth = rng.uniform(NEAR, FAR)
            self.place = np.array([side * half_view * depth, depth])
            self.body = self._heading(-self.place) + rng.normal(0, 28)
            self._goal, self._speed = self.place, 0.0
        self.own = np.zeros(3)  # what the script adds to yaw, pitch and roll
        self.yaw = self.body
        self._time = 0.0

    def step(self, time: float, dt: float, others: Sequence[Walker]) -> None:
        """As a walker's, from `time` (s) on for `dt`; the script's angles are added to the walker's
        own."""
        self.yaw, self.pitch, self.roll = np.array([self.yaw, self.pitch, self.roll]) - self.own
        if not self.stands:
            super().step(time, dt, list(others))
        self._time = time + dt
        yaw, self.own[1], self.own[2] = self.script.angles(np.array([self._time]))[0]
        self.own[0] = -yaw  # a walker's yaw is to the own left
        self.yaw, self.pitch, self.roll = np.array([self.yaw, self.pitch, self.roll]) + self.own

    def _wanted(self) -> float:
        return self.body if self.stands else super()._wanted()

    def gesture(self) -> int:
        """What the head does now: an index in `tasks.gesture.LABELS`."""
        return int(self.script.labels(np.array([self._time]))[0])


class FilmStage(Stage):
    """As a walk's, with performers and random numbers of its own."""

    stream = 76

    def __init__(self, world: World, canvas: Canvas, film: int, seconds: float, busy: float):
        self._seconds, self._busy, self._numbers = seconds, busy, itertools.count()
        super().__init__(world, canvas, film)

    def _walker(self, rng: np.random.Generator, half_view: float) -> Walker:
        count, number = PEOPLE[self.walk % len(PEOPLE)], next(self._numbers)
        side = 0.85 * (2 * (number + rng.uniform(0.2, 0.8)) / count - 1)
        return Performer(rng, half_view, random_script(rng, self._seconds, self._busy), side)

    def label(self, label: dict[str, Any]) -> dict[str, Any]:
        """Of a frame's label what films keep, with everybody's gesture."""
        heads = []
        for head in label["heads"]:
            performer = self.walkers[int(head["person"][1:])]
            assert isinstance(performer, Performer)
            kept = {key: head[key] for key in KEPT}
            heads.append({"person": head["person"], "gesture": LABELS[performer.gesture()], **kept})
        return {"frame": label["frame"], "time": label["time"], "heads": heads}


def write(stage: FilmStage, out: Path, name: str, frames: int, rate: float) -> None:
    """One film and its labels, the latter last."""
    size = stage.canvas.width, stage.canvas.height
    video = cv2.VideoWriter(str(out / f"{name}.mp4"), cv2.VideoWriter.fourcc(*CODEC), rate, size)
    lines = []
    for picture, label in stage.frames(frames, rate):
        video.write(np.ascontiguousarray(picture[..., ::-1]))
        lines.append(stage.label(label))
    video.release()
    write_lines(out / f"{name}.jsonl", lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_video_options(parser, rate=10.0)
    parser.add_argument("--films", type=int, default=24, help="(%(default)s)")
    parser.add_argument(
        "--busy", type=float, default=1.0, help="how often heads move (%(default)s)"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Renders films that are not there yet: a .jsonl of labels, written last, says that one is."""
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    world, canvas = render.make_world(args)
    for number in range(args.first, args.first + args.films):
        name = f"film_{number}"
        if not (args.out / f"{name}.jsonl").exists():
            stage = FilmStage(world, canvas, number, args.frames / args.rate, args.busy)
            write(stage, args.out, name, args.frames, args.rate)


if __name__ == "__main__":
    main()
