# SPDX-License-Identifier: Apache-2.0
"""A HeadPerceiver whose model runs on a server that several robots share.

One question finds the heads, then one per head asks for its pose, all at once. The grammar goes to
the server where it obeys one. Where it does not, answers may be invalid, and none is guessed at: if
the boxes are invalid, the image has no answer (RemoteError); a head whose angles are invalid has a
rotation of NaN. Boxes may be invalid under a grammar, too, since none can say that x0 < x1.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.heads import HeadEstimate, Heads, check_counts, check_image
from hpe_vlm_ros.vlm.decoding.poses import pose

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
from ..perceiver import HeadPerceiver
from ..spread import Calibration, turn_covariance
from . import RemoteError
from .distributions import angle_weights
from .endpoint import Endpoint
from .language import Language, angles, boxes
from .pictures import data_url, jpeg
from .replies import Reply
from .scores import box_scores
from .settings import MODEL_SIDE, Settings

# Longest valid answers in tokens, were each one a single character, so that one which does not end
# is seen to be invalid.
POSE_TOKENS, FREE_TOKENS = 64, 400
BOX_TOKENS, BOXES_TOKENS = 16, 40
LEAST = 20  # boxes that an answer has room for, however few are wanted


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
        self.input_size = MODEL_SIDE
        self.head_shape = head_shape
        self.free_text = True
        self.calibration = Calibration()  # of nothing

    @property
    def model_id(self) -> str:  # type: ignore[override]  # the server may change its model
        return f"{self._endpoint.model}@{self._endpoint.address.host}"

    def facts(self) -> dict[str, str]:
        return self._endpoint.server.facts()

    def warning(self) -> str:
        return self._endpoint.server.warning()

    def _find(
        self, image: NDArray[np.uint8], draft: Sequence[PixelBox] | None = None, slack: int = 0
    ) -> Heads:
        """A server has no use for a `draft`.

        RemoteError if it gives no valid boxes in time; ValueError for anything that is no image.
        """
        picture, deadline = self._picture(image), self._deadline()
        most = max(2 * self.max_heads, LEAST)
        room = BOXES_TOKENS + BOX_TOKENS * most
        (reply,) = self._endpoint.ask([DETECTION_PROMPT], picture, room, deadline, boxes(most))
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
        """What the model says of heads in these boxes (pixels) with no grammar to rule it."""
        picture, grid = self._picture(image), _grid(image, boxes)
        replies = self._ask_poses(picture, self._deadline(), grid, None)
        return [parse_angles(reply.text) for reply in replies]

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

    def _ask_poses(
        self, picture: str, deadline: float, boxes: Sequence[Box], language: Language | None
    ) -> list[Reply]:
        prompts = [pose_prompt(box) for box in boxes]
        return self._endpoint.ask(prompts, picture, POSE_TOKENS, deadline, language)

    def _estimate(
        self, picture: str, deadline: float, found: Sequence[Any], image: NDArray[np.uint8]
    ) -> list[HeadEstimate]:
        height, width = image.shape[:2]
        replies = self._ask_poses(picture, deadline, [one.box for one in found], angles())
        return [
            _head(pixel_box(one.box, width, height), reply, one.score)
            for one, reply in zip(found, replies, strict=True)
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
    told = [(token.text, token.probability) for token in reply.tokens]
    scores = box_scores(told, len(parsed.value))
    return [Found(box, score) for box, score in zip(parsed.value, scores, strict=True)]


def _head(box: PixelBox, reply: Reply, score: float) -> HeadEstimate:
    """With mean angles and their covariance where the server tells what else it might have said."""
    written = parse_angles(reply.text).value
    if written is None:
        unknown = float("nan")
        return HeadEstimate(box, unknown, unknown, unknown, np.full((3, 3), unknown), score)
    weights, stated, covariance = angle_weights(reply.tokens), written, None
    if weights is not None:
        likely = pose(written, weights)
        stated, covariance = likely.angles, turn_covariance(likely.angles, likely.deviations)
    rotation = rotation_from_angles(*stated)
    if max(abs(stated[1]), abs(stated[2])) >= 90:  # another triple may name the same turn
        stated = angles_from_rotation(rotation) or stated
    return HeadEstimate(box, *stated, rotation, score, covariance)
