# SPDX-License-Identifier: Apache-2.0
"""How well people keep their ids, and what the filter makes of their poses, on rendered videos.

    python -m benchmarks.tracking

The shipped model answers every picture of `training/testsets/walks` (people who walk, cross, hide
each other and turn their heads; made by `training.synthetic.walks` with people, clothes and light
that were never trained on), and the node's tracker follows what it says. Heads lower than 32 pixels
at the model's input or hardly visible need not be found. Predicted heads count as said, those
marked stale do not. A head looks at the robot if its true gaze passes the camera within 15 degrees
(`looking_angle`); a second area under the curve leaves out the heads between 15 and 20 degrees, of
whom the node itself, by its hysteresis, may say either. A column for all videos and for each number
of people; the last line is one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from benchmarks.tracking.score import Score, table
from benchmarks.tracking.videos import Video, read_videos
from hpe_vlm_ros.geometry import HeadShape
from hpe_vlm_ros.heads import HeadEstimate, seen_by
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.people.tracking import Settings
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.testsets import WALKS

Answers = list[list[HeadEstimate]]
LEAST = 32.0  # pixels of a head at the model's input: smaller ones need not be found


def answers_to(videos: list[Video], perceiver: HeadPerceiver) -> dict[str, Answers]:
    """What the model says of each picture."""
    with tqdm(total=sum(len(f.frames) for f in videos), unit="picture", file=sys.stderr) as bar:
        found: dict[str, Answers] = {}
        for video in videos:
            for frame in video.frames:
                found.setdefault(video.name, []).append(perceiver(frame.load()))
                bar.update()
    return found


def keep_answers(file: Path, answers: dict[str, Answers]) -> None:
    plain = {name: [[asdict(h) for h in heads] for heads in a] for name, a in answers.items()}
    file.write_text(json.dumps(plain, default=np.ndarray.tolist), encoding="utf-8")


def read_answers(file: Path) -> dict[str, Answers]:
    plain = json.loads(file.read_text(encoding="utf-8"))
    return {name: [[_estimate(h) for h in heads] for heads in a] for name, a in plain.items()}


def _estimate(fields: dict[str, Any]) -> HeadEstimate:
    """Lists are arrays, but for the box."""
    arrays = {k: np.array(v) if isinstance(v, list) else v for k, v in fields.items()}
    return HeadEstimate(**arrays | {"box": tuple(fields["box"])})


def play(
    video: Video,
    answers: Answers,
    shape: HeadShape | None,
    settings: Settings,
    every: int,
    scores: list[Score],
) -> None:
    """One video through the node's tracking; every nth frame, as if answers were slower."""
    tracked = People()
    tracked.tracker.settings = settings
    for score in scores:
        score.camera, score.shape = video.camera, shape
        score.seconds += video.seconds
    for frame, found in list(zip(video.frames, answers, strict=True))[::every]:
        rgb = frame.load() if settings.colour_weight else None
        view = View(video.size, video.camera, shape, rgb=rgb)
        started = time.thread_time()
        heads = seen_by(video.camera, found, video.size)
        people = tracked.see(int((1 + frame.time) * 1e9), heads, view)
        taken = 1000 * (time.thread_time() - started)
        for score in scores:
            score.add(ms=taken)
            score.frame(frame.heads, heads, people)


def score_videos(
    videos: list[Video],
    answers: dict[str, Answers],
    shape: HeadShape | None,
    settings: Settings,
    every: int = 1,
) -> dict[str, dict[str, Any]]:
    """Summaries by column: all, and each number of people."""
    scores: dict[str, Score] = {"all": Score()}
    for video in sorted(videos, key=lambda f: f.people):
        number = scores.setdefault(f"{video.people}", Score())
        # Names are those of one video: ids and people of two videos are different ones.
        for score in (scores["all"], number):
            score.identities.begin(video.name)
        play(video, answers[video.name], shape, settings, every, [scores["all"], number])
    return {name: score.summary() for name, score in scores.items()}


def main(
    videos: Path = WALKS,
    model: Path | None = None,
    every: int = 1,
    answers: Path | None = None,
    settings: Settings = Settings(),  # noqa: B008
) -> None:
    """Play the videos and print the table.

    Args:
        videos: folder made by `training.synthetic.walks`.
        model: model folder; the embedded default if left out.
        every: take every nth picture: 2 halves the rate of answers.
        answers: file in which the model's answers are kept, to try settings without the model.
        settings: the tracker's.
    """
    perceiver = HeadPerceiver.load(model, "cpu")
    played = read_videos(videos, LEAST / perceiver.input_size)
    if answers is not None and answers.exists():
        found = read_answers(answers)
    else:
        found = answers_to(played, perceiver)
        if answers is not None:
            keep_answers(answers, found)
    columns = score_videos(played, found, perceiver.head_shape, settings, every)
    rate = (len(played[0].frames) - 1) / played[0].seconds / every
    print(f"{perceiver.model_id}, {len(played)} videos, {rate:.1f} answers a second")
    print(table("people in the video", columns))
    print(json.dumps({"model": perceiver.model_id, "rate": round(rate, 2), "films": columns}))


if __name__ == "__main__":
    auto_cli(main, as_positional=False, prog="python -m benchmarks.tracking")
