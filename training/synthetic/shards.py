# SPDX-License-Identifier: Apache-2.0
"""How rendered sets are written: whole files only, by several processes, resumably."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from . import Integers


def write_picture(path: Path, image: Integers, quality: int) -> None:
    """Write uint8 RGB as a JPEG of this quality."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)[1]
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(data.tobytes())
    unfinished.replace(path)


def run_tasks(
    tasks: Sequence[Any],
    work: Callable[[Any], int],
    start: Callable[[argparse.Namespace], None],
    args: argparse.Namespace,
    workers: int,
    total: int,
) -> None:
    """Do all tasks in so many processes, each of which begins with `start(args)`.

    `work` returns how many of the `total` pictures a task was.
    """
    with tqdm(total=total, unit="picture", smoothing=0.05) as bar:
        if workers <= 1:
            start(args)
            for task in tasks:
                bar.update(work(task))
            return
        # not "fork": OpenCV's and OpenEXR's thread pools do not survive it
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, start, (args,)) as pool:
            for done in pool.imap_unordered(work, tasks):
                bar.update(done)
