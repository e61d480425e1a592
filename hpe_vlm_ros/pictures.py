# SPDX-License-Identifier: Apache-2.0
"""Coded pictures, in files and in messages: which files are pictures, and their pixels.

Node, replay, `predict`, demo and training all read pictures here, so that they agree on what is
one, which way up it is, and when it is too damaged to be used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

_SUFFIXES = {  # OpenCV's name of a format: the names that its files have
    ".jpg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    ".png": (".png",),
    ".bmp": (".bmp", ".dib"),
    ".webp": (".webp",),
    ".tiff": (".tif", ".tiff"),
    ".ppm": (".ppm", ".pgm", ".pbm", ".pnm"),
    # Not every build of OpenCV reads these.
    ".avif": (".avif",),
    ".gif": (".gif",),
    ".jp2": (".jp2",),
}
_FOREIGN = (".heic", ".heif", ".jxl", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw")

PICTURES = tuple(
    suffix for name, of in _SUFFIXES.items() if cv2.haveImageWriter(name) for suffix in of
)
"""How names of picture files end that this build of OpenCV reads, in lower case."""
NOT_READ = (*(s for of in _SUFFIXES.values() for s in of if s not in PICTURES), *_FOREIGN)
"""How names of picture files end that it does not read."""
_NOT_OF_THE_USER = ("__MACOSX", "@eaDir")  # what macOS puts into archives, NAS into folders


LONGEST = 1280  # pixels; the model sees less, and larger pictures only cost time


class ImageError(ValueError):
    """An image that cannot be used. The text says why and what to do; `kind` groups such texts."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def hush_opencv() -> None:
    """Keep OpenCV from printing about bad files, which errors name better; idempotent."""
    module = getattr(cv2.utils, "logging", cv2)  # its place before and since 4.12
    module.setLogLevel(0)


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture which OpenCV reads."""
    return path.suffix.lower() in PICTURES


def may_move(path: Path) -> bool:
    """Whether a picture may be a film too; among other pictures its first frame is taken."""
    return path.suffix.lower() == ".gif"


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is a system's own, such as `._a.jpg` or `__MACOSX`."""
    return name.startswith(".") or name in _NOT_OF_THE_USER


def pictures_below(folder: Path, suffixes: Sequence[str] = PICTURES) -> list[str]:
    """The files at any depth whose names end so, relative to `folder` with "/", sorted.

    Hidden ones are left out, and what lies in hidden folders.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            if not is_hidden(name) and name.lower().endswith(tuple(suffixes)):
                found.append(Path(place, name).relative_to(folder).as_posix())
    return sorted(found)


def read_picture(path: Path | str) -> Rgb:
    """uint8 (H, W, 3) RGB of a file, turned as its EXIF orientation says; ImageError names it."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageError("missing", f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise ImageError("missing", f"{path}: cannot be opened ({error})") from error
    try:
        return decode(data)
    except ImageError as error:
        raise ImageError(error.kind, f"{path}: {error}") from error


def decode(data: Any, upright: bool = True) -> Rgb:
    """uint8 (H, W, 3) RGB of a coded picture, such as a JPEG; of several frames the first.

    data: what has the buffer interface. upright: turned as OpenCV does it by the EXIF orientation;
    else as it was coded. A picture that is cut short is refused: OpenCV would fill it with grey
    if it read the file itself.
    Raises ImageError, without a name of the picture.
    """
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    coded = np.frombuffer(data, np.uint8)
    if coded.size == 0:
        raise ImageError("undecodable", "an empty file; copy it again")
    hush_opencv()
    try:
        bgr = cv2.imdecode(coded, flags)
        if bgr is not None:
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    except cv2.error as error:
        if "MAX_IMAGE" in error.err:
            raise ImageError("size", "more pixels than OpenCV reads; make it smaller") from error
        raise ImageError("undecodable", f"OpenCV cannot read it ({error.err})") from error
    raise ImageError(
        "undecodable",
        "not a picture that OpenCV reads, or cut short; copy it again or convert it to JPEG or PNG",
    )


def shrunk(rgb: Rgb, longest: int = LONGEST) -> Rgb:
    """The picture (H, W, 3), its longer side at most `longest` pixels."""
    ratio = longest / max(rgb.shape[:2])
    if ratio >= 1:
        return rgb
    size = [max(1, round(side * ratio)) for side in (rgb.shape[1], rgb.shape[0])]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
