# SPDX-License-Identifier: Apache-2.0
"""Draws the nodding person of docs/gestures.md: what the node tells of a rendered video.

    python docs/figures/nod.py VIDEO.mp4 --assets ASSETS   (in the environment of scripts/env.sh)

VIDEO.mp4 is rendered if it is not there, as by `training.synthetic.films`: one person
who nods and then shakes the head. Box and axes are the model's answers, the word is the event
while it goes on, the curve is the pitch in the window that the question is made of. Writes nod.gif.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hpe_vlm_ros.drawing import draw_heads
from hpe_vlm_ros.people.gestures.asking import judge_of
from hpe_vlm_ros.people.gestures.reader import GestureReader
from hpe_vlm_ros.people.gestures.window import PoseWindow
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.evaluation.senses import film_pictures
from training.synthetic import films, render
from training.synthetic.gestures import NOD, SHAKE, Gesture, Script, random_unrest

HERE = Path(__file__).parent
FILM, SECONDS, RATE = 2, 8.0, 10.0  # of the seeds of this number, with one person
FIRST = 26  # picture that is shown first: nothing is said before
CURVE, SIDE, COLOURS = 50, 200, 24  # pixels below the picture, of its sides, and colours
EVERY, SHRUNK = 2, 0.75  # picture is shown, and how much smaller
Picture = NDArray[np.uint8]


class Nodding(films.FilmStage):
    """One person close by who nods and then shakes the head."""

    def _walker(self, rng: np.random.Generator, half_view: float) -> films.Performer:
        gestures = (
            Gesture(NOD, 2.8, 4.6, -14.0, cycles=2.5),
            Gesture(SHAKE, 5.9, 7.6, 18.0, cycles=2.5),
        )
        calm = random_unrest(rng) * (0.4, 1, 1)
        made = films.Performer(rng, half_view, Script(gestures, calm), 0.0)
        made.stands = True
        made.place = made._goal = np.array([0.0, 1.05])
        made._speed = made.pace = 0.0
        made.body = made.yaw = 8.0
        return made


def shown(film: Path) -> Iterator[Picture]:
    """The pictures with what is told, and the curve below."""
    perceiver = HeadPerceiver.load()
    people, window = People(), PoseWindow()
    people.gestures = GestureReader(judge_of(perceiver))
    for picture, label in film_pictures(film):
        stamp = round(label["time"] * 1e9) + 10**9
        size = picture.shape[1], picture.shape[0]
        persons = people.see(stamp, list(perceiver(picture)), View(size))
        canvas = draw_heads(picture, [p for p in persons if p.posed])
        curve = np.full((CURVE, SIDE, 3), 255, np.uint8)
        words = ""
        if persons:
            (person, *_) = persons
            x, y = int(person.box[0] + person.box[2]) // 2, int(person.box[1] + person.box[3]) // 2
            observed = person.head.observed
            if observed is not None and observed.rotation is not None:
                window.add(stamp, observed.rotation, observed.box)
            words = " ".join(g.name for g in person.gestures if not g.ended)
            if (samples := window.samples()) is not None:
                along = np.linspace(60, SIDE - 6, len(samples))
                up = CURVE / 2 - np.clip(samples[:, 1], -14, 14) * 1.6
                points = np.stack([along, up], 1).round().astype(np.int32)
                cv2.polylines(curve, [points], False, (30, 90, 200), 2, cv2.LINE_AA)
            left = int(np.clip(x - SIDE // 2, 0, size[0] - SIDE))
            top = int(np.clip(y - SIDE // 2, 0, size[1] - SIDE))
            canvas = canvas[top : top + SIDE, left : left + SIDE].copy()
        else:
            canvas = canvas[:SIDE, :SIDE].copy()
        for width, colour in ((4, (0, 0, 0)), (1, (255, 230, 60))):
            cv2.putText(canvas, words, (8, 24), 0, 0.8, colour, width, cv2.LINE_AA)
        cv2.putText(curve, "pitch", (6, 30), 0, 0.45, (60, 60, 60), 1, cv2.LINE_AA)
        yield np.concatenate([canvas, curve])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    render.add_world_options(parser)
    args = parser.parse_args()
    film: Path = args.out
    if not film.exists():
        world, canvas = render.make_world(args)
        stage = Nodding(world, canvas, FILM, SECONDS, 0.0)
        films.write(stage, film.parent, film.stem, round(SECONDS * RATE), RATE)
    frames = [Image.fromarray(frame) for frame in shown(film)][FIRST::EVERY]
    sides = [round(SHRUNK * side) for side in frames[0].size]
    small = [frame.resize(sides, Image.Resampling.BOX).quantize(COLOURS) for frame in frames]
    lasting = round(1000 * EVERY / RATE)
    small[0].save(
        HERE / "nod.gif", save_all=True, append_images=small[1:], duration=lasting, loop=0
    )


if __name__ == "__main__":
    main()
