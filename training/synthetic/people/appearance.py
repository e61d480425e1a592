# SPDX-License-Identifier: Apache-2.0
"""What of a rendered person can be put into words: body box, colour of the top, what is worn.

Taken from the finished picture, so that the words say what can be seen, not what was modelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from .. import Array, Integers

# Garments that a person may be told by: by their name, or any of a kind that is not named
NAMED = {
    "mask": "mask",
    "respirator": "mask",
    "beard": "beard",
    "fullbeard": "beard",
    "cap": "cap",
    "skullcap": "cap",
    "helmet": "helmet",
    "hood": "hood",
    "headscarf": "hood",
}
WORN = {"glasses": "glasses", "hat": "hat", "cover": "hat"}
ONE_COLOUR = 0.7  # share of the top that must have one colour to be called by it
ENOUGH = 60  # pixels of the top that must show

# Upper ends of hue intervals in OpenCV's half degrees
HUES = ((7, "red"), (21, "orange"), (34, "yellow"), (85, "green"), (131, "blue"), (152, "purple"))
NAMES = ("black", "white", "gray", "brown", "pink", *(name for _, name in HUES))


def colour_names(pixels: Integers) -> Integers:
    """Index into NAMES for each pixel (N, 3) uint8 RGB."""
    hsv = cv2.cvtColor(pixels[None], cv2.COLOR_RGB2HSV)[0].astype(int)
    hue, saturation, value = hsv.T
    edges = [end for end, _ in HUES]
    found = 5 + np.searchsorted(edges, hue, side="right") % len(HUES)  # past purple: red again
    red, orange = NAMES.index("red"), NAMES.index("orange")
    found[(found == orange) & (value < 150)] = NAMES.index("brown")
    found[(found == red) & (value > 170) & (saturation < 150)] = NAMES.index("pink")
    grey = saturation < 45
    found[grey] = NAMES.index("gray")
    found[grey & (value > 190)] = NAMES.index("white")
    found[value < 50] = NAMES.index("black")
    return found


def appearance_of(
    image: Integers,
    owners: Integers,
    owner: int,
    head: Array,
    garments: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """The label's words about one person.

    image (H, W, 3) uint8 and owners (H, W): whose pixel each is, `owner` for the body and
    `owner` + 1 for the head. head: box (4,) before clipping. garments: kind and name of each.
    Returns `body`, the box of all that shows (or None), `area`, its pixels, `top`, a colour name or
    None where none fits, and `wears`, a sorted list of words.
    """
    rows, columns = np.nonzero((owners == owner) | (owners == owner + 1))
    body = None
    if len(rows):
        body = [int(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]
    wears = {NAMED.get(name, WORN.get(kind)) for kind, name in garments} - {None}
    top = _top_colour(image, owners, owner, head)
    return {"body": body, "area": len(rows), "top": top, "wears": sorted(wears)}


def _top_colour(image: Integers, owners: Integers, owner: int, head: Array) -> str | None:
    """The colour of the chest: from a third to one and a third of a head below the chin."""
    x0, y0, x1, y1 = head
    height, width = y1 - y0, x1 - x0
    low, high = int(max(y1 + height / 3, 0)), int(max(y1 + height * 4 / 3, 0))
    left, right = int(max(x0 - width / 2, 0)), int(max(x1 + width / 2, 0))
    part = slice(low, high), slice(left, right)
    pixels = image[part][owners[part] == owner]
    if len(pixels) < ENOUGH:
        return None
    counts = np.bincount(colour_names(pixels), minlength=len(NAMES))
    best = int(counts.argmax())
    return NAMES[best] if counts[best] >= ONE_COLOUR * len(pixels) else None
