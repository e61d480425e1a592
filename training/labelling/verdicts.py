# SPDX-License-Identifier: Apache-2.0
"""What a reviewer writes, a line a photograph, and what it means.

    3f9a1c whole; 2 no; 4 ok; 5 B; 6 BL box 120,40,160,95; new 300,80,340,130 FR; ignore 0,0,90,60

The line begins with the photograph's id. Parts are separated by semicolons:

- `N ok`: proposal N is a head, and faces the sector drawn beside its number.
- `N SECTOR`: it is a head and faces SECTOR: F (the camera), FL, L, BL, B (back of the head), BR, R,
  FR; L and R are the image's sides. `N ?`: a head whose side cannot be told.
- `N no`: it is no head. `box x0,y0,x1,y1` behind a sector gives a head a better box.
- `new x0,y0,x1,y1 SECTOR`: a head that was not proposed.
- `ignore x0,y0,x1,y1`: a region whose heads are too small, too many or too blurred to label.
- `whole`: every head of the photograph is labelled or in an ignored region.
- `drop`: no photograph of people at all (a drawing, a screenshot): it is not used.

Sure faces (green) that are not mentioned are heads; every other proposal must be mentioned where
the photograph is `whole`. Lines that are empty or begin with # are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .proposals import SECTORS

Box = tuple[float, float, float, float]
NUMBERS = r"(-?\d+(?:\.\d+)?)"
BOX = re.compile(rf"^{NUMBERS},{NUMBERS},{NUMBERS},{NUMBERS}$")
UNKNOWN = "?"


@dataclass
class Verdict:
    """What one line says. Sectors are among SECTORS, "ok" as drawn, or "?"."""

    id: str
    whole: bool = False
    drop: bool = False
    heads: dict[int, tuple[str, Box | None]] = field(default_factory=dict)
    no: set[int] = field(default_factory=set)
    new: list[tuple[Box, str]] = field(default_factory=list)
    ignore: list[Box] = field(default_factory=list)


def read_verdicts(text: str, name: str = "verdicts") -> dict[str, Verdict]:
    """The verdicts of a text by photograph; the last line about one counts.

    Raises ValueError naming `name`, the line and the part that cannot be read.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            verdict = _read_line(line)
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {error}") from error
        found[verdict.id] = verdict
    return found


def _read_line(line: str) -> Verdict:
    name, _, rest = line.strip().partition(" ")
    verdict = Verdict(name)
    for part in filter(None, (p.strip() for p in rest.split(";"))):
        _read_part(verdict, part.split())
    return verdict


def _read_part(verdict: Verdict, words: list[str]) -> None:
    match words:
        case ["whole"]:
            verdict.whole = True
        case ["drop"]:
            verdict.drop = True
        case ["ignore", box]:
            verdict.ignore.append(_box(box))
        case ["new", box, sector]:
            verdict.new.append((_box(box), _sector(sector)))
        case [number, "no"] if number.isdigit():
            verdict.no.add(int(number))
        case [number, sector] if number.isdigit():
            verdict.heads[int(number)] = _judged_sector(sector), None
        case [number, sector, "box", box] if number.isdigit():
            verdict.heads[int(number)] = _judged_sector(sector), _box(box)
        case _:
            raise ValueError(f"{' '.join(words)!r} is no verdict; see labelling/verdicts.py")


def _judged_sector(word: str) -> str:
    return word if word == "ok" else _sector(word)


def _sector(word: str) -> str:
    if word not in SECTORS and word != UNKNOWN:
        raise ValueError(f"{word!r} is no sector: one of {', '.join(SECTORS)}, ?")
    return word


def _box(text: str) -> Box:
    match = BOX.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no box: x0,y0,x1,y1 in the photograph's pixels")
    x0, y0, x1, y1 = (float(v) for v in match.groups())
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"box {text} is empty: x0 < x1 and y0 < y1")
    return x0, y0, x1, y1
