# SPDX-License-Identifier: Apache-2.0
"""A HeadPerceiver whose model runs on a server that several robots share.

One question finds the heads, then one per head asks for its pose, all at once. The server decodes
without our grammar, so answers may be invalid: none is guessed at. If the boxes are invalid, the
image has no answer (RemoteError); a head whose angles are invalid has a rotation of NaN.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..answers import (
    DETECTION_PROMPT,
    Angles,
    Box,
    Parsed,
    grid_box,
    parse_angles,
    parse_boxes,
    pixel_box,
    pose_prompt,
)
from ..boxes import PixelBox, check_box, from_left, largest, without_duplicates
from ..geometry import HeadShape, angles_from_rotation, rotation_from_angles
from ..perceiver import HeadEstimate, HeadPerceiver, Heads, check_counts, check_image
from ..spread import Calibration
from . import RemoteError
from .endpoint import Endpoint, Reply
from .pictures import data_url, jpeg
from .scores import box_scores
from .settings import MODEL_SIDE, Settings

# Longest valid answers in tokens of Llama's tokenizer, with some to spare, so that an answer which
# does not end is seen to be invalid.
POSE_TOKENS, FREE_TOKENS = 24, 400
BOX_TOKENS, BOXES_TOKENS = 16, 16


class Found(NamedTuple):
    """A box on the 0..999 grid and its score."""

    box: Box
    score: float


class RemotePerceiver(HeadPerceiver):
    """As HeadPerceiver; `url` is such as http://gpu.local:23333/v1, or http://gpu.local:8000/v1#name
    where the server has several models or adapters.

    The key, if the server wants one, comes from the environment variable HPE_VLM_API_KEY.
    """

    def __init__(
        self,
        url: str,
        max_heads: int = 20,
        settings: Settings | None = None,
        head_shape: HeadShape | None = None,
        tiles: int = 1,
    ):
        check_counts(max_heads, tiles)
        self._endpoint = Endpoint(url, settings or Settings())
        self.max_heads, self.tiles, self.mirror = max_heads, tiles, False
        self.device = str(self._endpoint.address)
        self.model_id = f"{self._endpoint.model}@{self._endpoint.address.host}"
        self.input_size = MODEL_SIDE
        self.head_shape = head_shape
        self.free_text = True
        self.calibration = Calibration()  # of nothing

    def _find(
        self, image: NDArray[np.uint8], draft: Sequence[PixelBox] | None = None, slack: int = 0
    ) -> Heads:
        """A server has no use for a `draft`.

        RemoteError if it gives no valid boxes in time; ValueError for anything that is no image.
        """
        picture, deadline = self._picture(image), self._deadline()
        (reply,) = self._endpoint.ask([DETECTION_PROMPT], picture, self._room(), deadline)
        once = without_duplicates(_boxes(reply))
        found, left_out = largest(once, self.max_heads)
        heads = self._estimate(picture, deadline, found, image)
        return Heads(from_left(heads), left_out)

    def poses(self, image: NDArray[np.uint8], boxes: Sequence[PixelBox]) -> list[HeadEstimate]:
        """Poses of heads whose boxes (pixels) are known, in their order and with score 1."""
        picture = self._picture(image)
        found = [Found(box, 1.0) for box in _grid(image, boxes)]
        return self._estimate(picture, self._deadline(), found, image)

    def unconstrained(
        self, image: NDArray[np.uint8], boxes: Sequence[PixelBox]
    ) -> list[Parsed[Angles]]:
        """What the model says of heads in these boxes (pixels); a server uses no grammar anyway."""
        return self._angles(self._picture(image), self._deadline(), _grid(image, boxes))

    def ask(self, image: NDArray[np.uint8], question: str) -> str:
        picture = self._picture(image)
        replies = self._endpoint.ask([question], picture, FREE_TOKENS, self._deadline())
        return replies[0].text.strip()

    def look(self, *_: Any, **__: Any) -> Any:
        raise RemoteError("a server's model can be asked, but not watched while it decodes")

    def _picture(self, image: NDArray[np.uint8]) -> str:
        return data_url(jpeg(check_image(image)))

    def _deadline(self) -> float:
        return time.monotonic() + self._endpoint.settings.timeout

    def _room(self) -> int:
        """Tokens a detection answer may take: twice as many heads as wanted, and at least 20."""
        return BOXES_TOKENS + BOX_TOKENS * max(2 * self.max_heads, 20)

    def _angles(self, picture: str, deadline: float, boxes: list[Box]) -> list[Parsed[Angles]]:
        prompts = [pose_prompt(box) for box in boxes]
        replies = self._endpoint.ask(prompts, picture, POSE_TOKENS, deadline)
        return [parse_angles(reply.text) for reply in replies]

    def _estimate(
        self, picture: str, deadline: float, found: Sequence[Any], image: NDArray[np.uint8]
    ) -> list[HeadEstimate]:
        height, width = image.shape[:2]
        answers = self._angles(picture, deadline, [one.box for one in found])
        return [
            _head(pixel_box(one.box, width, height), answer.value, one.score)
            for one, answer in zip(found, answers, strict=True)
        ]


def _grid(image: NDArray[np.uint8], boxes: Sequence[PixelBox]) -> list[Box]:
    height, width = check_image(image).shape[:2]
    return [grid_box(check_box(box, width, height), width, height) for box in boxes]


def _boxes(reply: Reply) -> list[Found]:
    parsed = parse_boxes(reply.text)
    if parsed.value is None:
        raise RemoteError(
            f"the server's answer about heads is invalid ({parsed.reason}): {reply.text[:80]!r}"
        )
    scores = box_scores(reply.tokens, len(parsed.value))
    return [Found(box, score) for box, score in zip(parsed.value, scores, strict=True)]


def _head(box: PixelBox, angles: Angles | None, score: float) -> HeadEstimate:
    if angles is None:
        unknown = float("nan")
        return HeadEstimate(box, unknown, unknown, unknown, np.full((3, 3), unknown), score)
    rotation = rotation_from_angles(*angles)
    if max(abs(angles[1]), abs(angles[2])) >= 90:  # another triple may name the same turn
        angles = angles_from_rotation(rotation) or angles
    return HeadEstimate(box, *angles, rotation, score)
