# SPDX-License-Identifier: Apache-2.0
"""How well acts are told of rendered people whose keypoints are given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.looks import Signals
from hpe_vlm_ros.tasks import act, yes_no

from ..data.acts import arms_of, facts_of, posture_of
from ..data.sample import Sample

WORDS = (*act.POSTURES, *act.ARMS)


def bodies_of(samples: Sequence[Sample], most: int) -> list[NDArray[np.float64]]:
    """Keypoints (17, 3) of up to `most` people of whom some statement is certain."""
    found = []
    for sample in samples:
        for head in sample.heads:
            if head.keypoints is not None and facts_of(head.keypoints):
                found.append(head.keypoints)
    return found[:most]


def act_scores(signals: Signals, bodies: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    """F1 of each word that is certain of somebody; postures are told apart where the posture is
    certain, words for the arms where those are."""
    true: list[tuple[str | None, str | None]] = [(posture_of(b), arms_of(b)) for b in bodies]
    answers = signals.labels(act.TASK, [act.question(body) for body in bodies])
    right = dict.fromkeys(WORDS, 0)
    named = dict.fromkeys(WORDS, 0)
    for words, answer in zip(true, answers, strict=True):
        parts = act.marginals(answer or {})
        for word, odds in zip(words, parts, strict=True):
            if word is None:
                continue
            likeliest = max(odds, key=odds.__getitem__)
            right[word] += likeliest == word
            named[word] += 1
            named[likeliest] += 1
    certain = {word for words in true for word in words if word is not None}
    return {word: 2 * right[word] / named[word] for word in WORDS if word in certain}


def yes_no_accuracy(
    signals: Signals, bodies: Sequence[NDArray[np.float64]], seed: int = 0
) -> tuple[float, int]:
    """The share of right answers about statements, yes and no weighing the same, and how many
    questions that are: of each body one that holds and one that does not."""
    rng, asked = np.random.default_rng(seed), []
    for body in bodies:
        facts = facts_of(body)
        for verdict in (True, False):
            fitting = [name for name, holds in facts.items() if holds is verdict]
            if fitting:
                asked.append((fitting[rng.integers(len(fitting))], body, verdict))
    answers = signals.labels(yes_no.TASK, [yes_no.question(name, body) for name, body, _ in asked])
    right: dict[bool, list[bool]] = {True: [], False: []}
    for (_, _, verdict), answer in zip(asked, answers, strict=True):
        yes = answer is not None and answer["yes"] > answer["no"]
        right[verdict].append(answer is not None and yes == verdict)
    shares = [float(np.mean(one)) for one in right.values() if one]
    return float(np.mean(shares)) if shares else float("nan"), len(asked)
