# SPDX-License-Identifier: Apache-2.0
"""Two models for one camera: a small one finds the heads, a large one reads their poses.

Naming boxes takes a language model most of its steps, one behind the other; poses of all heads are
read at once. On a small machine the embedded model's boxes are there first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import PixelBox
from .geometry import CameraIntrinsics
from .heads import HeadEstimate, Heads, seen_by
from .looks import Signals
from .perceiver import HeadPerceiver
from .skeleton import Skeleton
from .tasks import Task, keypoints

EMBEDDED = "embedded"


class TwoModels:
    """As a HeadPerceiver: `finder` finds heads, `reader` says how they are turned, in boxes that it
    is given. Questions in words go to the reader."""

    def __init__(self, finder: HeadPerceiver, reader: HeadPerceiver):
        self.finder, self.reader = finder, reader
        self.model_id = f"{reader.model_id}, heads found by {finder.model_id}"
        self.device = f"{reader.device}, {finder.device}"
        self.max_heads, self.tiles, self.mirror = finder.max_heads, finder.tiles, finder.mirror
        self.input_size, self.head_shape = finder.input_size, finder.head_shape
        self.free_text = reader.free_text

    @classmethod
    def load(cls, detector: str, reader: HeadPerceiver, **options: Any) -> TwoModels:
        """With `detector`, "embedded" or what `HeadPerceiver.load` takes, before a loaded reader;
        `options` are of the detector."""
        path = None if detector == EMBEDDED else detector
        return cls(HeadPerceiver.load(path, max_heads=reader.max_heads, **options), reader)

    def signals(self, task: Task[str]) -> Signals | None:
        """See `HeadPerceiver.signals`; of the reader, else of the finder."""
        return self.reader.signals(task) or self.finder.signals(task)

    def has_learnt(self, task: Task[Any]) -> bool:
        """See `HeadPerceiver.has_learnt`; whether one of the two has."""
        return any(model.has_learnt(task) for model in (self.reader, self.finder))

    def keypoints(
        self, image: NDArray[np.uint8], bodies: Sequence[PixelBox], **options: Any
    ) -> list[Skeleton]:
        """See `HeadPerceiver.keypoints`; of the reader, else of the finder."""
        knows = self.reader if self.reader.has_learnt(keypoints.TASK) else self.finder
        return knows.keypoints(image, bodies, **options)

    def facts(self) -> dict[str, str]:
        """See `HeadPerceiver.facts`; of the reader."""
        return self.reader.facts()

    def warning(self) -> str:
        """See `HeadPerceiver.warning`; of both."""
        return " ".join(filter(None, (self.reader.warning(), self.finder.warning())))

    def __call__(
        self,
        image: NDArray[np.uint8],
        camera: CameraIntrinsics | None = None,
        max_heads: int | None = None,
        tiles: int | None = None,
        *,
        draft: Sequence[PixelBox] | None = None,
        slack: int = 0,
        mounted: NDArray[np.float64] | None = None,
    ) -> Heads:
        """As HeadPerceiver's; scores are the finder's."""
        most = self.max_heads if max_heads is None else max_heads
        found = self.finder(image, None, most, tiles, draft=draft, slack=slack)
        if not found:
            return found
        read = self.reader.poses(image, [head.box for head in found])
        heads = [
            replace(pose, box=head.box, score=head.score)
            for head, pose in zip(found, read, strict=True)
        ]
        turned = seen_by(camera, heads, (image.shape[1], image.shape[0]), mounted)
        return Heads(turned, found.left_out, found.named)

    def poses(self, image: NDArray[np.uint8], boxes: Sequence[PixelBox]) -> list[HeadEstimate]:
        """See `HeadPerceiver.poses`."""
        return self.reader.poses(image, boxes)

    def ask(self, image: NDArray[np.uint8], question: str) -> str:
        """See `HeadPerceiver.ask`."""
        return self.reader.ask(image, question)
