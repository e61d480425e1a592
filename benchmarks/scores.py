# SPDX-License-Identifier: Apache-2.0
"""Scores of identities over time and of yes-or-no judgements; pure numpy and scipy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from hpe_vlm_ros.geometry import box_iou

Box = tuple[float, float, float, float]
Named = Sequence[tuple[str, Box]]  # id and box
NEAR = 0.3  # overlap with an ignored head from which a prediction is about it


def area_under_curve(scores: ArrayLike, truth: ArrayLike) -> float | None:
    """Area under the receiver operating characteristic (Mann and Whitney); None without both."""
    score, yes = np.asarray(scores, dtype=float), np.asarray(truth, dtype=bool)
    known = np.isfinite(score)
    score, yes = score[known], yes[known]
    positive, negative = int(yes.sum()), int((~yes).sum())
    if not positive or not negative:
        return None
    ranks = float(rankdata(score)[yes].sum())
    return round((ranks - positive * (positive + 1) / 2) / (positive * negative), 4)


class Identities:
    """IDF1 and id switches (Ristani et al. 2016): frame by frame, then one verdict."""

    def __init__(self, iou: float = 0.5) -> None:
        self._iou = iou
        self._together: dict[tuple[str, str], int] = defaultdict(int)
        self._true: dict[str, int] = defaultdict(int)
        self._predicted: dict[str, int] = defaultdict(int)
        self._last: dict[str, str] = {}
        self._scope = ""
        self.switches = 0

    def begin(self, scope: str) -> None:
        """From now on names and ids are those of another video: none of them has come before."""
        self._scope = f"{scope}/"

    def frame(self, true: Named, predicted: Named, ignored: Sequence[Box] = ()) -> None:
        """True and predicted heads of one image; predictions about `ignored` boxes, which are heads
        that need not be found, count neither for nor against."""
        true = [(self._scope + name, box) for name, box in true]
        predicted = [(self._scope + name, box) for name, box in predicted]
        overlap = box_iou([box for _, box in true], [box for _, box in predicted])
        pairs = []
        if true and predicted:
            rows, columns = linear_sum_assignment(-overlap)
            pairs = [p for p in zip(rows, columns, strict=True) if overlap[p] >= self._iou]
        taken = {j for _, j in pairs}
        for name, _ in true:
            self._true[name] += 1
        for j, (name, box) in enumerate(predicted):
            if j in taken or not (ignored and box_iou([box], ignored).max() >= NEAR):
                self._predicted[name] += 1
        for i, j in pairs:
            name, new = true[i][0], predicted[j][0]
            self._together[name, new] += 1
            self.switches += self._last.get(name, new) != new
            self._last[name] = new

    def idf1(self) -> float:
        """Twice the frames in which each person bears the one id that suits best, over all."""
        names, ids = sorted(self._true), sorted(self._predicted)
        total = sum(self._true.values()) + sum(self._predicted.values())
        if not names or not ids:
            return 0.0
        table = np.array([[self._together.get((n, i), 0) for i in ids] for n in names])
        rows, columns = linear_sum_assignment(-table)
        return 2 * float(table[rows, columns].sum()) / total
