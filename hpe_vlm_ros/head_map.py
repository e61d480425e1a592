# SPDX-License-Identifier: Apache-2.0
"""What the patches of the vision tower tell of heads, beside the text that the model writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


def probability(logits: ArrayLike) -> NDArray[np.float64]:
    """Probabilities, 0..1, of logits of any shape, cut at +-50 so that exp does not overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(np.asarray(logits, dtype=float), -50, 50))))


@dataclass(frozen=True, eq=False)
class HeadMap:
    """One picture's patches.

    Attributes:
        logits: (rows, columns) that the middle of a head lies in the patch.
        edges: (rows, columns, 4) how far the left, upper, right and lower edge of that head's box
            are from the middle of the patch, in patches and outwards; None for models that do not
            tell.
    """

    logits: NDArray[np.float32]
    edges: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, patches: ArrayLike) -> HeadMap:
        """From what a model computes of each patch of a square picture, row by row: (N,) or (N, 1)
        logits, or (N, 5) logits and edges."""
        values = np.asarray(patches, dtype=np.float32)
        side = round(len(values) ** 0.5)
        grid = values.reshape(side, side, -1)
        return cls(grid[..., 0], grid[..., 1:] if grid.shape[-1] > 1 else None)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(rows, columns), of the logits."""
        return probability(self.logits)

    def boxes(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """(rows, columns, 4) the boxes in pixels of a picture of `size` = (height, width), cut at
        its border; ValueError for a map without edges."""
        if self.edges is None:
            raise ValueError("this model's patches tell no boxes")
        rows, columns = self.logits.shape
        ys, xs = np.mgrid[:rows, :columns] + 0.5
        middles = np.stack([xs, ys, xs, ys], axis=-1)
        step = np.array([size[1] / columns, size[0] / rows] * 2)
        boxes = (middles + self.edges * [-1, -1, 1, 1]) * step
        return np.asarray(boxes.clip(0, [*size[::-1], *size[::-1]]))
