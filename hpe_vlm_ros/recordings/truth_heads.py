# SPDX-License-Identifier: Apache-2.0
"""True heads of a file, and what is amiss with those that are of no or little use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.geometry import (
    angles_from_rotation,
    matrix_from_quaternion,
    nearest_rotation,
    rotation_from_angles,
    rotation_from_face,
)
from hpe_vlm_ros.labels import labelled_angles, look_like_radians

from .frames import ReplayError
from .records import Head, rounded
from .truth import Entry

ANGLES = ("yaw", "pitch", "roll")
NAMES = ("stamp", "stamp_ns", "frame", "image")
SHOWN = 3
FAULTS = (ValueError, KeyError, TypeError, OverflowError, AttributeError)
"""What reading a value raises that is missing, of another kind, or out of bounds."""


class TrueHeads:
    """Makes heads of a file's fields; keeps count of those that it cannot make.

    A head without a valid box is left out, which leaves its frame labelled in part. One without a
    valid pose has a box only: it counts for recall and precision, not for errors of angles.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._count = path, 0
        self._triples: list[Sequence[float]] = []
        self._without_box: list[str] = []
        self._without_pose: list[str] = []

    def head(self, where: str, fields: Callable[[], Mapping[str, Any]]) -> Head | None:
        """None for one that is left out. where: line or number, for messages. fields: box and
        others as in JSON; what it raises is a fault of the head's."""
        self._count += 1
        try:
            given = fields()
            box = _box(given["box"])
            visible, name = float(given.get("visible", 1.0)), str(given.get("id", ""))
            if not visible >= 0:  # NaN would count as hidden
                raise ValueError(f"visible {visible} must be a share from 0 to 1")
            position = _position(given.get("position"))
        except FAULTS as error:
            self._without_box.append(f"{where}: {reason(error)}")
            return None
        head = Head(box, None, None, None, (), id=name, position=position, visible=visible)
        try:
            rotation, angles = self._pose(given)
        except FAULTS as error:
            self._without_pose.append(f"{where}: {reason(error)}")
            return head
        return true_head(box, rotation, visible, name, position, angles)

    def notes(self, needed: str = "") -> list[str]:
        """What to tell of the file; ReplayError when none of its heads has a box and a pose.

        needed: what heads need in this format.
        """
        faults = self._without_box + self._without_pose
        if faults and len(faults) == self._count:
            raise ReplayError(f"{self._path}, {faults[0]}{needed}")
        found = []
        for bad, what in (
            (
                self._without_box,
                "left out: not readable; in their frames no answer is a false alarm",
            ),
            (self._without_pose, "without a pose: counted as heads, not for errors of angles"),
        ):
            if bad:
                more = "; ..." if len(bad) > SHOWN else ""
                shown = f"{'; '.join(bad[:SHOWN])}{more}"
                found.append(
                    f"{self._path.name}: {len(bad)} of {self._count} heads {what} ({shown})"
                )
        if look_like_radians(self._triples):
            found.append(
                f"{self._path.name}: no angle is above {math.pi:.2f}, as if they were in radians: "
                "give them in degrees"
            )
        return found

    def _pose(self, fields: Mapping[str, Any]) -> tuple[Any, Sequence[float] | None]:
        """Rotation, and the triple where it is known."""
        if "rotation" in fields:
            rotation = np.asarray(fields["rotation"], dtype=float).reshape(3, 3)
            return nearest_rotation(rotation), None
        if "quaternion" in fields:
            quaternion = [float(v) for v in fields["quaternion"]]
            return rotation_from_face(matrix_from_quaternion(quaternion)), None
        triple = labelled_angles(*_triple(fields))
        self._triples.append(triple)
        # At profile the rotation alone would choose other angles.
        return rotation_from_angles(*triple), triple


def true_head(
    box: Sequence[float],
    rotation: Any,
    visible: float = 1.0,
    id: str = "",
    position: Sequence[float] | None = None,
    angles: Sequence[float] | None = None,
) -> Head:
    """A head of known pose; `angles` (degrees) where they are known better than from rotation.

    ValueError for a box turned inside out, or what is not a rotation or a number.
    """
    matrix = nearest_rotation(rotation)
    triple = angles if angles is not None else angles_from_rotation(matrix)
    yaw, pitch, roll = rounded(triple, 4) if triple is not None else (None, None, None)
    place = None if position is None else rounded(position, 5)
    share = float(visible)
    return Head(_box(box), yaw, pitch, roll, rounded(matrix, 7), id=id, position=place,
                visible=share)  # fmt: skip


def named_entry(row: Mapping[str, Any], heads: Sequence[Head | None], where: str) -> Entry:
    """The heads of the frame that a row names; ValueError where it names none."""
    recording = str(row["recording"]) if "recording" in row else None
    entry = partial(entry_of, heads, recording=recording, where=where)
    if "stamp_ns" in row:
        return entry(stamp=_whole(row["stamp_ns"]))
    if "stamp" in row:
        try:
            stamp = int(Decimal(str(row["stamp"])) * 10**9)
        except (InvalidOperation, OverflowError, ValueError) as error:
            raise ValueError(f"stamp {row['stamp']!r} is no number of seconds") from error
        return entry(stamp=stamp)
    if "frame" in row:
        return entry(number=_whole(row["frame"]))
    if "image" in row:
        return entry(image=str(row["image"]))
    raise ValueError(f"names no frame: needs one of {', '.join(NAMES)}")


def entry_of(heads: Sequence[Head | None], **name: Any) -> Entry:
    """The heads of a frame, some of which may have been left out."""
    known = tuple(head for head in heads if head is not None)
    return Entry(known, in_part=len(known) < len(heads), **name)


def reason(error: Exception) -> str:
    """What a message says of an error; a KeyError alone would name the key only."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _box(values: Any) -> tuple[float, ...]:
    edges = [float(v) for v in values]
    if len(edges) != 4 or not all(map(math.isfinite, edges)):
        raise ValueError(f"box {edges} must be four numbers: x0, y0, x1, y1")
    if not (edges[0] < edges[2] and edges[1] < edges[3]):
        raise ValueError(f"box {edges} must have x0 < x1 and y0 < y1")
    return rounded(edges, 3)


def _position(place: Any) -> tuple[float, ...] | None:
    """None where it is not given or not finite."""
    if place is None:
        return None
    x, y, z = (float(v) for v in place)
    return rounded((x, y, z), 5) if all(map(math.isfinite, (x, y, z))) else None


def _triple(fields: Mapping[str, Any]) -> list[Any]:
    """Yaw, pitch, roll; in COCO's style they are pitch, yaw, roll."""
    if "euler_angles" not in fields:
        return [fields[name] for name in ANGLES]
    angles = fields["euler_angles"]
    if angles is None:
        raise KeyError("euler_angles")
    if len(angles) != 3:
        raise ValueError(f"euler_angles {angles} must be pitch, yaw, roll")
    pitch, yaw, roll = angles
    return [yaw, pitch, roll]


def _whole(value: Any) -> int:
    """Of 7, "7" and "7.0", which tables of numbers turn integers into."""
    try:
        number = Decimal(str(value))
        if number == number.to_integral_value():
            return int(number)
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise ValueError(f"{value!r} is no whole number")
