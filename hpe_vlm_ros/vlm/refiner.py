# SPDX-License-Identifier: Apache-2.0
"""The refiner of a model folder: a closer look at each head, in ONNX Runtime on the CPU.

`experts/refiner` in a model folder holds the network (`refiner.onnx`) and config.json: how its
presence and the model's own score give one score, from which score on boxes are kept, and how far
rotations are off. It works beside any runtime of the model; see `hpe_vlm_ros.refinement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.boxes import PixelBox
from hpe_vlm_ros.head_map import probability
from hpe_vlm_ros.refinement import Proposal, Refined, cut_out, refined, squares
from hpe_vlm_ros.spread import Calibration, check_numbers

from . import CheckpointError
from .experts import FOLDER
from .model_folder import digest, read_json
from .onnxruntime.backend import Place, available_cores, session

NAME, GRAPH, CONFIG = "refiner", "refiner.onnx", "config.json"
FORMAT = 1
LEAST = 1e-4  # of a score, before its logit is taken

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RefinerSettings:
    """Numbers fitted on labelled photographs (`training.release.refiner`).

    Attributes:
        presence, score, log_size, offset: weights of a logistic regression that gives a box's
            score: of the network's logit, of the logit of the model's own score, of the natural
            logarithm of the root of the box's share of the picture, and the constant.
        min_score: of boxes that are kept.
        answer_pitch, answer_yaw, answer_roll: factors of the variances of the language model's
            answer about the axes x, y and z along the ray, where poses are joined.
        rotation_scale, rotation_floor: as of `Calibration`, of poses that are joined with the
            language model's.
    """

    presence: float = 1.0
    score: float = 0.0
    log_size: float = 0.0
    offset: float = 0.0
    min_score: float = 0.5
    answer_pitch: float = 1.0
    answer_yaw: float = 1.0
    answer_roll: float = 1.0
    rotation_scale: float = 1.0
    rotation_floor: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.rotation_scale < 0 or self.rotation_floor < 0:
            raise ValueError("rotation_scale and rotation_floor must be >= 0")
        if min(self.factors) <= 0:
            raise ValueError("answer_pitch, answer_yaw and answer_roll must be > 0")

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> RefinerSettings:
        """ValueError says what is wrong."""
        try:
            return cls(**content)
        except TypeError as error:
            raise ValueError(str(error)) from error

    @property
    def factors(self) -> tuple[float, float, float]:
        """Of the variances of the language model's answers, see `refinement.with_answers`."""
        return self.answer_pitch, self.answer_yaw, self.answer_roll

    @property
    def calibration(self) -> Calibration:
        """Of the covariances of joined poses."""
        return Calibration(self.rotation_scale, self.rotation_floor)

    def weights(self) -> Array:
        """(4,) in the order of `Refiner.features`."""
        return np.array([self.presence, self.score, self.log_size, self.offset])


class Refiner:
    """A refiner that is ready to be asked; `digest` is that of its network.

    `threads` None uses all cores of this process. CheckpointError for a folder that is damaged or
    of another version.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        config = read_json(folder / CONFIG)
        if config.get("format") != FORMAT:
            raise CheckpointError(
                f"{folder} has format {config.get('format')}, this version reads {FORMAT}"
            )
        if not (folder / GRAPH).is_file() or digest(folder / GRAPH) != config.get("sha256"):
            raise CheckpointError(
                f"{folder / GRAPH} is missing, cut short or changed: copy the folder again, or "
                "work without it (refine: false)"
            )
        self.digest = str(config["sha256"])
        try:
            self.settings = RefinerSettings.read(config.get("settings", {}))
        except ValueError as error:
            raise CheckpointError(f"{folder / CONFIG}: {error}") from error
        self._session = session(folder / GRAPH, threads or available_cores(), Place.of("cpu"))

    def __call__(
        self, image: NDArray[np.uint8], boxes: Sequence[PixelBox], mirrored: bool = False
    ) -> Refined:
        """A closer look at boxes (pixels) of a picture (H, W, 3), all at once, or at the mirror
        images of the squares around them."""
        tiles = squares(boxes)
        if not tiles:
            return refined([], [])
        crops = np.stack([cut_out(image, tile) for tile in tiles])
        shown = np.ascontiguousarray(crops[:, :, ::-1]) if mirrored else crops
        return refined(self._session.run(None, {"squares": shown})[0], tiles, mirrored)

    @property
    def min_score(self) -> float:
        """Of heads; boxes of lower scores are dropped."""
        return self.settings.min_score

    def features(
        self, output: Refined, proposals: Sequence[Proposal], size: tuple[int, int]
    ) -> Array:
        """(N, 4) what scores are made of, see `RefinerSettings`; the last column is 1. `size` =
        (height, width) of the picture in pixels."""
        stated = np.clip([one.score for one in proposals], LEAST, 1 - LEAST)
        shares = np.prod(output.boxes[:, 2:] - output.boxes[:, :2], axis=1) / (size[0] * size[1])
        logits = np.log(stated / (1 - stated))
        sizes = np.log(np.maximum(shares, 1e-8)) / 2
        return np.stack([output.presence, logits, sizes, np.ones(len(sizes))], axis=1)

    def scores(
        self, output: Refined, proposals: Sequence[Proposal], size: tuple[int, int]
    ) -> Array:
        """(N,) probabilities that proposals in a picture of `size` = (height, width) are heads."""
        return probability(self.features(output, proposals, size) @ self.settings.weights())


def refiner_in(folder: Path, threads: int | None = None) -> Refiner | None:
    """The refiner of a model folder; None where it has none."""
    place = folder / FOLDER / NAME
    return Refiner(place, threads) if (place / CONFIG).is_file() else None
