# SPDX-License-Identifier: Apache-2.0
"""Writes the frames of CMU Panoptic's HD videos that are used, where `read_panoptic` finds them.

python -m training.data.readers.panoptic_frames panoptic-toolbox/ --part val
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
from jsonargparse import auto_cli
from tqdm import tqdm

from .panoptic import SEQUENCES, Part, frame_step


def extract_frames(video: Path, folder: Path) -> tuple[int, int]:
    """Write the used frames of a video as <folder>/<folder's name>_<frame>.jpg.

    Frames that are there already are kept, so that an interrupted run can go on. Returns how many
    frames were written and how many of those the video announces it does not hold.
    Raises ValueError for a file that is no video.
    """
    capture = cv2.VideoCapture(str(video))
    count = round(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = capture.get(cv2.CAP_PROP_FPS)
    if not capture.isOpened() or count <= 0 or rate <= 0:
        raise ValueError(f"{video}: not a readable video; download it again")
    folder.mkdir(parents=True, exist_ok=True)
    step, written, frame = frame_step(count, rate), 0, 0
    while frame < count and capture.grab():
        path = folder / f"{folder.name}_{frame:08d}.jpg"
        if frame % step == 0 and not path.exists():
            found, image = capture.retrieve()
            if not found:
                break
            unfinished = path.with_suffix(".part.jpg")
            cv2.imwrite(str(unfinished), image)
            os.replace(unfinished, path)
            written += 1
        frame += 1
    capture.release()
    return written, count - frame


def main(root: Path, part: Part = "val") -> None:
    """Write the frames of a part's videos, beside them as hdImgs/. Can be stopped and resumed.

    Args:
        root: the folder with the sequences' folders, as panoptic-toolbox downloads them.
        part: train or val.
    """
    videos = [v for name in SEQUENCES[part] for v in sorted((root / name).glob("hdVideos/*.mp4"))]
    if not videos:
        raise FileNotFoundError(f"{root}: no <sequence>/hdVideos/*.mp4 of part {part}")
    for video in tqdm(videos, unit="video"):
        camera = video.stem.removeprefix("hd_")
        _, missing = extract_frames(video, video.parent.parent / "hdImgs" / camera)
        if missing:
            tqdm.write(f"{video}: ends {missing} frames early; download it again")


if __name__ == "__main__":
    auto_cli(main)
