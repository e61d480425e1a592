# SPDX-License-Identifier: Apache-2.0
"""All categories, and the five ways in which they are parted into known and unknown ones."""

from __future__ import annotations

from . import animals, desk, fittings, seats, tools, vehicles, vessels
from .shape import Category

_FILES = (vessels, seats, fittings, desk, vehicles, tools, animals)
CATEGORIES: dict[str, Category] = {c.name: c for file in _FILES for c in file.CATEGORIES}
FOLDS = 5
_TEST, _VALIDATION = 6, 3


def split(fold: int) -> dict[str, tuple[str, ...]]:
    """The categories of train (21), val (3) and test (6) of a split 1 to 5.

    As MP-100's 70, 10 and 20 categories: those of one part are in no other, and over the five
    splits each category is tested once. ValueError for another number.
    """
    if not 1 <= fold <= FOLDS:
        raise ValueError(f"split {fold} is unknown; there are 1 to {FOLDS}")
    names = tuple(CATEGORIES)
    test = [names[(fold - 1 + FOLDS * i) % len(names)] for i in range(_TEST)]
    val = [names[fold % FOLDS + FOLDS * i] for i in range(_VALIDATION)]
    train = [name for name in names if name not in {*test, *val}]
    return {"train": tuple(train), "val": tuple(val), "test": tuple(test)}
