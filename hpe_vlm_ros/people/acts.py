# SPDX-License-Identifier: Apache-2.0
"""What people do, as the model says of their keypoints: standing, arms crossed, a hand raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.skeleton import KEYPOINTS, SEEN
from hpe_vlm_ros.tasks import act

Array = NDArray[np.float64]
LEGS = tuple(
    tuple(KEYPOINTS.index(f"{side} {part}") for part in ("hip", "knee", "ankle"))
    for side in ("left", "right")
)
WRISTS = tuple(KEYPOINTS.index(f"{side} wrist") for side in ("left", "right"))


@dataclass(frozen=True)
class Act:
    """posture, arms: of `tasks.act.POSTURES` and ARMS, with their probabilities; None and 0 where
    too little of the body is seen, or nobody answers."""

    posture: str | None = None
    posture_score: float = 0.0
    arms: str | None = None
    arms_score: float = 0.0


class Acts:
    """Asks a perceiver's model; ValueError where that has not learnt the question."""

    def __init__(self, perceiver: Any) -> None:
        self._signals = perceiver.signals(act.TASK)
        if self._signals is None:
            raise ValueError(
                f"{perceiver.model_id} has not learnt the question 'act': "
                "training.teach_acts makes experts that answer it"
            )

    def __call__(self, bodies: Sequence[Array]) -> list[Act]:
        """What each body with keypoints (17, 3) does: x and y in pixels and visibility 0, 1 or 2.

        The posture needs one leg that is seen whole, the word for the arms both wrists.
        """
        found = [Act()] * len(bodies)
        asked = {i: parts for i, body in enumerate(bodies) if any(parts := _visible_parts(body))}
        questions = [act.question(bodies[index]) for index in asked]
        answers = self._signals.labels(act.TASK, questions)
        for (index, (legs, wrists)), answer in zip(asked.items(), answers, strict=True):
            if answer is not None:
                postures, arms = act.marginals(answer)
                found[index] = Act(*_best(postures, legs), *_best(arms, wrists))
        return found


def _visible_parts(body: Array) -> tuple[bool, bool]:
    """Whether posture and arms can be told of what is seen."""
    visible = np.asarray(body)[:, 2] == SEEN
    return any(bool(visible[list(leg)].all()) for leg in LEGS), bool(visible[list(WRISTS)].all())


def _best(odds: dict[str, float], known: bool) -> tuple[str | None, float]:
    if not known:
        return None, 0.0
    word = max(odds, key=odds.__getitem__)
    return word, odds[word]
