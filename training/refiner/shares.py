# SPDX-License-Identifier: Apache-2.0
"""How often each square is drawn: groups in fixed shares, and what is hard more often."""

from __future__ import annotations

import numpy as np

from .crops import Crops

PHOTOS = 0.75  # share of the heads drawn that are photographed
HEADS = 0.55  # share of the squares drawn that show a head
FACING = 0.25, 0.2, 0.3, 0.25  # shares of the heads drawn, see `facing`
STEEP_PITCH = 12.0  # degrees up or down from which heads are drawn STEEP_FACTOR times as often
STEEP_FACTOR = 3.0
# How often a square is drawn, for those of its group: EASY and its cross-entropy of presence, at
# most HARDEST, as the largest ones come from wrong labels.
EASY, HARDEST = 0.4, 2.0


def facing(crops: Crops) -> np.ndarray:
    """(N,) 0 for heads that look at the camera, 1 for half profiles, 2 for profiles and heads of
    unknown rotation, 3 for backs of heads: turned by up to 30, 60, 120 or more degrees away from
    the camera, which no turn (the identity) looks at."""
    away = -np.nan_to_num(crops.rotations[:, 2, 2])
    return np.asarray(np.digitize(away, -np.cos(np.radians((30, 60, 120)))))


def chances(crops: Crops, errors: np.ndarray | None = None) -> np.ndarray:
    """(N,) how often each square is drawn: heads of photographs and of renders, and what is none,
    in fixed shares; faces, half profiles, profiles and backs among heads alike in fixed shares, as
    photographers take few backs; within them those with large `errors` (N,), cross-entropies, more
    often, and those that look up or down: of photographed faces one in 25 does so by 15 degrees."""
    each = np.ones(len(crops.heads)) if errors is None else EASY + np.minimum(errors, HARDEST)
    lifted = np.abs(np.nan_to_num(crops.rotations[:, 1, 2]))
    each[lifted > np.sin(np.radians(STEEP_PITCH))] *= STEEP_FACTOR
    sectors = facing(crops)
    groups = {
        (True, True): HEADS * PHOTOS, (True, False): HEADS * (1 - PHOTOS),
        (False, True): 0.9 * (1 - HEADS), (False, False): 0.1 * (1 - HEADS),
    }  # fmt: skip
    weights = np.zeros(len(crops.heads))
    for (head, photo), share in groups.items():
        rows = (crops.heads == head) & (crops.photos == photo)
        if not rows.any():
            continue
        drawn = each.copy()
        for sector, part in enumerate(FACING if head else ()):
            inside = rows & (sectors == sector)
            drawn[inside] *= part / max(each[inside].sum(), 1e-9)
        weights[rows] = share * drawn[rows] / drawn[rows].sum()
    return weights
