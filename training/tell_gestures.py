# SPDX-License-Identifier: Apache-2.0
"""Add questions about gestures to instruction data, for models that answer in words.

    python -m training.tell_gestures DATA OUT --each 2

DATA is what `training.data.telling` wrote. Every picture gets so many windows of poses
(`synthetic.pose_windows`) with the question and the answer of `tasks.gesture`, every gesture as
often; they have nothing to do with the picture, since a window holds all that it is asked about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli

from hpe_vlm_ros.tasks import gesture

from .data.labels import read_labels, write_labels
from .data.sample import Instruction
from .data.telling import CONVERSATION
from .synthetic.pose_windows import windows

WAITING = 20  # questions with one label, until the rarer labels have come up


def asked(seed: int) -> Iterator[Instruction]:
    """Endless questions, the labels in turn."""
    kept: dict[int, list[Instruction]] = {label: [] for label in range(len(gesture.LABELS))}
    for window in windows(np.random.default_rng(seed)):
        label = int(window.labels[-1])
        answer = gesture.TASK.format(gesture.LABELS[label])
        if len(kept[label]) < WAITING:
            kept[label].append(Instruction(CONVERSATION, gesture.question(window.values), answer))
        if all(kept.values()):
            yield from (waiting.pop(0) for waiting in kept.values())


def main(data: Path, out: Path, each: int = 2, seed: int = 0) -> None:
    """Write the data with gestures.

    Args:
        data: folder of instruction data.
        out: folder for labels.jsonl, which names the pictures where they are.
        each: questions about gestures of a picture.
        seed: of the windows.
    """
    source, samples = asked(seed), read_labels(data)
    for sample in samples:
        sample.instructions = [*sample.instructions, *islice(source, each)]
    write_labels(out / "labels.jsonl", samples)
    print(json.dumps({"pictures": len(samples), "gestures": each * len(samples)}))


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
