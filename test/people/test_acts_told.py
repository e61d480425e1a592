# SPDX-License-Identifier: Apache-2.0
"""Acts at run time: what is asked of which body, and what is left unknown."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hpe_vlm_ros.people.acts import Act, Acts
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.skeleton import KEYPOINTS
from hpe_vlm_ros.tasks import act

WHOLE = np.array([[7.0 * k % 60, 11.0 * k, 2] for k in range(17)])


def hidden(*names):
    body = WHOLE.copy()
    body[[KEYPOINTS.index(name) for name in names], 2] = 1
    return body


class Signals:
    """Says the same of every body, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def labels(self, task, questions):
        self.asked += questions
        return [self.answer] * len(questions)


def told_by(answer):
    signals = Signals(answer)
    return signals, Acts(SimpleNamespace(signals=lambda task: signals, model_id="made up"))


ANSWER = dict.fromkeys(act.LABELS, 0.0) | {
    "sitting, arms crossed": 0.5, "standing, arms crossed": 0.2, "sitting, arms down": 0.3,
}  # fmt: skip


def test_what_is_not_seen_is_not_told():
    signals, acts = told_by(ANSWER)
    legless = hidden("left knee", "right ankle")
    bodies = [WHOLE, legless, hidden("left wrist"), hidden("left hip"), WHOLE * [1, 1, 0]]
    whole, no_legs, no_wrist, one_leg, nothing = acts(bodies)
    assert whole == one_leg == Act("sitting", pytest.approx(0.8), "arms crossed", 0.7)
    assert no_legs == Act(None, 0.0, "arms crossed", 0.7)
    assert no_wrist == Act("sitting", pytest.approx(0.8))
    assert nothing == Act()
    assert signals.asked == [act.question(body) for body in bodies[:4]]
    assert acts([]) == []


def test_a_server_that_does_not_answer_leaves_it_unknown():
    assert told_by(None)[1]([WHOLE]) == [Act()]


def test_a_model_that_has_not_learnt_acts_says_so():
    with pytest.raises(ValueError, match=r"embedded-.* has not learnt the question 'act'"):
        Acts(HeadPerceiver.load(threads=1))
