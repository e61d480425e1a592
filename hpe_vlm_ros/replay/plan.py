# SPDX-License-Identifier: Apache-2.0
"""What a run is to do: its settings, and the slices into which its recordings are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hpe_vlm_ros.recordings.frames import Recording

SLICE = 64
"""Frames that are perceived, kept and sent about together; what a killed worker has to repeat."""


@dataclass(frozen=True)
class Settings:
    """What decides a run's results; a resumed run must have the same.

    every: perceive each n-th frame. limit: frames of each recording, 0 for all. free_every: ask
    about each n-th frame without grammar as well, for E_angle; 0 for never. model: its id.
    rectified, rotate: as the node's parameters.
    """

    model: str
    max_heads: int = 20
    tiles: int = 0
    mirror: str = "auto"
    refine: bool = True
    every: int = 1
    limit: int = 0
    free_every: int = 10
    slice: int = SLICE
    rectified: str = "auto"
    rotate: int = 0
    recordings: tuple[tuple[str, int, int], ...] = ()  # id, frames, bytes or stamp of the last

    def as_json(self) -> dict[str, Any]:
        """As run.json keeps it, by which a run is taken up again only under the same settings."""
        values = asdict(self)
        values["recordings"] = [list(entry) for entry in self.recordings]
        return values


@dataclass(frozen=True)
class Slice:
    """Consecutive frames of one recording; `key` names them in the run's folder."""

    key: str
    recording: Recording


def identify(recordings: Sequence[Recording]) -> tuple[tuple[str, int, int], ...]:
    """What tells a recording from another of the same name: how many frames, and the last one."""
    return tuple((r.id, len(r.frames), r.frames[-1].recorded) for r in recordings)


def selected(recording: Recording, settings: Settings) -> Recording:
    """The recording with only the frames to be perceived."""
    frames = recording.frames[:: settings.every]
    return recording.only(frames[: settings.limit or None])


def slices(recordings: Sequence[Recording], settings: Settings) -> list[Slice]:
    """All recordings cut into slices, in order; the same for the same settings."""
    cut = []
    for place, whole in enumerate(recordings):
        recording = selected(whole, settings)
        for first in range(0, len(recording.frames), settings.slice):
            part = recording.only(recording.frames[first : first + settings.slice])
            low, high = part.frames[0].number, part.frames[-1].number
            cut.append(Slice(f"{place:03d}-{low:08d}-{high:08d}", part))
    return cut
