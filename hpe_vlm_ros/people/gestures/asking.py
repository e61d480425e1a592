# SPDX-License-Identifier: Apache-2.0
"""Gestures as the model says them: its experts for signals are asked about each window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.tasks import gesture
from hpe_vlm_ros.vlm.experts import TextExperts, find_experts

from .reader import Judge, Rule
from .window import Array


class Asked:
    """The model's experts; see `reader.Judge`."""

    def __init__(self, experts: TextExperts) -> None:
        self._experts = experts
        self.name = experts.name

    def __call__(self, windows: Sequence[Array]) -> list[Array]:
        questions = [gesture.question(window) for window in windows]
        said = self._experts.labels(gesture.TASK, questions)
        return [np.array([one[label] for label in gesture.LABELS]) for one in said]


def judge_of(perceiver: Any) -> Judge:
    """What tells gestures from a perceiver's poses: its model, or the rule where the model has not
    learnt the question. CheckpointError where its experts are damaged."""
    return judge_in(getattr(perceiver, "folder", None))


def judge_in(folder: Path | None) -> Judge:
    """As `judge_of`, from the model's folder; None, or one that is not there, has no experts."""
    place = None if folder is None else find_experts(folder, gesture.TASK.experts)
    return Rule() if place is None else Asked(TextExperts(place))
