# SPDX-License-Identifier: Apache-2.0
"""The node's thread of work: which images are searched anew, and which with a draft."""

from __future__ import annotations

import queue
import subprocess
import sys
from typing import Any

import numpy as np
from std_msgs.msg import Header

from hpe_vlm_ros.heads import Heads
from hpe_vlm_ros.images import rgb_to_image
from hpe_vlm_ros.nodes.inference import Answer, Inference, Job

BOX = (1.0, 2.0, 9.0, 9.0)


class Perceiver:
    """Finds no heads but names a box, and notes the draft it gets."""

    def __init__(self) -> None:
        self.drafts: list[object] = []
        self.asked_for: list[tuple[int, int]] = []

    def __call__(
        self, image: object, max_heads: int, tiles: int, draft: object = None, slack: int = 0
    ) -> Heads:
        self.drafts.append(None if draft is None else (draft, slack))
        self.asked_for.append((max_heads, tiles))
        return Heads(named=[BOX])


def test_each_camera_has_drafts_of_its_own_and_questions_have_none() -> None:
    perceiver, answers = Perceiver(), queue.Queue[Answer]()
    inference = Inference(
        perceiver, lambda _: None, answers.put, lambda: 0.0, lambda: 5, lambda: (3, 7), lambda: 2
    )
    message: Any = rgb_to_image(np.zeros((20, 30, 3), np.uint8), Header())
    try:
        for camera, question in (("a", 0), ("a", 0), ("b", 0), ("a", 1), ("a", 0), ("a", 0)):
            inference.put(Job(camera, message, question=question or None))
            assert answers.get(timeout=30).error is None
    finally:
        inference.stop(None)
    drafted = ([BOX], 7)
    assert perceiver.drafts == [None, drafted, None, None, drafted, None]
    assert perceiver.asked_for == [(5, 2)] * 6


PIECES = """
from hpe_vlm_ros.nodes.inference import free_memory

def resident():  # pages
    return int(open("/proc/self/statm").read().split()[1])

def freed():
    pieces = [bytes(4000) for _ in range(20_000)]
    del pieces[:-1]  # the last one lies above the others
    return pieces

last = freed()
before = resident()
free_memory()
print(before - resident())
"""


def test_memory_that_was_freed_in_pieces_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PIECES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15_000  # of the 20,000 pages that the pieces filled
