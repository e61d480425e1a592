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

Named = Sequence[tuple[str, tuple[float, float, float, float]]]  # id and box


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
        self._said: dict[str, int] = defaultdict(int)
        self._last: dict[str, str] = {}
        self.switches = 0

    def frame(self, true: Named, said: Named) -> None:
        """True and predicted heads of one image."""
        for name, _ in true:
            self._true[name] += 1
        for name, _ in said:
            self._said[name] += 1
        if not true or not said:
            return
        overlap = box_iou([box for _, box in true], [box for _, box in said])
        for i, j in np.argwhere(overlap >= self._iou):
            self._together[true[i][0], said[j][0]] += 1
        rows, columns = linear_sum_assignment(-overlap)
        for i, j in zip(rows, columns, strict=True):
            if overlap[i, j] >= self._iou:
                name, new = true[i][0], said[j][0]
                self.switches += self._last.get(name, new) != new
                self._last[name] = new

    def idf1(self) -> float:
        """Twice the frames in which each person bears the one id that suits best, over all."""
        names, ids = sorted(self._true), sorted(self._said)
        total = sum(self._true.values()) + sum(self._said.values())
        if not names or not ids:
            return 0.0
        table = np.array([[self._together.get((n, i), 0) for i in ids] for n in names])
        rows, columns = linear_sum_assignment(-table)
        return 2 * float(table[rows, columns].sum()) / total
