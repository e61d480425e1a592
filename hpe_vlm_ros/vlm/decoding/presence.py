# SPDX-License-Identifier: Apache-2.0
"""Scores of boxes that also hear the vision tower's own read-out of "a head is here".

A linear read-out of the tower's patches (`vision.Presence`), learnt beside the answers, gives every
patch the logit that a head's middle lies there. It changes no answer: the boxes are those that the
text names. It joins the text's probabilities (`scores`) in one logistic regression, with the box's
own size and shape, which gives the probability that the box is one of a head. On photographs
the text alone is as sure of many a bag or chair as of a head; the patches are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.answers import GRID, Box
from hpe_vlm_ros.head_map import probability
from hpe_vlm_ros.spread import check_numbers

MIDDLE = 0.6  # share of a box's sides within which its patches count, as in training
LEAST = 1e-6  # of a probability, before its logit is taken

Array = NDArray[np.float64]
Map = NDArray[np.float32]  # (rows, columns) logits


@dataclass(frozen=True)
class ScoreWeights:
    """Weights of a logistic regression over what is known of a box; fitted on labelled pictures
    (`training.release.fit_scores`).

    Attributes:
        text: of the logit of the text's own score.
        presence: of the largest logit of the patches in the middle of the box.
        log_area: of the natural logarithm of the box's share of the picture.
        log_aspect, log_aspect_squared: of the logarithm of width over height on the answer's grid,
            which is that of the square the model sees.
        offset: the constant.
    """

    text: float = 1.0
    presence: float = 0.0
    log_area: float = 0.0
    log_aspect: float = 0.0
    log_aspect_squared: float = 0.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self)

    @classmethod
    def read(cls, content: Mapping[str, Any] | None) -> ScoreWeights | None:
        """Of config.json's `score_weights`; None is none, ValueError says what is wrong."""
        if content is None:
            return None
        try:
            return cls(**content)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"config.json's score_weights {content!r}: {error}; fit them anew with "
                "python -m training.release.fit_scores"
            ) from error

    def as_dict(self) -> dict[str, float]:
        """Names and values, fit for JSON."""
        return asdict(self)

    def scores(self, text: Sequence[float], boxes: Sequence[Box], presence: Map) -> list[float]:
        """Scores in 0..1 of boxes, from the text's scores and the map of the picture."""
        if not boxes:
            return []
        sums = features(text, boxes, presence) @ np.array([*self.as_dict().values()])
        likely: list[float] = probability(sums).tolist()
        return likely


def features(text: Sequence[float], boxes: Sequence[Box], presence: Map) -> Array:
    """(N, 6) what `ScoreWeights` weighs, in the order of its fields; the last column is 1."""
    certain = np.clip(np.asarray(text, dtype=float), LEAST, 1 - LEAST)
    corners = np.asarray(boxes, dtype=float).reshape(-1, 4)
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 1.0) / GRID
    aspect = np.log(sides[:, 0] / sides[:, 1])
    here = [presence_in(box, presence) for box in boxes]
    columns = [np.log(certain / (1 - certain)), here, np.log(sides.prod(1)), aspect, aspect**2]
    return np.stack([*columns, np.ones(len(corners))], axis=1)


def presence_in(box: Box, presence: Map) -> float:
    """The largest logit of the patches in the middle of a box on the 0..999 grid."""
    side = np.array(presence.shape[::-1])
    low, high = np.array(box[:2]) / GRID * side, np.array(box[2:]) / GRID * side
    # in patches; at least one is read, however small the box
    middle, reach = (low + high) / 2, np.maximum((high - low) * MIDDLE / 2, 0.5)
    first = np.clip(np.floor(middle - reach), 0, side - 1).astype(int)
    last = np.clip(np.ceil(middle + reach), first + 1, side).astype(int)
    return float(presence[first[1] : last[1], first[0] : last[0]].max())
