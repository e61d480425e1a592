# SPDX-License-Identifier: Apache-2.0
"""Heads as a Rerun recording (.rrd): images, boxes, axes, and each person's angles over time.

`rerun FILE.rrd` shows it. Writing takes rerun-sdk: pip install rerun-sdk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.drawing import BOX_COLOUR, NOSE_COLOUR, X_COLOUR, Y_COLOUR

from .frames import FrameInfo, Recording, ReplayError, Rgb
from .records import FrameRecord

APPLICATION = "hpe_vlm_ros"
TIME, NUMBER = "image_time", "image"
"""The timelines: stamps of images, and their numbers from 0."""
JPEG_QUALITY = 88
ANGLES = ("yaw", "pitch", "roll")


def check_rerun(path: str | Path) -> Any:
    """The module; a ReplayError that says what to do without it, or for a file of another kind."""
    if Path(path).suffix != ".rrd":
        raise ReplayError(f"{path}: a file for the Rerun viewer is called .rrd")
    try:
        import rerun
    except ImportError as error:
        raise ReplayError("a .rrd file takes rerun-sdk: pip install rerun-sdk") from error
    return rerun


def write_rerun(
    path: Path, recordings: Sequence[Recording], records: Sequence[FrameRecord], images: bool
) -> None:
    """Writes what was found in recordings; `images`: whether their images are written too."""
    by_frame = {record.key: record for record in records if record.error is None}
    with RerunFile(path) as file:
        for recording in recordings:
            camera = "camera" if len(recordings) == 1 else recording.id
            known = [f for f in recording.frames if (recording.id, f.number) in by_frame]
            for info, rgb in _pixels(recording, known) if images else ((i, None) for i in known):
                heads = by_frame[recording.id, info.number].heads
                stamp = info.time if recording.sequence else None
                file.write(info.number, heads, rgb, stamp, info.name, camera)


def _pixels(
    recording: Recording, frames: Sequence[FrameInfo]
) -> Iterator[tuple[FrameInfo, Rgb | None]]:
    for frame in recording.only(frames).read() if frames else ():
        yield frame.info, frame.rgb()


class RerunFile:
    """A .rrd file that is being written; a context manager.

    Below `camera` (an entity a recording) lie `image`, `image/boxes` and `image/axes` in pixels;
    below `people/ID` the scalars yaw, pitch and roll in degrees. Heads without an id are numbered
    from left to right.
    """

    def __init__(self, path: str | Path) -> None:
        """ReplayError without rerun-sdk, OSError where the file cannot be written."""
        rerun = check_rerun(path)
        Path(path).open("wb").close()  # rerun itself only logs that it cannot write
        self._rerun, self._shown = rerun, dict[str, set[str]]()
        self._stream = rerun.RecordingStream(APPLICATION)
        self._stream.save(path)

    def __enter__(self) -> RerunFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is still on its way, and ends the file."""
        self._stream.flush()
        self._stream.disconnect()

    def write(
        self,
        number: int,
        heads: Sequence[Any],
        rgb: NDArray[np.uint8] | None = None,
        stamp: int | None = None,
        name: str = "",
        camera: str = "camera",
    ) -> None:
        """One image. heads: with box, rotation, yaw, pitch, roll, perhaps id, as HeadEstimate or
        `recordings.records.Head`. rgb: None keeps the image out. stamp: nanoseconds. name: of the
        image's file."""
        rr, log = self._rerun, self._stream.log
        self._stream.reset_time()
        self._stream.set_time(NUMBER, sequence=number)
        if stamp is not None:
            self._stream.set_time(TIME, timestamp=np.datetime64(stamp, "ns"))
        if rgb is not None:
            log(f"{camera}/image", rr.Image(rgb).compress(jpeg_quality=JPEG_QUALITY))
        if name:
            log(f"{camera}/name", rr.TextDocument(name))
        names = [getattr(head, "id", "") or str(place) for place, head in enumerate(heads, start=1)]
        labels = [f"{name} {_text(head.yaw)}" for name, head in zip(names, heads, strict=True)]
        boxes = np.array([head.box for head in heads], dtype=float).reshape(-1, 4)
        log(
            f"{camera}/image/boxes",
            rr.Boxes2D(
                array=boxes, array_format=rr.Box2DFormat.XYXY, labels=labels, colors=[BOX_COLOUR]
            ),
        )
        starts, vectors, colours = axes(heads)
        log(f"{camera}/image/axes", rr.Arrows2D(origins=starts, vectors=vectors, colors=colours))
        for id, head in zip(names, heads, strict=True):
            for angle in ANGLES:
                value = getattr(head, angle)
                if value is not None and np.isfinite(value):
                    log(f"{camera}/people/{id}/{angle}", rr.Scalars(float(value)))
        for gone in self._shown.get(camera, set()) - set(names):  # or its last value would go on
            log(f"{camera}/people/{gone}", rr.Clear(recursive=True))
        self._shown[camera] = set(names)


def axes(heads: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any], list[tuple[int, int, int]]]:
    """Head axes as arrows in pixels, three a head: starts (3 N, 2), vectors (3 N, 2) and colours.

    As drawn by `drawing.draw_heads`: half the box's longer side for x and y, 1.7 times that for the
    nose. Heads without a rotation get none.
    """
    starts, vectors, colours = [], [], list[tuple[int, int, int]]()
    for head in heads:
        rotation = np.asarray(getattr(head, "matrix", head.rotation), dtype=float).reshape(3, 3)
        if not np.isfinite(rotation).all():
            continue
        x0, y0, x1, y1 = head.box
        length = 0.5 * max(x1 - x0, y1 - y0)
        x, y, z = rotation.T
        for axis, colour in ((x, X_COLOUR), (y, Y_COLOUR), (-1.7 * z, NOSE_COLOUR)):
            starts.append(((x0 + x1) / 2, (y0 + y1) / 2))
            vectors.append(length * axis[:2])
            colours.append(colour)
    return np.reshape(starts, (-1, 2)), np.reshape(vectors, (-1, 2)), colours


def _text(yaw: float | None) -> str:
    return "?" if yaw is None or not np.isfinite(yaw) else f"{yaw:+.0f}"
