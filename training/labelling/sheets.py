# SPDX-License-Identifier: Apache-2.0
"""Sheets to judge: photographs with numbered proposals and rulers in their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .proposals import Proposal
from .propose import CROWD, is_portrait, proposals_of

SHEET = (1500, 1500)  # pixels, width and height a sheet may have
MARGIN = 26  # of the rulers
MANY = 9  # proposals from which on a photograph has a sheet of its own
SURE, DOUBTFUL = (40, 220, 40), (0, 150, 255)  # BGR: sure faces, and what must be judged


def write_sheets(photos: Path, rows: Sequence[dict[str, Any]], out: Path, part: str) -> int:
    """Write sheet_0001.jpg, ... and sheets.txt to `out`; returns how many.

    Portraits that are labelled by rule and crowds are left out. `part` is the part of the rows to
    be judged: "train", "test", or "all".
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = [row for row in rows if part in ("all", row.get("part", "train"))]
    wanted = [row for row in wanted if not is_portrait(row)]
    wanted = [row for row in wanted if len(row["proposals"]) <= CROWD]
    count = 0
    with (out / "sheets.txt").open("w") as index:
        for count, group in enumerate(_grouped(wanted), start=1):
            sheet = _stack([draw(photos / row["image"], row, _zoom(row)) for row in group])
            name = f"sheet_{count:04d}.jpg"
            cv2.imwrite(str(out / name), sheet, [cv2.IMWRITE_JPEG_QUALITY, 90])
            listed = ", ".join(f"{row['id']} ({row['image']})" for row in group)
            index.write(f"{name}: {listed}\n")
    return count


def _zoom(row: dict[str, Any]) -> float:
    """Screen pixels a photograph's pixel gets."""
    most = SHEET[0] if len(row["proposals"]) >= MANY else SHEET[0] / 2 - MARGIN
    return min(2.4, (most - MARGIN) / row["width"], (SHEET[1] / 1.5) / row["height"])


def _grouped(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Photographs with many proposals alone, others by four."""
    few: list[dict[str, Any]] = []
    for row in rows:
        if len(row["proposals"]) >= MANY:
            yield [row]
            continue
        few.append(row)
        if len(few) == 4:
            yield few
            few = []
    if few:
        yield few


def draw(path: Path, row: dict[str, Any], zoom: float) -> np.ndarray:
    """A photograph, BGR, with rulers, its id, and numbered boxes with the sectors proposed."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(f"{path}: no readable picture; is PHOTOS the right folder?")
    grown = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    height, width = grown.shape[:2]
    for number, proposal in enumerate(proposals_of(row), start=1):
        _draw_box(grown, number, proposal, zoom)
    canvas = np.full((height + 2 * MARGIN, width + MARGIN, 3), 255, np.uint8)
    canvas[2 * MARGIN :, MARGIN:] = grown
    _text(canvas, f"{row['id']}  {row['width']}x{row['height']}", (MARGIN, 20), 0.6, (0, 0, 0))
    for value in range(0, row["width"], 50):
        x = MARGIN + round(value * zoom)
        cv2.line(canvas, (x, 2 * MARGIN - 6), (x, 2 * MARGIN - 1), (0, 0, 0), 1)
        _text(canvas, str(value), (x - 10, 2 * MARGIN - 8), 0.35, (0, 0, 0))
    for value in range(0, row["height"], 50):
        y = 2 * MARGIN + round(value * zoom)
        cv2.line(canvas, (MARGIN - 5, y), (MARGIN - 1, y), (0, 0, 0), 1)
        _text(canvas, str(value), (0, y + 4), 0.35, (0, 0, 0))
    return canvas


def _draw_box(canvas: np.ndarray, number: int, proposal: Proposal, zoom: float) -> None:
    x0, y0, x1, y1 = (round(v * zoom) for v in proposal.box)
    colour = SURE if proposal.is_sure else DOUBTFUL
    cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, 1)
    label = f"{number}{'' if proposal.sector is None else ' ' + proposal.sector}"
    (wide, high), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    top = y0 - 3 if y0 > high + 6 else min(y1 + high + 4, canvas.shape[0] - 2)
    cv2.rectangle(canvas, (x0, top - high - 2), (x0 + wide + 2, top + 2), (0, 0, 0), -1)
    _text(canvas, label, (x0 + 1, top), 0.42, colour)


def _text(
    canvas: np.ndarray, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]
) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _stack(drawn: Sequence[np.ndarray]) -> np.ndarray:
    """Up to four pictures, two a row."""
    rows = [_beside(drawn[i : i + 2]) for i in range(0, len(drawn), 2)]
    width = max(row.shape[1] for row in rows)
    return np.vstack([_padded(row, row.shape[0], width) for row in rows])


def _beside(drawn: Sequence[np.ndarray]) -> np.ndarray:
    height = max(picture.shape[0] for picture in drawn)
    return np.hstack([_padded(picture, height, picture.shape[1] + 8) for picture in drawn])


def _padded(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    below, beside = height - picture.shape[0], width - picture.shape[1]
    return cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=(255,) * 3)
