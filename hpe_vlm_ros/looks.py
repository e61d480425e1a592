# SPDX-License-Identifier: Apache-2.0
"""What HeadPerceiver asks of a model, wherever it runs: in this process, or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from .answers import Box
from .head_map import HeadMap
from .tasks import Task

if TYPE_CHECKING:
    from .vlm.decoding.constrained import Pick
    from .vlm.decoding.points import PointEstimate
    from .vlm.decoding.poses import Pose
    from .vlm.facts import ModelFacts


@dataclass(frozen=True)
class Detection:
    """A box on the 0..999 grid and how sure the model is of it, 0..1."""

    box: Box
    score: float


class Look(Protocol):
    """One picture, for any question about it."""

    @property
    def presence(self) -> HeadMap | None:
        """What the picture's patches tell of heads; None where unknown."""

    def detect(
        self, max_heads: int, draft: Sequence[Box] | None = None, slack: int = 0
    ) -> list[Detection]:
        """Head boxes in the order the model names them, see `vlm.decoding.engine.Look.detect`."""

    def estimates(self, boxes: Sequence[Box]) -> list[Pose]:
        """The pose of the head in each box on the 0..999 grid, in degrees; NaN where the answer
        about it is invalid, and where it does not tell how sure it is."""

    def labels(self, task: Task[str], questions: Sequence[str]) -> list[dict[str, float]]:
        """The probability of each label of a task whose answers are one, for each question."""

    def free(self, prompts: Sequence[str]) -> list[str]:
        """What the model says with no grammar to rule it; may be invalid."""


class PointLook(Look, Protocol):
    """Of a model that has learnt the task keypoints."""

    def points(self, questions: Sequence[str], sides: tuple[float, float]) -> list[PointEstimate]:
        """What is answered to `questions` of the task keypoints about one body; `sides` as in
        `vlm.decoding.points.point_of`."""


class Signals(Protocol):
    """Answers questions that hold all they are about as text. `name`: who it is, for reports."""

    name: str

    def labels(
        self, task: Task[str], questions: Sequence[str]
    ) -> Sequence[dict[str, float] | None]:
        """As `Look.labels`; None for what is not answered."""


class Model(Protocol):
    """A model that is ready to be asked.

    Attributes:
        model_id: its name and version, for messages and results.
        runtime: "torch", "onnx", "remote".
        device: where it runs: "cpu", "cuda:0", the address of a server.
        at_once: so many pictures are best asked about at once.
        facts: what is to be known of the checkpoint.
    """

    @property
    def model_id(self) -> str: ...
    @property
    def runtime(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def at_once(self) -> int: ...
    @property
    def facts(self) -> ModelFacts: ...

    def look_at(
        self, image: NDArray[np.uint8], reuse_prefix: bool = True, pick: Pick | None = None
    ) -> Look:
        """Start on an RGB image (H, W, 3). `pick` chooses tokens from their probabilities; None as
        the checkpoint is configured."""

    def signals(self, task: Task[str]) -> Signals | None:
        """Who answers questions of a task that hold all they are about as text; None where nobody
        does."""

    def diagnostics(self) -> dict[str, str]:
        """What to tell of the runtime, beside its device."""

    def warning(self) -> str:
        """What is wrong with the runtime; empty where nothing is."""
