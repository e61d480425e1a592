# SPDX-License-Identifier: Apache-2.0
"""What a rule says of a window of poses: for models that have not learnt the question.

It looks at the last 1.4 seconds. A nod or shake is an axis that swings to both sides by more than
the noise of answers about one picture after another; a turn, tilt or updown one that ends elsewhere
than it began. A head whose picture swings with it, as a photograph's that is moved, does neither.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.tasks.gesture import LABELS

Array = NDArray[np.float64]
NAME = "rule"
RECENT = 14  # samples
SWING = {"shake": (0, 4.5), "nod": (1, 3.4)}  # axis, and degrees of deviation about a line
STEP = {"turn": (0, 13.0), "tilt": (2, 8.0), "updown": (1, 10.0)}  # axis and degrees
TURNS = 2  # changes of direction that a swing has at least
CARRIED = 70.0  # degrees a height: what swings less than this for its box's way is carried
SLOPE = 5.0  # how steeply the probability grows about the threshold


def judge(window: Array) -> Array:
    """Probabilities (6,) of `tasks.gesture.LABELS` for a window (20, 5)."""
    recent = window[-RECENT:]
    line = np.arange(RECENT) - (RECENT - 1) / 2
    slope = line @ recent / (line @ line)
    about = recent - recent.mean(0) - line[:, None] * slope
    deviation = about.std(0)
    way = float(np.linalg.norm(deviation[3:]))
    strength = dict.fromkeys(LABELS, 0.0)
    for name, (axis, least) in SWING.items():
        if _turns(about[:, axis], least) >= TURNS and deviation[axis] >= CARRIED * way:
            strength[name] = float(deviation[axis]) / least
    early, late = recent[:4].mean(0), recent[-3:].mean(0)
    for name, (axis, least) in STEP.items():
        strength[name] = float(abs(late - early)[axis]) / least
    if max(strength["nod"], strength["shake"]) >= 1:  # a swing ends anywhere
        for name in STEP:
            strength[name] *= 0.5
    best = max(strength, key=strength.__getitem__)
    sure = 1 / (1 + np.exp(-SLOPE * (strength[best] - 1)))
    probabilities = np.full(len(LABELS), 0.0)
    probabilities[0], probabilities[LABELS.index(best)] = 1 - sure, sure
    return probabilities


def _turns(values: Array, least: float) -> int:
    """How often a series turns back by more than 1.5 times `least`."""
    turns, way, extreme = 0, 0, float(values[0])
    for value in values[1:]:
        if way >= 0 and value < extreme - 1.5 * least:
            turns, way, extreme = turns + (way > 0), -1, float(value)
        elif way <= 0 and value > extreme + 1.5 * least:
            turns, way, extreme = turns + (way < 0), 1, float(value)
        elif (way >= 0 and value > extreme) or (way < 0 and value < extreme):
            extreme = float(value)
    return turns
