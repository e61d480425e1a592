# SPDX-License-Identifier: Apache-2.0
"""Gestures as the model says them: its experts, or a server, are asked about each window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.looks import Signals
from hpe_vlm_ros.tasks import gesture
from hpe_vlm_ros.vlm.experts import signals_in

from .reader import Judge, Rule
from .window import Array


class Asked:
    """The model's experts, or a server; see `reader.Judge`."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self.name = signals.name

    def __call__(self, windows: Sequence[Array]) -> list[Array | None]:
        """Probabilities (6,) of `tasks.gesture.LABELS` for each window (20, 5); None: no answer."""
        questions = [gesture.question(window) for window in windows]
        answers = self._signals.labels(gesture.TASK, questions)
        return [
            None if one is None else np.array([one[label] for label in gesture.LABELS])
            for one in answers
        ]


def judge_of(perceiver: Any) -> Judge:
    """What tells gestures from a perceiver's poses: its model, or the rule where the model has not
    learnt the question. CheckpointError where its experts are damaged."""
    ask = getattr(perceiver, "signals", None)
    return _judge(None if ask is None else ask(gesture.TASK))


def judge_in(folder: Path | None) -> Judge:
    """As `judge_of`, from the model's folder; None, or one that is not there, has no experts."""
    return _judge(None if folder is None else signals_in(folder, gesture.TASK))


def _judge(signals: Signals | None) -> Judge:
    return Rule() if signals is None else Asked(signals)
