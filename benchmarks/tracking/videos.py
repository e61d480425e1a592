# SPDX-License-Identifier: Apache-2.0
"""Reader for rendered videos of walking people: a folder made by `training.synthetic.walks`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking.score import TrueHead
from hpe_vlm_ros.geometry import CameraIntrinsics, rotation_vector
from hpe_vlm_ros.people.attention import gaze_angle

LEAST_VISIBLE = 0.25  # share of a head that must show for it to be asked for


@dataclass(frozen=True, eq=False)
class Frame:
    """time: seconds since the video's start. heads: all of which some pixel is in the image."""

    image: Path
    time: float
    heads: list[TrueHead]

    def load(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return np.asarray(cv2.cvtColor(cv2.imread(str(self.image)), cv2.COLOR_BGR2RGB), np.uint8)


@dataclass(frozen=True, eq=False)
class Video:
    name: str
    size: tuple[int, int]
    camera: CameraIntrinsics
    frames: list[Frame]

    @property
    def people(self) -> int:
        return len({head.name for frame in self.frames for head in frame.heads})

    @property
    def seconds(self) -> float:
        return self.frames[-1].time - self.frames[0].time


def read_videos(folder: Path, least: float) -> list[Video]:
    """All videos of a folder; FileNotFoundError where there are none.

    Heads lower than `least` share of the picture's height, and those that hardly show, need not be
    found.
    """
    files = sorted(folder.glob("labels_*.jsonl"))
    if not files:
        raise FileNotFoundError(
            f"{folder}: no labels_*.jsonl; render videos with "
            f"`python -m training.synthetic.walks {folder}`"
        )
    return [_video(file, least) for file in files]


def _video(file: Path, least: float) -> Video:
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    size = records[0]["width"], records[0]["height"]
    focal = float(records[0]["focal"])
    turning = _turning(records)
    frames = [
        Frame(
            file.parent / record["image"],
            record["time"],
            [
                _head(head, turning.get((number, head["person"])), least * size[1])
                for head in record["heads"]
            ],
        )
        for number, record in enumerate(records)
    ]
    camera = CameraIntrinsics(focal, focal, size[0] / 2, size[1] / 2)
    return Video(file.stem.removeprefix("labels_"), size, camera, frames)


def _head(head: dict[str, Any], turning: NDArray[np.float64] | None, least: float) -> TrueHead:
    x0, y0, x1, y1 = head["box"]
    rotation, sellion = np.array(head["rotation"]), np.array(head["position"])
    return TrueHead(
        head["person"],
        (x0, y0, x1, y1),
        rotation,
        sellion,
        gaze_angle(rotation, sellion, np.zeros(3)),
        np.full(3, np.nan) if turning is None else turning,
        y1 - y0 >= least and head["visible"] >= LEAST_VISIBLE,
    )


def _turning(records: list[dict[str, Any]]) -> dict[tuple[int, str], NDArray[np.float64]]:
    """Angular velocity (3,) rad/s by frame and person, from the frames before and after."""
    by_frame = [{h["person"]: np.array(h["rotation"]) for h in r["heads"]} for r in records]
    found = {}
    for number in range(1, len(records) - 1):
        before, after = by_frame[number - 1], by_frame[number + 1]
        seconds = records[number + 1]["time"] - records[number - 1]["time"]
        for person in before.keys() & after.keys():
            found[number, person] = rotation_vector(after[person] @ before[person].T) / seconds
    return found
