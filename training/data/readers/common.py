# SPDX-License-Identifier: Apache-2.0
"""What all readers share: a counted report of what was left out, and pictures' sizes."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hpe_vlm_ros.pictures import read_picture

from ..sample import Sample

EXAMPLES = 5
_log = logging.getLogger(__name__)


class NoLabel(ValueError):
    """Something that cannot be labelled, and why.

    `seen`: it may well show in the picture. `lost`: its angles are what fails, not its box; a
    picture of CMU Panoptic with such a head is left out.
    """

    def __init__(self, reason: str, seen: bool, lost: bool = False) -> None:
        super().__init__(reason)
        self.seen, self.lost = seen, lost


class Report:
    """What a reader kept and what it left out, with the reason, the count and a few names.

    `str(report)` is a table for people. `left_out` counts by reason; `kept` counts images, heads,
    expressions and things; `source` holds how many the source says there are, where it says so.
    What is amiss is logged as a warning, unless it is `printed` anyway.
    """

    def __init__(self, printed: bool = False) -> None:
        self._printed = printed
        self.left_out: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.source: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Keep what may be wrong with all that was read."""
        self.warnings.append(text)

    def leave_out(self, reason: str, name: object) -> None:
        """Count one thing that is not passed on; the first few names are kept as examples."""
        self.left_out[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(str(name))

    def leave_out_head(self, fault: NoLabel, name: object, sample: Sample) -> None:
        """Count a head that has no label; if it may show, the sample lacks it."""
        self.leave_out(str(fault), name)
        sample.all_heads &= not fault.seen

    def finish(self, samples: list[Sample], source: Mapping[str, int] | None = None) -> None:
        """Count what was kept, compare with the source's own counts and log what is amiss."""
        self.kept["images"] += len(samples)
        self.kept["heads"] += sum(len(sample.heads) for sample in samples)
        self.kept["expressions"] += sum(len(sample.expressions) for sample in samples)
        if things := sum(len(sample.things) for sample in samples):
            self.kept["things"] += things
        for unit, count in (source or {}).items():
            self.source[unit] = self.source.get(unit, 0) + count
        differs = any(self.kept[unit] != count for unit, count in self.source.items())
        amiss = self.left_out or self.warnings or differs
        if not self._printed:
            _log.log(logging.WARNING if amiss else logging.INFO, "%s", self)

    def __str__(self) -> str:
        lines = [f"warning: {text}" for text in self.warnings]
        for unit, count in self.kept.items():
            says = f" (the source counts {self.source[unit]:,})" if unit in self.source else ""
            if count or says:
                lines.append(f"kept {count:,} {unit}{says}")
        for reason, count in self.left_out.most_common():
            names = ", ".join(self.examples[reason])
            more = ", ..." if count > len(self.examples[reason]) else ""
            lines.append(f"left out {count:,}: {reason} ({names}{more})")
        return "\n".join(lines) or "nothing read"


@lru_cache(maxsize=1 << 18)
def picture_size(path: Path, decode: bool = False) -> tuple[int, int]:
    """(width, height) of a picture as `Sample.load` shows it, thus turned as its EXIF mark says.

    Only the header is read where the picture carries no such mark, unless `decode` asks for every
    pixel, which finds truncated files. Raises ValueError naming a file that is missing, no picture,
    or larger than Pillow opens (179 million pixels).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of marks that are odd, and of large pictures
            with Image.open(path) as image:
                size, marked = image.size, _may_be_turned(image, path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such picture") from None
    # Pillow raises whatever a damaged file leads it to, and for a huge one a kind of its own.
    except Exception as error:
        raise ValueError(f"{path}: not a readable picture ({error})") from error
    if not (decode or marked):
        return size
    height, width, _ = read_picture(path).shape  # marks that are odd turn it as OpenCV takes them
    return width, height


def _may_be_turned(image: Image.Image, path: Path) -> bool:
    """Whether the file holds what may be an EXIF mark, or is of a format where that is unknown."""
    if image.format == "JPEG":
        return any(name == "APP1" for name, _ in image.applist)
    if image.format == "PNG":
        return b"eXIf" in _png_chunks(path)
    return True


def _png_chunks(path: Path) -> list[bytes]:
    """The types of a PNG file's chunks (PNG specification, 5.3); a mark may follow the pixels."""
    types = []
    with path.open("rb") as file:
        file.seek(8)  # the signature
        while len(head := file.read(8)) == 8:
            types.append(head[4:])
            file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)  # and the checksum
    return types


def usable_picture(
    path: Path, report: Report, size: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """The picture's (width, height), or None after counting why it cannot be used.

    `size` is what the labels say: boxes of a picture that is another size would be wrong.
    """
    try:
        found = picture_size(path)
    except ValueError:
        report.leave_out("picture unreadable" if os.path.exists(path) else "picture missing", path)
        return None
    if size is not None and size != found:
        report.leave_out("picture of another size than its labels", f"{path} {found} not {size}")
        return None
    return found


def clip_xywh(box: Any, size: tuple[int, int], what: str = "head") -> np.ndarray:
    """x0 y0 x1 y1 (4,) float of the part of [x, y, w, h] in a picture of `size` (width, height).

    Raises NoLabel for a box outside the picture and for what is not four finite numbers.
    """
    try:
        x, y, w, h = np.asarray(box, dtype=float)
    except (TypeError, ValueError):
        raise NoLabel(f"{what} without a box", seen=True) from None
    if not np.isfinite((x, y, w, h)).all():
        raise NoLabel(f"{what} without a box", seen=True)
    clipped: np.ndarray = np.clip((x, y, x + w, y + h), 0, (*size, *size))
    if not (clipped[0] < clipped[2] and clipped[1] < clipped[3]):
        raise NoLabel(f"{what} outside the picture", seen=False)
    return clipped


def read_json(path: Path) -> Any:
    """Contents of a JSON file; FileNotFoundError or ValueError naming it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not a JSON file ({error}); download it again") from error
