# SPDX-License-Identifier: Apache-2.0
"""A model on a server that several robots share, asked as HeadPerceiver asks any other.

One question finds the heads, then one per head asks for its pose, all at once. The grammar goes to
the server where it obeys one. Where it does not, answers may be invalid, and none is guessed at: if
the boxes are invalid, the image has no answer (RemoteError); a head whose angles are invalid has a
rotation of NaN. Boxes may be invalid under a grammar, too, since none can say that x0 < x1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.vlm.decoding.numbers import CIRCLE
from hpe_vlm_ros.vlm.decoding.poses import Pose, pose
from hpe_vlm_ros.vlm.facts import TAUGHT, ModelFacts

from ..answers import DETECTION_PROMPT, Box, parse_angles, parse_boxes, pose_prompt
from ..looks import Detection
from ..tasks import Task, gesture
from . import RemoteError
from .distributions import angle_weights
from .endpoint import Endpoint
from .language import angles, boxes
from .pictures import data_url, jpeg
from .replies import Reply
from .scores import box_scores
from .settings import MODEL_SIDE, Settings
from .signals import RemoteSignals, ask_labels

# Longest valid answers in tokens, were each one a single character, so that one which does not end
# is seen to be invalid.
POSE_TOKENS, FREE_TOKENS = 64, 400
BOX_TOKENS, BOXES_TOKENS = 16, 40
LEAST = 20  # boxes that an answer has room for, however few are wanted
UNKNOWN = math.nan, math.nan, math.nan


class RemoteModel:
    """`url` is such as http://gpu.local:23333/v1, or http://gpu.local:8000/v1#name where the server
    has several models or adapters.

    The key, if the server wants one, comes from the environment variable HPE_VLM_API_KEY.
    """

    runtime, at_once = "remote", 1
    # The public model's; its server tells none. What it is asked in words its answers will show.
    facts = ModelFacts(image_size=MODEL_SIDE, tasks=(*TAUGHT, "facing"))

    def __init__(self, url: str, settings: Settings | None = None) -> None:
        self._endpoint = Endpoint(url, settings or Settings())
        self.device = str(self._endpoint.address)
        self._gestures = "not asked"

    @property
    def model_id(self) -> str:
        """The server's name for its model, which it may change."""
        return f"{self._endpoint.model}@{self._endpoint.address.host}"

    def diagnostics(self) -> dict[str, str]:
        """What the server is and what it can do."""
        return self._endpoint.server.facts() | {"gestures": self._gestures}

    def warning(self) -> str:
        """What is wrong with the server or its model; empty where nothing is."""
        return self._endpoint.server.warning()

    def signals(self, task: Task[str]) -> RemoteSignals | None:
        """The server itself, where it is right about motions that nobody can mistake; of gestures
        only."""
        if task.name != gesture.TASK.name:
            return None
        found = RemoteSignals(self._endpoint)
        known = found.knows_gestures(self._endpoint.settings.timeout)
        self._gestures = "told by the server" if known else "not learnt by the server's model"
        return found if known else None

    def look_at(
        self, image: NDArray[np.uint8], reuse_prefix: bool = True, pick: Any = None
    ) -> RemoteLook:
        """Start on an RGB image; a server itself decides what it keeps of it between questions."""
        if pick is not None:
            raise RemoteError("a server's model can be asked, but not observed while it decodes")
        return RemoteLook(self._endpoint, data_url(jpeg(image)))


class RemoteLook:
    """One picture on its way to the server; all answers must have come by one deadline."""

    presence = None

    def __init__(self, endpoint: Endpoint, picture: str) -> None:
        self._endpoint, self._picture = endpoint, picture
        self._deadline = time.monotonic() + endpoint.settings.timeout

    def detect(
        self, max_heads: int, draft: Sequence[Box] | None = None, slack: int = 0
    ) -> list[Detection]:
        """Head boxes; a server has no use for a `draft`. RemoteError if they are invalid."""
        most = max(max_heads, LEAST)
        room = BOXES_TOKENS + BOX_TOKENS * most
        (reply,) = self._endpoint.ask(
            [DETECTION_PROMPT], self._picture, room, self._deadline, boxes(most)
        )
        return _detections(reply)

    def estimates(self, boxes: Sequence[Box]) -> list[Pose]:
        """Poses, with means and deviations where the server tells what else it might have said."""
        prompts = [pose_prompt(box) for box in boxes]
        replies = self._endpoint.ask(prompts, self._picture, POSE_TOKENS, self._deadline, angles())
        return [_pose(reply) for reply in replies]

    def labels(self, task: Task[str], questions: Sequence[str]) -> list[dict[str, float]]:
        """Probabilities of a task's labels; RemoteError where an answer names none of them."""
        return ask_labels(self._endpoint, task, questions, self._picture, self._deadline)

    def free(self, prompts: Sequence[str], limit: int = FREE_TOKENS) -> list[str]:
        """What the model says with no grammar, in at most `limit` tokens; may be invalid."""
        replies = self._endpoint.ask(prompts, self._picture, limit, self._deadline)
        return [reply.text for reply in replies]


def _detections(reply: Reply) -> list[Detection]:
    parsed = parse_boxes(reply.text)
    if parsed.value is None:
        raise RemoteError(
            f"the server's answer about heads is invalid ({parsed.reason}): {reply.text[:80]!r}"
        )
    tokens = [(token.text, token.probability) for token in reply.tokens]
    scores = box_scores(tokens, len(parsed.value))
    return [Detection(box, score) for box, score in zip(parsed.value, scores, strict=True)]


def _pose(reply: Reply) -> Pose:
    written = parse_angles(reply.text).value
    weights = None if written is None else angle_weights(reply.tokens)
    if written is None or weights is None:
        angles = UNKNOWN if written is None else written
        return Pose(angles, angles, UNKNOWN, np.full((3, CIRCLE), math.nan))
    return pose(written, weights)
