# SPDX-License-Identifier: Apache-2.0
"""Ground truth: who is where in which frame, and its matching with the frames of a run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from .frames import FrameInfo, Recording, ReplayError
from .records import Head

Key = tuple[str, int]
TOLERANCE = 1_000_000
"""Nanoseconds by which a stamp may miss its frame: text files round them."""


@dataclass(frozen=True)
class Entry:
    """The heads of one frame, which is named by one of stamp (ns), number and image (file name).

    recording: where the name alone could mean several frames. where: file and line, for messages.
    in_part: other heads show as well, which could not be read.
    """

    heads: tuple[Head, ...]
    stamp: int | None = None
    number: int | None = None
    image: str | None = None
    recording: str | None = None
    where: str = ""
    in_part: bool = False


@dataclass(frozen=True)
class Truth:
    """True heads by frame (recording, number); a frame that is missing is not labelled.

    in_part: frames with others as well, where an answer that matches none is no false alarm.
    """

    heads: dict[Key, tuple[Head, ...]]
    notes: tuple[str, ...] = ()
    in_part: frozenset[Key] = frozenset()


def match(
    entries: Sequence[Entry],
    recordings: Sequence[Recording],
    name: str,
    tolerance: int = TOLERANCE,
) -> Truth:
    """Truth by frame; entries about the same frame are joined.

    tolerance: ns by which stamps may differ. ReplayError when no entry matches a frame, with the
    nearest stamps; entries that match none beside others that do are noted.
    """
    lists = [_Frames(recording) for recording in recordings]
    heads: dict[Key, tuple[Head, ...]] = {}
    missed, in_part = [], set[Key]()
    for entry in entries:
        candidates = [f for f in lists if entry.recording in (None, f.recording.id)]
        key = next((k for f in candidates if (k := f.find(entry, tolerance)) is not None), None)
        if key is None:
            missed.append(entry)
        else:
            heads[key] = heads.get(key, ()) + entry.heads
            in_part |= {key} if entry.in_part else set()
    if not heads:
        raise ReplayError(_nothing(entries, lists, name, tolerance))
    notes = [f"{len(missed)} of {len(entries)} entries of {name} match no frame"] if missed else []
    return Truth(heads, (*notes, *_from_one(entries, lists, name)), frozenset(in_part))


def _from_one(entries: Sequence[Entry], lists: Sequence[_Frames], name: str) -> list[str]:
    """A note where frames seem to be counted from 1: then all are compared with the one before."""
    numbers = {entry.number for entry in entries if entry.number is not None}
    for frames in lists:
        if numbers and min(numbers) == 1 and max(numbers) == max(frames.numbers) + 1:
            return [f"{name}: seems to count frames from 1; here the first one is frame 0"]
    return []


class _Frames:
    """The frames of a recording by each of their names."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.by_time: list[FrameInfo] = []
        if recording.kind != "pictures":  # which have no time
            self.by_time = sorted(recording.frames, key=lambda f: (f.time, f.number))
        self.times = [frame.time for frame in self.by_time]
        self.numbers = {frame.number for frame in recording.frames}
        self.images = {frame.name: frame.number for frame in recording.frames if frame.name}
        last: dict[str, int] = {}
        for name, number in self.images.items():
            base = PurePosixPath(name).name
            last[base] = -1 if base in last else number
        self.bases = {base: number for base, number in last.items() if number >= 0}

    def find(self, entry: Entry, tolerance: int) -> Key | None:
        number = self._number(entry, tolerance)
        return None if number is None else (self.recording.id, number)

    def nearest(self, stamp: int) -> FrameInfo | None:
        """The frame with the nearest time; of several, the first."""
        place = bisect_left(self.times, stamp)
        around = self.by_time[max(place - 1, 0) : place + 1]
        return min(around, key=lambda f: abs(f.time - stamp), default=None)

    def _number(self, entry: Entry, tolerance: int) -> int | None:
        if entry.image is not None:
            exact = self.images.get(PurePosixPath(entry.image).as_posix())
            # Windows' paths too; it takes both kinds of slashes.
            base = PureWindowsPath(entry.image).name
            return self.bases.get(base) if exact is None else exact
        if entry.number is not None:
            return entry.number if entry.number in self.numbers else None
        frame = self.nearest(entry.stamp or 0)
        near = frame is not None and abs(frame.time - (entry.stamp or 0)) <= tolerance
        return frame.number if near and frame is not None else None


def _nothing(entries: Sequence[Entry], lists: Sequence[_Frames], name: str, tolerance: int) -> str:
    """Why nothing matches, with what would be nearest."""
    if not entries:
        return f"{name}: holds no ground truth; check the file"
    lines = [f"{name}: none of its {len(entries)} entries matches a frame. For example:"]
    for entry in entries[:3]:
        if entry.stamp is not None:
            found = [f for frames in lists if (f := frames.nearest(entry.stamp)) is not None]
            best = min(found, key=lambda f: abs(f.time - (entry.stamp or 0)), default=None)
            line = f"stamp {seconds(entry.stamp)}; no frame has a stamp"
            if best is not None:
                off = (entry.stamp - best.time) / 1e9
                line = f"stamp {seconds(entry.stamp)}; nearest frame {seconds(best.time)}"
                line += f" ({off:+.6f} s off)"
        elif entry.image is not None:
            names = sorted(n for frames in lists for n in frames.images)
            line = f"image {entry.image}; images are {', '.join(names[:3]) or 'not named'} ..."
        else:
            counts = ", ".join(str(len(frames.numbers)) for frames in lists)
            line = f"frame {entry.number}; there are frames 0 up to {counts}"
        lines.append(f"  {line}")
    known = ", ".join(f.recording.id for f in lists)
    if any(e.recording is not None for e in entries):
        lines.append(f"  recordings are called {known}")
    lines.append(
        f"  Stamps may differ by {tolerance / 1e9:g} s (--truth-tolerance); is it the truth of "
        "this recording, and in the same clock?"
    )
    return "\n".join(lines)


def seconds(stamp: int) -> str:
    """Nanoseconds as seconds, to the last digit."""
    return f"{stamp // 10**9}.{stamp % 10**9:09d}"


def joined(parts: Iterable[Truth]) -> Truth:
    """Truth of several sources; of the same frame, the last one's."""
    heads: dict[Key, tuple[Head, ...]] = {}
    notes: list[str] = []
    in_part: frozenset[Key] = frozenset()
    for part in parts:
        heads |= part.heads
        notes += part.notes
        in_part = (in_part - part.heads.keys()) | part.in_part
    return Truth(heads, tuple(notes), in_part)
