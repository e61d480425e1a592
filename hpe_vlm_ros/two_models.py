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
from .perceiver import HeadEstimate, HeadPerceiver, Heads

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

    def facts(self) -> dict[str, str]:
        """See `HeadPerceiver.facts`; of the reader."""
        return self.reader.facts()

    def warning(self) -> str:
        """See `HeadPerceiver.warning`; of both."""
        return " ".join(filter(None, (self.reader.warning(), self.finder.warning())))

    def __call__(self, image: NDArray[np.uint8]) -> Heads:
        return self.find(image)

    def find(
        self, image: NDArray[np.uint8], draft: Sequence[PixelBox] | None = None, slack: int = 0
    ) -> Heads:
        """See `HeadPerceiver.find`; scores are the finder's."""
        self.finder.max_heads, self.finder.tiles = self.max_heads, self.tiles
        found = self.finder.find(image, draft, slack)
        if not found:
            return found
        read = self.reader.poses(image, [head.box for head in found])
        heads = [
            replace(pose, box=head.box, score=head.score)
            for head, pose in zip(found, read, strict=True)
        ]
        return Heads(heads, found.left_out, found.named)

    def poses(self, image: NDArray[np.uint8], boxes: Sequence[PixelBox]) -> list[HeadEstimate]:
        """See `HeadPerceiver.poses`."""
        return self.reader.poses(image, boxes)

    def ask(self, image: NDArray[np.uint8], question: str) -> str:
        """See `HeadPerceiver.ask`."""
        return self.reader.ask(image, question)
