# SPDX-License-Identifier: Apache-2.0
"""Questions that a server is asked in words and answers with a label: with a picture or without.

Nobody tells what a server's model has learnt, and under a grammar any model answers something. So
before its word is taken on gestures it is asked about three motions that nobody can mistake.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..tasks import Task, gesture
from . import RemoteError
from .endpoint import Endpoint
from .language import one_text_of
from .scores import label_scores
from .server import Server

TIMEOUT = 0.5  # seconds for all questions of one moment: the rest of the node waits
PAUSE = 10.0  # seconds in which a server that did not answer is not asked
SPARE = 8  # tokens beside the longest answer's letters


def ask_labels(
    endpoint: Endpoint,
    task: Task[str],
    questions: Sequence[str],
    picture: str | None,
    deadline: float,
) -> list[dict[str, float]]:
    """Probabilities of a task's labels, see `looks.Look.labels`; RemoteError where there is no
    answer in time, or one that names none of the labels."""
    texts = {label: task.format(label) for label in task.examples}
    room = max(map(len, texts.values())) + SPARE
    language = one_text_of(list(texts.values()))
    found = []
    for reply in endpoint.ask(questions, picture, room, deadline, language):
        answered = task.parse(reply.text).value
        if answered is None:
            raise RemoteError(
                f"{endpoint.model} does not answer the question {task.name!r} with one of "
                f"{', '.join(texts)}: {reply.text[:80]!r}"
            )
        found.append(label_scores(reply.tokens, texts, answered))
    return found


class RemoteSignals:
    """A server in the place of `vlm.experts.TextExperts`, see `looks.Signals`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._tested: Server | None = None
        self._right = False
        self._not_before = 0.0
        self.name = f"{endpoint.model}@{endpoint.address.host}"

    def knows_gestures(self, timeout: float) -> bool:
        """Whether the model tells a nod, a shake and a still head; False also where it does not
        answer."""
        questions = [gesture.question(window) for window in PLAIN.values()]
        self._tested = self._endpoint.server
        try:
            answers = self._ask(gesture.TASK, questions, timeout)
        except RemoteError:
            self._right = False
            return False
        named = [max(one, key=one.__getitem__) for one in answers]
        self._right = named == list(PLAIN)
        return self._right

    def labels(
        self, task: Task[str], questions: Sequence[str]
    ) -> Sequence[dict[str, float] | None]:
        """None where the server is late, in the PAUSE after that, and where it has another model
        since, which does not know gestures."""
        unknown: Sequence[dict[str, float] | None] = [None] * len(questions)
        if time.monotonic() < self._not_before:
            return unknown
        if self._tested is not self._endpoint.server:
            self.knows_gestures(TIMEOUT)
        try:
            return self._ask(task, questions, TIMEOUT) if self._right else unknown
        except RemoteError:
            self._not_before = time.monotonic() + PAUSE
            return unknown

    def _ask(
        self, task: Task[str], questions: Sequence[str], timeout: float
    ) -> list[dict[str, float]]:
        return ask_labels(self._endpoint, task, questions, None, time.monotonic() + timeout)


def _swing(axis: int, size: float, rate: float) -> NDArray[np.float64]:
    """A window (20, 5) of a head that swings about an axis by so many degrees, `rate` times a
    second."""
    window = np.zeros((gesture.SAMPLES, gesture.NUMBERS))
    window[:, axis] = size * np.sin(2 * np.pi * rate * np.arange(gesture.SAMPLES) / 10)
    return window


PLAIN = {"nod": _swing(1, 10.0, 1.5), "shake": _swing(0, 16.0, 1.4), "none": _swing(0, 0.0, 1.0)}
"""Motions that nobody can mistake, by their labels."""
