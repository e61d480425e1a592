# SPDX-License-Identifier: Apache-2.0
"""Heads in a stream of images: those of the image before are a draft of where they are now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .boxes import PixelBox
from .heads import Heads


class Follower:
    """Finds heads in the images of one camera, one after the other.

    With `every` above 1, only every so many images are searched without knowing anything. In those
    between, the boxes named in the image before are verified, which takes fewer forwards; where
    they are wrong, detection goes on as ever: newcomers and changed scenes are noticed at once.
    `slack` is how far, in thousandths of the image's side, a box may be off and still let the next
    ones stand. With 0 the result is that of a full detection (in 8 bits, up to their rounding).
    """

    def __init__(self) -> None:
        self._named: Sequence[PixelBox] = ()
        self._left = 0  # images to be drafted before the next full detection

    def find(
        self, perceiver: Any, image: Any, every: int = 1, slack: int = 0, **options: Any
    ) -> Heads:
        """As `perceiver(image, **options)`, a HeadPerceiver's."""
        if every <= 1 or self._left <= 0 or not self._named:
            heads, self._left = perceiver(image, **options), every - 1
        else:
            heads = perceiver(image, draft=self._named, slack=slack, **options)
            self._left -= 1
        self._named = getattr(heads, "named", ())
        return heads
