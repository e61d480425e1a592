# SPDX-License-Identifier: Apache-2.0
"""Folders of pictures as recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hpe_vlm_ros.camera_model import Calibration
from hpe_vlm_ros.pictures import NOT_READ, PICTURES, pictures_below, read_picture

from .frames import Frame, FrameInfo, ReplayError

FRAME_ID = "camera_optical"


@dataclass(frozen=True)
class Pictures:
    """See `Recording`. Pictures have no time: `FrameInfo.recorded` counts seconds from one."""

    id: str
    path: str
    frames: tuple[FrameInfo, ...]
    notes: tuple[str, ...] = ()

    kind = "pictures"
    topic = ""
    sequence = False

    def only(self, frames: Sequence[FrameInfo]) -> Pictures:
        return replace(self, frames=tuple(frames))

    def read(self) -> Iterator[Frame]:
        folder = Path(self.path)
        for info in self.frames:
            file = folder / info.name if folder.is_dir() else folder
            size = file.stat().st_size if file.is_file() else 0
            yield Frame(info, FRAME_ID, size, partial(read_picture, file))

    def camera(self, info: FrameInfo) -> Calibration | None:
        """None: files of pictures bring no calibration."""
        return None


def open_pictures(path: Path, id: str) -> Pictures:
    """A picture, or all pictures below a folder by name; ReplayError when there are none."""
    names = [path.name] if path.is_file() else pictures_below(path)
    notes = _not_read(path)
    if not names:
        why = f"neither a rosbag2 nor pictures ({' '.join(PICTURES)})"
        raise ReplayError("; ".join((f"{path}: {why}", *notes)))
    # a second apart, and from 1 on: a stamp of zero would mean that there is none
    frames = [FrameInfo(i, 0, (i + 1) * 10**9, name=name) for i, name in enumerate(names)]
    return Pictures(id, str(path), tuple(frames), notes)


def _not_read(folder: Path) -> tuple[str, ...]:
    """A note on the pictures below a folder that are of a kind which OpenCV does not read."""
    names = pictures_below(folder, NOT_READ)
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (
        f"{len(names)} picture{'s'[: len(names) != 1]} left out, of a kind that OpenCV does not "
        f"read ({shown}): convert to JPEG or PNG",
    )
