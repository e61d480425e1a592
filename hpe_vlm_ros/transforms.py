# SPDX-License-Identifier: Apache-2.0
"""Frames over time: what /tf and /tf_static say, asked for the stamp of an image. Pure numpy.

tf2's own buffer is not to be had where ROS 2 comes from Python wheels, and one way for all installs
is one to test. Like tf2 it interpolates between two stamps and never guesses beyond the last.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .geometry import matrix_from_quaternion, rotation_from_vector, rotation_vector
from .wording import seconds

Array = NDArray[np.float64]
SECOND = 10**9


class TransformError(LookupError):
    """A frame's place is not known at that time; the text says which, and what to do."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Pose of a child frame in its parent: rotation (3, 3) and translation (3,) in metres."""

    rotation: Array
    translation: Array

    def __matmul__(self, inner: Placed) -> Placed:
        return Placed(
            self.rotation @ inner.rotation, self.rotation @ inner.translation + self.translation
        )

    def inverse(self) -> Placed:
        """The same from the other frame's view."""
        return Placed(self.rotation.T, -self.rotation.T @ self.translation)

    def towards(self, other: Placed, share: float) -> Placed:
        """Between this (share 0) and the other (share 1), at constant speeds."""
        turn = rotation_from_vector(share * rotation_vector(other.rotation @ self.rotation.T))
        return Placed(
            turn @ self.rotation, (1 - share) * self.translation + share * other.translation
        )


@dataclass
class _Edge:
    """A frame in its parent, over time; `stamps` ascend. No stamps: it never moves."""

    parent: str
    stamps: list[int] = field(default_factory=list)
    places: list[Placed] = field(default_factory=list)

    def at(self, child: str, stamp: int) -> Placed:
        if not self.stamps:
            return self.places[0]
        index = bisect.bisect_left(self.stamps, stamp)
        if index < len(self.stamps) and self.stamps[index] == stamp:
            return self.places[index]
        if index in (0, len(self.stamps)):
            known = self.stamps[0] if index == 0 else self.stamps[-1]
            side = "before the oldest" if index == 0 else "after the newest"
            raise TransformError(
                f"frame '{child}' is wanted {seconds(abs(stamp - known))} {side} transform "
                "known: check that it is published, and the clocks of its publisher and the camera"
            )
        before, after = self.stamps[index - 1], self.stamps[index]
        share = (stamp - before) / (after - before)
        return self.places[index - 1].towards(self.places[index], share)


class Frames:
    """A tree of frames. `keep` seconds of the past are kept of each. Not thread-safe.

    A transform that is more than `back` seconds older than the newest of its frame comes after time
    has jumped back, as when a bag starts again: whatever moves is forgotten then, since old places
    and new ones have the same stamps. Less may come of two publishers.
    """

    def __init__(self, keep: float = 10.0, back: float = 1.0) -> None:
        self._keep, self._back = int(keep * SECOND), int(back * SECOND)
        self._edges: dict[str, _Edge] = {}

    def clear(self) -> None:
        """Forgets what moves, as after a jump of time; what never moves stays."""
        self._edges = {child: edge for child, edge in self._edges.items() if not edge.stamps}

    def put(
        self,
        parent: str,
        child: str,
        stamp: int | None,
        translation: ArrayLike,
        quaternion: ArrayLike,
    ) -> None:
        """Pose of `child` in `parent` at `stamp` (nanoseconds; None: at any time).

        quaternion: x, y, z, w. ValueError where it is none; nothing is changed then.
        """
        place = Placed(matrix_from_quaternion(quaternion), np.asarray(translation, dtype=float))
        if not np.isfinite(place.translation).all() or parent == child:
            raise ValueError(f"transform of '{child}' in '{parent}' is not finite, or of itself")
        if stamp is None:
            self._edges[child] = _Edge(parent, [], [place])
            return
        edge = self._edges.get(child)
        if edge is not None and edge.stamps and stamp < edge.stamps[-1] - self._back:
            self.clear()
            edge = None
        if edge is None or edge.parent != parent or not edge.stamps:
            edge = self._edges[child] = _Edge(parent)
        index = bisect.bisect_left(edge.stamps, stamp)
        if index < len(edge.stamps) and edge.stamps[index] == stamp:
            edge.places[index] = place
            return
        edge.stamps.insert(index, stamp)
        edge.places.insert(index, place)
        old = bisect.bisect_left(edge.stamps, edge.stamps[-1] - self._keep)
        del edge.stamps[:old], edge.places[:old]

    def place(self, frame: str, seen_from: str, stamp: int) -> Placed:
        """Pose of `frame` in the frame `seen_from` at `stamp`; TransformError where unknown."""
        up, down = self._chain(seen_from), self._chain(frame)
        shared = next((name for name in down if name in up), None)
        if shared is None:
            raise TransformError(
                f"no transform connects '{frame}' to '{seen_from}': publish it on /tf or /tf_static"
            )
        return self._in(shared, up, stamp).inverse() @ self._in(shared, down, stamp)

    def _chain(self, frame: str) -> list[str]:
        """The frame, its parent, and so on; ends at the root, or where it would repeat itself."""
        chain = [frame]
        while (edge := self._edges.get(chain[-1])) is not None and edge.parent not in chain:
            chain.append(edge.parent)
        return chain

    def _in(self, ancestor: str, chain: list[str], stamp: int) -> Placed:
        """Pose of the chain's first frame in one of its ancestors."""
        result = Placed(np.eye(3), np.zeros(3))
        for child in chain[: chain.index(ancestor)]:
            result = self._edges[child].at(child, stamp) @ result
        return result
