# SPDX-License-Identifier: Apache-2.0
"""What a recording is made of: frames with their stamps, and pixels on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.camera_model import Calibration

Rgb = NDArray[np.uint8]


class ReplayError(ValueError):
    """Something the user can mend; the text names it and the remedy."""


def named_note(id: str, note: str) -> str:
    """A note about a recording with its name, unless it begins with that."""
    return note if note.startswith(id) else f"{id}: {note}"


@dataclass(frozen=True)
class FrameInfo:
    """A frame's place in its recording.

    number: from 0, in the order of recording. stamp: nanoseconds of its header, 0 when it has none.
    recorded: nanoseconds, when it was recorded. nth: which of the frames recorded at that very
    time. name: a picture's file name below its folder.
    """

    number: int
    stamp: int
    recorded: int
    nth: int = 0
    name: str = ""

    @property
    def time(self) -> int:
        """Nanoseconds: the stamp, or where there is none the time of recording."""
        return self.stamp or self.recorded


@dataclass(frozen=True)
class Frame:
    """A frame as it was read. `rgb` decodes it, an ImageError says why that cannot be done."""

    info: FrameInfo
    frame_id: str
    size: int  # bytes as stored
    rgb: Callable[[], Rgb]


class Recording(Protocol):
    """A bag's image topic, a video, or a folder of pictures; small enough to send to workers.

    id: its name in results, unique in a run. sequence: whether frames follow each other in time.
    notes: what the user must know, such as losses. topic: of a bag, else empty.
    """

    @property
    def id(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def sequence(self) -> bool: ...
    @property
    def frames(self) -> tuple[FrameInfo, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def only(self, frames: Sequence[FrameInfo]) -> Recording:
        """The same with these frames alone."""

    def read(self) -> Iterator[Frame]:
        """Its frames in order; a ReplayError when one that was there has gone."""

    def camera(self, info: FrameInfo) -> Calibration | None:
        """The calibration in force at a frame."""
